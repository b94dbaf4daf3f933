"""params.yaml, the twin's paths, and writing that leaves the old content or the whole new one."""

import os
import pty
import shutil
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import yaml

from foretwin.errors import ContractError, ParamsError
from foretwin.project.files import fresh, fresh_file
from foretwin.project.params import add_twins, load_params
from foretwin.project.paths import Paths, datasets_folder

TEXT = """\
# What `dvc repro` builds.
twins:
  - pump  # the simulated one

prepare:
  test_share: 0.25      # of the assets
  folds: 4
  cuts: 20
  seed: 1

tune: {trials: 10, windows: 50000, seed: 1}
train: {windows: 200000, batch: 512, level: 0.9, confidence: 0.9, seeds: [1]}
promote: {allowed_loss: 0.02}
"""
EMPTY = "{prepare: {}, tune: {}, train: {}}"


@pytest.fixture
def params(tmp_path):
    """Write a text as params.yaml."""

    def write(text: str) -> Path:
        (tmp_path / "params.yaml").write_text(text)
        return tmp_path / "params.yaml"

    return write


def test_params_are_typed(params):
    loaded = load_params(params(TEXT))
    assert loaded.twins == ["pump"]
    assert (loaded.prepare.test_share, loaded.train.level) == (0.25, 0.9)


def test_the_projects_own_params_load():
    load_params(Path(__file__).parents[2] / "params.yaml")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("folds: 4", "fold: 4", "prepare.fold: Extra inputs are not permitted"),
        ("  folds: 4\n", "", "prepare.folds: Field required"),
        ("folds: 4", "folds: 1", "prepare.folds: Input should be greater than or equal to 2"),
        ("test_share: 0.25", "test_share: 1", "prepare.test_share: Input should be less than 1"),
        (" level: 0.9", " level: .nan", "train.level: Input should be"),
        ("confidence: 0.9", "confidence: 1", "train.confidence: Input should be less than 1"),
        ("batch: 512", "batch: many", "train.batch: Input should be a valid integer"),
        (
            "batch: 512",
            "batch: 512, candidates: [linear]",
            "train.candidates: Value error, none is a network; add one of",
        ),
        ("batch: 512", "batch: 512, candidates: [gru, gru]", "train.candidates: Value error, gru is listed twice"),
        ("batch: 512", "batch: 512, candidates: [forest]", "train.candidates.0: Input should be 'network'"),
        ("- pump", "- Pump", "twins.0: String should match pattern"),
        ("\n  - pump  # the simulated one", " pump", "twins: Input should be a valid list"),
        ("seed: 1\n\ntune", "seed: 1\n  folds: 5\n\ntune", ":10: folds: stands twice"),
        ("promote: {", "promote: {{", "not YAML"),
        ("seed: 1\n\ntune", "seed: \0\n\ntune", "not YAML: unacceptable character"),
    ],
)
def test_a_wrong_params_file_is_one_line_with_file_and_field(params, old, new, complaint):
    assert TEXT.count(old) == 1
    path = params(TEXT.replace(old, new))
    with pytest.raises(ParamsError) as error:
        load_params(path)
    assert str(error.value).startswith(f"{path}:")
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "twins\n", "- pump\n"])
def test_a_params_file_that_is_no_mapping_is_refused(params, text):
    with pytest.raises(ParamsError, match=r"params.yaml: content: Input should be a valid dictionary"):
        load_params(params(text))


def test_a_params_file_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "params.yaml").write_bytes("# für\n".encode("latin-1"))
    with pytest.raises(ParamsError, match="not YAML: 'utf-8' codec"):
        load_params(tmp_path / "params.yaml")


def test_missing_params_say_where_to_run(tmp_path):
    with pytest.raises(ParamsError, match="not found; run this from the project's folder"):
        load_params(tmp_path / "params.yaml")


def test_adding_twins_appends_them_and_keeps_everything_else(params):
    path = params(TEXT)
    assert add_twins(path, ["press", "cmapss-fd001", "press"]) == ["pump", "press", "cmapss-fd001"]
    assert load_params(path).twins == ["pump", "press", "cmapss-fd001"]
    added = [line for line in path.read_text().splitlines() if line not in TEXT.splitlines()]
    assert added == ["  - press", "  - cmapss-fd001", f"press: {EMPTY}", f"cmapss-fd001: {EMPTY}"]
    assert [line for line in path.read_text().splitlines() if line not in added] == TEXT.splitlines()


