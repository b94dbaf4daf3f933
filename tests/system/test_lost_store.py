"""The tracking store is lost, in part or as a whole: what the last stage says of it, and what it brings back."""

import contextlib
import io
import json
import os
import runpy
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from foretwin import registry
from foretwin.errors import RegistryError
from foretwin.predictor.bundle import verify
from foretwin.registry.published import lacking
from foretwin.registry.rollback import rollback
from support.clone import run
from support.registry_project import PARAMS, Project
from support.tiny_bundle import REPOSITORY

pytest_plugins = ["support.registry_project"]

WITHOUT_MLFLOW = """
import runpy, sys
sys.argv = ["publish.py", "pump"]
runpy.run_path("{script}", run_name="__main__")
assert not {{"mlflow", "numpy", "pydantic", "pandas"}} & set(sys.modules), sorted(sys.modules)
"""


def stage(project: Project, name: str = "publish") -> str:
    """What a stage's script prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        runpy.run_path(str(REPOSITORY / "pipelines" / f"{name}.py"))["main"]("pump", project.root)
    return out.getvalue().strip()


def process(project: Project, name: str = "publish") -> tuple[int, str, list[str]]:
    """Exit code, output and lines of errors of a stage's script, run as DVC runs it, but for what libraries tell."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW", "BENTOML", "FORETWIN"))}
    command = [sys.executable, "-W", "ignore", str(REPOSITORY / "pipelines" / f"{name}.py"), "pump"]
    done = subprocess.run(command, cwd=project.root, env=kept, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.strip(), [one for one in done.stderr.splitlines() if " INFO " not in one]


def failed(project: Project, name: str) -> str:
    """The one line with which a stage's script ends."""
    code, said, (line,) = process(project, name)
    assert (code, said) == (1, "")
    assert line.startswith("error: ")
    return line


@pytest.fixture(scope="module")
def second_champion(first_champion: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose second version is champion, packaged; tests copy it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        second = first_champion.again_at(tmp_path_factory.mktemp("second") / "project")
        second.train(2, 8)
        second.promote()
        second.package()
    return second


@pytest.fixture
def packed(tmp_path: Path, second_champion: Project, own_store: None) -> Project:
    """A project that lacks nothing."""
    packed = second_champion.again_at(tmp_path / "packed")
    assert lacking(packed.root, "pump") == []
    return packed


def run_of(project: Project) -> str:
    """The run of the second version."""
    return project.client.get_model_version("foretwin-pump", "2").run_id


def whole(project: Project) -> str:
    """What the stage says once; it has nothing to do the second time."""
    said = stage(project)
    assert lacking(project.root, "pump") == []
    assert stage(project) == "publish pump: MLflow has everything"
    champion = registry.champion(project.root, "pump")
    assert verify(champion.folder) == verify(project.paths.models / "champion" / "bundle")
    return said


def test_where_nothing_lacks_neither_mlflow_nor_pydantic_is_imported(packed):
    script = WITHOUT_MLFLOW.format(script=REPOSITORY / "pipelines" / "publish.py")
    done = subprocess.run([sys.executable, "-c", script], cwd=packed.root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "publish pump: MLflow has everything\n"), done.stderr


def test_a_lost_database_is_made_again_and_one_line_says_so(packed):
    (packed.root / "mlflow.db").unlink()
    made = "publish pump: MLflow lacked its store, mlflow.db: made again from DVC's records"
    assert process(packed) == (0, f"{made}; the champion is foretwin-pump version 2", [])
    assert process(packed) == (0, "publish pump: MLflow has everything", [])


def test_what_another_store_gets_is_what_the_lost_one_had(packed, empty_store):
    (text, tags), runs = page(packed), packed.runs("pipeline")
    shutil.copy(empty_store, packed.root / "mlflow.db")
    lacked = "lacked the run of this training, version 2, the alias champion: made again"
    assert lacked in whole(packed)
    made_text, made_tags = page(packed)
    assert made_text == text
    assert "in the place of version 1" in made_text
    own = {"foretwin.first_run", "foretwin.model"}
    assert {key: value for key, value in made_tags.items() if key not in own} == {k: tags[k] for k in tags.keys() - own}
    (made,) = packed.runs("pipeline")
    (before,) = (one for one in runs if one.info.run_name == made.info.run_name)
    assert (made.data.metrics, made.data.params) == (before.data.metrics, before.data.params)
    assert made.data.tags["foretwin.files"] == before.data.tags["foretwin.files"]


def page(project: Project) -> tuple[str, dict[str, str]]:
    """Description and tags of the second version."""
    found = project.client.get_model_version("foretwin-pump", "2")
    return found.description, found.tags


def test_a_lost_run_is_made_again(packed):
    packed.client.delete_run(run_of(packed))
    assert "lacked the run of this training: made again" in whole(packed)


def test_lost_artifacts_a_lost_alias_and_a_page_that_was_not_written_are_made_again(packed):
    place = Path(packed.client.get_run(run_of(packed)).info.artifact_uri)
    (place / "card.html").unlink()
    packed.client.delete_registered_model_alias("foretwin-pump", "champion")
    packed.client.delete_model_version_tag("foretwin-pump", "2", "foretwin.verdict")
    said = whole(packed)
    assert "artifacts of its run (card.html), the page of version 2, the alias champion: made again" in said


def test_a_version_whose_model_vanished_is_put_back(packed):
    shutil.rmtree(Path(packed.client.get_model_version("foretwin-pump", "2").source))
    assert "lacked version 2, the alias champion: made again" in whole(packed)


def test_a_stage_that_was_restored_with_other_results_gets_its_run(packed):
    """As `dvc checkout` of an earlier commit brings them, whose run another store has."""
    training = json.loads((packed.paths.models / "training.json").read_text())
    packed.write("training.json", {**training, "seconds": 4.0})
    assert "lacked the run of this training: made again" in whole(packed)


def test_a_rolled_back_version_is_still_that_in_another_store(packed, empty_store):
    rollback(packed.root, "pump", "false alarms", "me")
    shutil.copy(empty_store, packed.root / "mlflow.db")
    assert whole(packed).endswith("the champion is foretwin-pump version 1")
    gates = {number: tags["foretwin.gate"] for number, tags in packed.versions().items()}
    assert gates == {"1": "promoted", "2": "rolled_back"}


@pytest.mark.parametrize("name", ["publish", "package", "promote"])
def test_a_damaged_database_is_one_line_with_a_way_back(packed, name):
    (packed.root / "params.yaml").write_text(yaml.safe_dump(PARAMS.model_dump(mode="json")))
    (packed.root / "mlflow.db").write_bytes(b"no database" * 1000)
    line = failed(packed, name)
    assert "mlflow.db: is damaged (file is not a database): move it away, and `foretwin publish` makes it" in line


def test_a_database_of_another_mlflow_is_one_line_with_a_way_back(packed):
    with closing(sqlite3.connect(packed.root / "mlflow.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'deadbeef0000'")
        connection.execute("DELETE FROM registered_model_aliases")
    line = failed(packed, "publish")
    assert "found version deadbeef0000" in line
    assert "move mlflow.db away, and `foretwin publish` makes it again" in line


@pytest.mark.parametrize("name", ["publish", "package"])
def test_a_champion_whose_bundle_is_nowhere_is_named(promoted, empty_store, name):
    promoted.train(2, 30)
    assert not promoted.promote()["promoted"]
    shutil.rmtree(promoted.paths.models / "champion")
    shutil.copy(empty_store, promoted.root / "mlflow.db")
    with pytest.raises(RegistryError, match=r"`dvc pull` may bring .*`dvc repro --force data/.*:promote` decides anew"):
        stage(promoted, name)
    assert not (promoted.paths.models / "champion" / "none.json").exists()


def test_a_first_model_that_is_refused_leaves_its_reasons_in_place_of_a_champion(project):
    project.train(1, 60)
    reasons = project.promote()["reasons"]
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    why = f"version 1 was refused by the gate because {reasons[0]}{more}"
    assert stage(project, "package") == f"package pump: nothing to package: {why}"
    (file,) = (project.paths.models / "champion").iterdir()
    assert file.name == "none.json"
    for path in (file, project.paths.models / "package.json"):
        assert json.loads(path.read_text()) == {"twin": "pump", "champion": None, "reasons": reasons}
    assert stage(project) == "publish pump: MLflow has everything"


@pytest.mark.timeout(900)
def test_dvc_repro_brings_back_a_lost_store_and_the_run_of_a_stage_from_its_cache(built, tmp_path):
    clone = shutil.copytree(built, tmp_path / "clone", symlinks=True)
    (clone / "mlflow.db").unlink()
    shutil.rmtree(clone / "mlartifacts")
    shutil.rmtree(clone / "models" / "pump" / "bundle")
    shown = run("dvc repro", clone)
    assert "MLflow lacked its store, mlflow.db: made again from DVC's records" in shown
    assert "Traceback" not in shown
    champion = registry.champion(clone, "pump")
    assert (champion.version, champion.digest) == ("1", verify(clone / "models" / "pump" / "champion" / "bundle"))
    assert "publish pump: MLflow has everything" in run("dvc repro", clone)
    assert run("git status --porcelain", clone) == run("dvc metrics diff", clone) == "", "it is what was committed"
