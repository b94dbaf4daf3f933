"""`foretwin follow`: once, and as a process that goes on whatever the registry does."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from foretwin import registry
from foretwin.champion.champion import kept_identity
from foretwin.cli.main import main
from foretwin.cli.models.follow import SETTINGS
from support.registry_project import Project

pytest_plugins = ["support.registry_project"]
PATIENCE = 60.0  # s


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command sets for its own process does not outlive the test."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def moved(promoted: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project that keeps version 2, whose alias somebody has just moved back to version 1."""
    promoted.train(2, 8)
    promoted.promote()
    registry.set_champion(promoted.root, "pump", "1")
    assert kept(promoted) == "2"
    monkeypatch.chdir(promoted.root)
    return promoted


def kept(project: Project) -> str | None:
    identity = kept_identity(project.paths)
    return identity and identity.version


@contextmanager
def following(root: Path, **environ: str) -> Iterator[tuple[subprocess.Popen, Path]]:
    """`foretwin follow --every 1` in a project, and its log; it has to end in order when it is told to."""
    log = root / "follow.log"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "FORETWIN"))}
    with log.open("wb") as out:
        command = [sys.executable, "-m", "foretwin.cli", "follow", "--every", "1"]
        process = subprocess.Popen(command, cwd=root, env=clean | environ, stdout=out, stderr=out)
    try:
        yield process, log
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def wait_for(condition, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def test_once_it_keeps_what_the_alias_names_and_says_so(moved):
    done = CliRunner().invoke(main, ["follow"])
    assert (done.exit_code, done.stdout) == (0, "pump: the registry names version 1, kept was version 2\n")
    assert kept(moved) == "1"
    again = CliRunner().invoke(main, ["follow"])
    assert (again.exit_code, again.output) == (0, "")


def test_a_champion_that_cannot_be_kept_is_one_line_and_an_exit_code(moved):
    (registry.champion(moved.root, "pump").folder / "network.onnx").write_bytes(b"another network")
    done = CliRunner().invoke(main, ["follow"])
    assert done.exit_code == 1
    assert done.stderr.startswith("error: pump: foretwin-pump version 1: ")
    assert done.stderr.count("\n") == 1
    assert kept(moved) == "2"


def test_a_registry_that_goes_and_comes_back_is_followed_again(moved):
    """As one that is removed and made again: a connection to the old file would never see the new one."""
    with following(moved.root) as (process, log):
        wait_for(lambda: kept(moved) == "1", log)
        shutil.move(moved.root / "mlflow.db", moved.root / "away.db")
        time.sleep(2)
        shutil.copy(moved.root / "away.db", moved.root / "mlflow.db")
        registry.set_champion(moved.root, "pump", "2")
        wait_for(lambda: kept(moved) == "2", log)
        assert process.poll() is None
    assert "pump: the registry names version 2, kept was version 1" in log.read_text()


def test_a_bundle_that_is_damaged_is_told_once_and_kept_when_it_is_whole_again(moved):
    network = registry.champion(moved.root, "pump").folder / "network.onnx"
    whole = network.read_bytes()
    network.write_bytes(b"another network")
    with following(moved.root) as (_, log):
        wait_for(lambda: "could not be followed" in log.read_text(), log)
        time.sleep(4)
        assert log.read_text().count("pump: the registry could not be followed: ") == 1
        network.write_bytes(whole)
        wait_for(lambda: kept(moved) == "1", log)


def test_a_server_that_does_not_answer_is_asked_less_and_less_often(promoted):
    with following(promoted.root, MLFLOW_TRACKING_URI="http://127.0.0.1:9") as (process, log):
        wait_for(lambda: "*: the registry could not be followed: " in log.read_text(), log)
        time.sleep(4)
        assert process.poll() is None
        assert log.read_text().count("could not be followed") == 1
    assert kept(promoted) == "1"


def test_a_project_without_a_registry_gets_none(tmp_path, own_store, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["follow"])
    assert (done.exit_code, done.output) == (0, "")
    assert list(tmp_path.iterdir()) == []