def test_the_projects_own_params_gain_a_name_and_an_entry(tmp_path):
    own = Path(__file__).parents[2] / "params.yaml"
    path = Path(shutil.copy(own, tmp_path))
    before = path.read_text().splitlines()
    add_twins(path, ["press-7"])
    after = path.read_text().splitlines()
    at = after.index("  - press-7")
    assert after[:at] + after[at + 1 : -1] == before
    assert after[-1] == f"press-7: {EMPTY}"
    assert after[at - 1].startswith("  - "), "the new name stands with the others"


def test_adding_what_is_listed_changes_no_byte(params):
    whole = f"{TEXT}pump: {EMPTY}\n"
    path = params(whole)
    assert add_twins(path, ["pump"]) == ["pump"]
    assert path.read_text() == whole
    path = params(whole.replace("tune: {trials: 10,", "tune:   {  trials : 10,"))
    odd = path.read_bytes()
    add_twins(path, ["pump"])
    assert path.read_bytes() == odd, "not even its spaces"
    add_twins(path, ["press"])
    once = path.read_bytes()
    assert add_twins(path, ["press", "pump"]) == ["pump", "press"]
    assert path.read_bytes() == once


def test_what_stands_under_a_twins_name_is_its_own_alone(params):
    path = params(f"{TEXT}pump: {{prepare: {{folds: 3}}, tune: {{}}, train: {{seeds: [1, 2]}}}}\n")
    own, shared = load_params(path, "pump"), load_params(path)
    assert (own.prepare.folds, own.train.seeds, own.tune) == (3, [1, 2], shared.tune)
    assert own.prepare.cuts == shared.prepare.cuts == 20
    assert shared.prepare.folds == load_params(path, "press").prepare.folds == 4


@pytest.mark.parametrize(
    ("own", "complaint"),
    [
        ("pump: {tune: {trials: 0}}", "pump.tune.trials: Input should be greater than or equal to 1"),
        ("pump: {tune: {trial: 4}}", "pump.tune.trial: Extra inputs are not permitted"),
        (
            "pump: {promote: {allowed_loss: 1}}",
            "pump.promote: is the same for all twins; only prepare, tune, train may",
        ),
        ("trian: 3", "trian: is no section, and no twin's own; write trian: {tune: {trials: 4}}"),
    ],
)
def test_a_wrong_entry_of_one_twin_names_its_field(params, own, complaint):
    path = params(f"{TEXT}{own}\n")
    with pytest.raises(ParamsError) as error:
        load_params(path)
    assert str(error.value).startswith(f"{path}: {complaint}")


def test_adding_completes_an_entry_and_keeps_what_stands_there(params):
    path = params(f"{TEXT}pump:\n  tune: {{trials: 4}}  # quick\n")
    add_twins(path, ["pump"])
    assert path.read_text().startswith(f"{TEXT}pump:\n  tune: {{trials: 4}}  # quick\n")
    assert yaml.safe_load(path.read_text())["pump"] == {"tune": {"trials": 4}, "prepare": {}, "train": {}}


def test_a_twin_with_the_name_of_a_section_is_refused(params):
    with pytest.raises(ParamsError, match="twins: tune is the name of a section; rename the twin"):
        add_twins(params(TEXT), ["tune"])


def test_a_list_in_one_line_or_an_empty_one_can_be_added_to(params):
    path = params(TEXT.replace("\n  - pump  # the simulated one", " [pump]"))
    assert add_twins(path, ["press"]) == ["pump", "press"]
    path = params(TEXT.replace("\n  - pump  # the simulated one", " []"))
    assert add_twins(path, ["press"]) == ["press"]


@pytest.mark.parametrize("name", ["Press", "press/", "../pump", "", "a b"])
def test_a_name_that_no_twin_may_have_is_refused_before_anything_is_written(params, name):
    path = params(TEXT)
    with pytest.raises(ParamsError, match=r"twins.1: String should match pattern"):
        add_twins(path, [name])
    assert path.read_text() == TEXT


