"""`foretwin init` in an editable install: the repository's own files, whole or not at all."""

import re
import shutil
from pathlib import Path

import pytest

from foretwin.cli.pipeline import init as command
from foretwin.cli.pipeline.project_files import project_files
from foretwin.project.contracts import load_contracts
from foretwin.project.params import load_params
from support.commands import foretwin, refusal, shown

ROOT = Path(__file__).parents[2]


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_project_has_one_twin_its_stages_and_its_budgets(here):
    shown("init", "plant")
    assert list(load_contracts(here / "plant")) == load_params(here / "plant" / "params.yaml").twins == ["pump"]
    for path in [*ROOT.glob("pipelines/*.py"), ROOT / "serving/service.py"]:
        assert (here / "plant" / path.relative_to(ROOT)).read_bytes() == path.read_bytes()


def test_the_current_folder_becomes_a_project_where_it_is_empty(here):
    said = shown("init", ".")
    assert (here / "dvc.yaml").exists()
    assert "cd " not in said
    assert not list(here.glob(".partial-*"))


def test_a_folder_that_holds_something_is_refused_and_left_alone(here):
    (here / "notes.txt").write_text("mine")
    assert refusal("init", ".") == "FOLDER: . is not empty; name a new or an empty folder"
    assert refusal("init", "notes.txt") == "FOLDER: notes.txt is a file; name a new or an empty folder"
    assert [path.name for path in here.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("existed", [False, True])
def test_what_fails_halfway_leaves_nothing(here, monkeypatch, existed):
    if existed:
        (here / "plant").mkdir()

    def fail(root: Path) -> str:
        assert (root / "dvc.yaml").exists()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command, "_commit", fail)
    assert "No space left on device" in refusal("init", "plant")
    assert [path.name for path in here.rglob("*")] == (["plant"] if existed else [])


def test_without_git_the_error_says_what_to_install(here, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert refusal("init", "plant") == "git: not installed; on Debian `apt install git` brings it"
    assert not (here / "plant").exists()


def test_twins_that_a_developer_has_put_on_the_list_are_not_in_a_new_project(monkeypatch, tmp_path):
    for path in project_files():
        if (ROOT / path).exists():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, tmp_path / path)
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    params = tmp_path / "params.yaml"
    params.write_text(re.sub(r"^twins:\n(  - .*\n)+", "twins:\n  - mill\n  - pump\n", params.read_text(), flags=re.M))
    monkeypatch.setattr("foretwin.cli.pipeline.project_files.REPOSITORY", tmp_path)
    assert "twins:\n  - pump\n\n" in project_files()["params.yaml"]


def test_its_help_shows_the_first_commands():
    assert "dvc repro" in foretwin("init", "--help").output
