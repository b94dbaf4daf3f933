"""What one process at a time may do: held between processes, given back by a process that dies, on every platform."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.servers import wait_for
from foretwin.champion import ledger
from foretwin.errors import ForetwinError, TrainingError
from foretwin.project.paths import Paths
from foretwin.twin.retraining import _one_at_a_time

CHAMPION, RETRAINING = "foretwin.champion.champion:kept_by_one", "foretwin.twin.retraining:_one_at_a_time"
HOLDING = """
import importlib, sys, time
from pathlib import Path
from foretwin.project.paths import Paths
module, name = sys.argv[1].split(":")
with getattr(importlib.import_module(module), name)(Paths(Path(sys.argv[2]), "pump")):
    Path(sys.argv[2], sys.argv[3]).touch()
    time.sleep(100)
"""
APPENDING = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from foretwin.champion.ledger import LedgerEntry, append
for number in range(20):
    version = f"{sys.argv[2]}-{number}"
    append(Path(sys.argv[1]), LedgerEntry(datetime.now(UTC), "refused", version, "b", "r", None, None, (), "test"))
"""
WITHOUT_FCNTL = """
import sys
sys.modules["fcntl"] = None  # as on Windows
import foretwin.champion.champion, foretwin.champion.ledger, foretwin.serving.access.keys
import foretwin.twin.monitoring.reports, foretwin.twin.retraining
"""


@pytest.fixture
def begin():
    """Starts a script in a process of its own; all of them end with the test."""
    started = []

    def start(script: str, *arguments: object) -> subprocess.Popen:
        started.append(subprocess.Popen([sys.executable, "-c", script, *map(str, arguments)]))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def held(folder: Path, name: str, seconds: float = 60) -> None:
    wait_for((folder / name).exists, f"process that holds the lock as {name}", seconds)


def test_a_champion_is_kept_by_one_process_and_by_the_next_once_that_was_killed(tmp_path, begin):
    first = begin(HOLDING, CHAMPION, tmp_path, "first")
    held(tmp_path, "first")
    begin(HOLDING, CHAMPION, tmp_path, "second")
    with pytest.raises(ForetwinError):
        held(tmp_path, "second", seconds=4)
    first.kill()
    held(tmp_path, "second")


def test_a_second_retraining_is_refused_until_the_first_process_ends(tmp_path, begin):
    first = begin(HOLDING, RETRAINING, tmp_path, "first")
    held(tmp_path, "first")
    paths = Paths(tmp_path, "pump")
    with pytest.raises(TrainingError, match="is being retrained already"), _one_at_a_time(paths):
        pass
    first.kill()
    first.wait()
    with _one_at_a_time(paths):
        pass
    begin(HOLDING, RETRAINING, tmp_path, "second")  # so the one above has been given back
    held(tmp_path, "second")


def test_decisions_of_several_processes_are_one_chain(tmp_path, begin):
    processes = [begin(APPENDING, tmp_path / "ledger.jsonl", name) for name in "abc"]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    versions = [entry.version for entry in ledger.read(tmp_path / "ledger.jsonl")]
    assert sorted(versions) == sorted(f"{name}-{number}" for name in "abc" for number in range(20))


def test_the_package_needs_no_locks_of_one_platform():
    subprocess.run([sys.executable, "-c", WITHOUT_FCNTL], check=True)