def test_everything_of_a_twin_lies_under_its_own_folders(tmp_path):
    paths = Paths(tmp_path, "pump")
    assert paths.contract == tmp_path / "data" / "pump" / "twin.yaml"
    inside = [paths.raw, paths.rows, paths.validation, paths.windows]
    assert all(path.parent == paths.data for path in inside)
    assert paths.models == tmp_path / "models" / "pump"
    assert paths.work == tmp_path / ".foretwin" / "pump"
    assert not list(tmp_path.iterdir()), "naming a place makes nothing"
    with pytest.raises(ContractError, match="no such contract"):
        paths.load_contract()


def fail_halfway(place: AbstractContextManager[Path], error: BaseException) -> None:
    """Write half of what belongs to `place`, a folder or a file, and raise."""
    with place as out:
        (out / "new" if out.is_dir() else out).write_text("half")
        raise error


def test_a_fresh_folder_takes_the_place_of_the_old_one(tmp_path):
    folder = tmp_path / "data" / "rows"
    for content in ("first", "second"):
        with fresh(folder) as out:
            (out / content).write_text(content)
        assert [path.name for path in folder.iterdir()] == [content]
        assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize("error", [ValueError(), KeyboardInterrupt(), SystemExit()])
def test_a_fresh_folder_leaves_the_old_one_when_the_body_raises(tmp_path, error):
    folder = tmp_path / "rows"
    with fresh(folder) as out:
        (out / "old").write_text("old")
    with pytest.raises(type(error)):
        fail_halfway(fresh(folder), error)
    assert [path.name for path in folder.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [folder]


def test_a_fresh_folder_leaves_nothing_where_there_was_nothing(tmp_path):
    with pytest.raises(ValueError, match="bad"):
        fail_halfway(fresh(tmp_path / "rows"), ValueError("bad"))
    assert not list(tmp_path.iterdir())


def test_an_interruption_while_the_old_folder_gives_way_leaves_the_old_one(tmp_path, monkeypatch):
    folder = tmp_path / "rows"
    with fresh(folder) as out:
        (out / "old").write_text("old")
    rename = Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        if path.name.endswith(".partial"):
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), fresh(folder) as out:
        (out / "new").write_text("new")
    assert [path.name for path in folder.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [folder]


def test_what_a_killed_run_left_does_not_get_into_the_next(tmp_path):
    leftover = tmp_path / ".rows.partial"
    leftover.mkdir()
    (leftover / "stale").write_text("stale")
    with fresh(tmp_path / "rows") as out:
        (out / "new").write_text("new")
    assert [path.name for path in (tmp_path / "rows").iterdir()] == ["new"]


def test_a_fresh_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "models" / "metrics.json"
    with fresh_file(path) as out:
        out.write_text("old")
        assert not path.exists()
    with pytest.raises(ValueError, match="bad"):
        fail_halfway(fresh_file(path), ValueError("bad"))
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    path = tmp_path / "metrics.json"
    path.write_text("old")
    (tmp_path / ".metrics.json.partial").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"), fresh_file(path) as out:
        out.write_text("x" * 100_000)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_datasets_folder_is_the_one_that_the_environment_names(tmp_path, monkeypatch):
    monkeypatch.delenv("FORETWIN_DATASETS", raising=False)
    assert datasets_folder() is None
    monkeypatch.setenv("FORETWIN_DATASETS", str(tmp_path))
    assert datasets_folder() == tmp_path.resolve()


@pytest.mark.parametrize(("terminal", "ci", "shown"), [(True, "", True), (True, "true", False), (False, "", False)])
def test_progress_is_shown_to_a_person_only(terminal, ci, shown):
    code = "from foretwin.project.entrypoint import show_progress; print(show_progress())"
    screen, stderr = pty.openpty() if terminal else os.pipe()
    try:
        environment = {**os.environ, "CI": ci}
        told = subprocess.run(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=stderr, env=environment, text=True, check=True
        )
    finally:
        os.close(screen)
        os.close(stderr)
    assert told.stdout == f"{shown}\n"
