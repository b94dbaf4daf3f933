import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny_bundle import REPOSITORY, environment, save_tiny_bundle, tiny_project, tiny_twin

from foretwin import packaging
from foretwin.config import Paths
from foretwin.errors import BundleError, RegistryError
from foretwin.scoring_call import ModelIdentity

PUMP, FAN = tiny_twin("pump"), tiny_twin("fan", rul=False)
HEAVY = {"torch", "lightning", "mlflow", "optuna", "great_expectations", "dvc", "sklearn", "matplotlib"}
# BentoML reads its home once per process, so each of these is one.
ENSURE = (
    "import sys; from pathlib import Path; from foretwin import packaging; print(packaging.ensure(Path(sys.argv[1])))"
)
PACKAGE = (
    "import sys; from pathlib import Path; from foretwin import packaging; packaging.package(Path(sys.argv[1]), 'pump')"
)


def python(root: Path, script: str, *arguments: str, cwd: Path | None = None) -> str:
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, env=environment(root), capture_output=True, text=True, check=False, cwd=cwd or root)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project of two twins whose pump is packaged."""
    root = tmp_path_factory.mktemp("project")
    tiny_project(root, PUMP, FAN)
    (root / "data" / "pump").mkdir(parents=True)
    (root / "data" / "pump" / "rows.parquet").write_bytes(b"PAR1")
    (root / "data" / "pump" / "raw.csv").write_text("a,b\n1,2\n")
    python(root, PACKAGE, str(root))
    return root


@pytest.fixture(scope="module")
def packaged(project):
    return json.loads((project / "models/pump/package.json").read_text())


@pytest.fixture(scope="module")
def bento(project, packaged):
    """The folder of the Bento in the store."""
    return project / ".bentoml" / "bentos" / packaged["bento"].replace(":", "/")


def test_the_package_names_model_bento_digest_and_size(project, packaged):
    bundle = project / "models/pump/champion/bundle"
    identity = ModelIdentity.read(project / "models/pump/champion/identity.json")
    assert packaged["digest"] == identity.digest
    assert packaged["model"] == f"foretwin-pump:3-{identity.digest[:16]}"
    assert packaged["bento"].startswith("foretwin:")
    assert packaged["size"] == sum(path.stat().st_size for path in bundle.iterdir())


def test_bentoml_lists_the_bento_and_the_models(project, packaged):
    listed = python(
        project, "import sys; from bentoml_cli.cli import cli; sys.argv = ['bentoml', 'list', '-o', 'json']; cli()"
    )
    assert [bento["tag"] for bento in json.loads(listed)] == [packaged["bento"]]
    models = project / ".bentoml" / "models"
    assert {path.name for path in models.iterdir()} == {"foretwin-pump", "foretwin-fan"}


def test_a_model_says_where_it_comes_from(project, packaged):
    identity = ModelIdentity.read(project / "models/pump/champion/identity.json")
    stored = yaml.safe_load(
        (project / ".bentoml/models" / packaged["model"].replace(":", "/") / "model.yaml").read_text()
    )
    assert stored["labels"] == {"twin": "pump", "version": "3", "run": "run-of-pump", "commit": "unknown"}
    assert stored["metadata"]["digest"] == identity.digest
    assert stored["metadata"]["contract"] == PUMP.digest


def test_the_bento_needs_nothing_of_training(bento):
    text = (bento / "env/python/requirements.txt").read_text()
    pinned = dict(line.split("==") for line in text.split())
    assert set(pinned) == {*packaging.REQUIREMENTS, "bentoml"}


def test_the_bento_holds_code_and_no_data(bento):
    kinds = {path.suffix for path in bento.rglob("*") if path.is_file()}
    assert not kinds & {".parquet", ".csv", ".npz", ".ckpt", ".pt", ".db"}
    code = {path.relative_to(bento / "src").as_posix() for path in (bento / "src").rglob("*.py")}
    assert "serving/service.py" in code
    assert "foretwin/bundle.py" in code
    assert not code & {"foretwin/network.py", "foretwin/training.py", "foretwin/packaging.py"}


def test_the_bentos_own_code_is_complete_and_light(project, bento):
    script = "import sys; sys.path.insert(0, '.'); import foretwin.bundle, foretwin.scoring_call, serving.service;"
    script += "print(foretwin.__file__, *{name.partition('.')[0] for name in sys.modules})"
    place, *modules = python(project, script, cwd=bento / "src").split()
    assert Path(place).is_relative_to(bento)
    assert not HEAVY & set(modules)


def test_the_same_champions_are_the_same_bento_and_are_not_built_again(project, packaged, bento):
    before = (bento / "bento.yaml").stat().st_mtime_ns
    assert python(project, ENSURE, str(project)) == packaged["bento"]
    assert (bento / "bento.yaml").stat().st_mtime_ns == before


def test_a_clone_builds_the_same_bento_and_mends_what_an_interruption_left_in_its_store(project, packaged, tmp_path):
    for part in ("models", "serving"):
        shutil.copytree(project / part, tmp_path / part)
    halves = [tmp_path / ".bentoml/models" / packaged["model"].replace(":", "/") / "bundle"]
    halves.append(tmp_path / ".bentoml/bentos" / packaged["bento"].replace(":", "/") / "src")
    for half in halves:
        half.mkdir(parents=True)
    assert python(tmp_path, ENSURE, str(tmp_path)) == packaged["bento"]
    for half in halves:
        assert any(half.iterdir())


def test_another_champion_or_other_code_is_another_bento(project, tmp_path):
    champions = packaging.kept_champions(project)
    packaging._stage(project, tmp_path)
    digest = packaging._digest(tmp_path, champions)
    assert packaging._digest(tmp_path, champions[:1]) != digest
    with (tmp_path / "foretwin" / "rows.py").open("a") as out:
        out.write("# changed\n")
    assert packaging._digest(tmp_path, champions) != digest


def test_the_served_code_is_found_by_its_imports():
    names = {path.name for path in packaging.served_files(REPOSITORY)}
    assert names >= {"service.py", "scoring_call.py", "bundle.py", "calibration.py", "contract.py", "errors.py"}
    assert not names & {"network.py", "training.py", "packaging.py", "edge.py"}


def test_a_project_without_champions_cannot_be_served(tmp_path):
    with pytest.raises(RegistryError, match="there is no champion to serve"):
        packaging.ensure(tmp_path)


def test_a_twin_without_a_champion_cannot_be_packaged(tmp_path):
    tiny_project(tmp_path, FAN)
    with pytest.raises(RegistryError, match="pump: has no champion"):
        packaging.package(tmp_path, "pump")


def test_an_altered_champion_is_not_packaged(tmp_path):
    tiny_project(tmp_path, FAN)
    with (tmp_path / "models/fan/champion/bundle/network.onnx").open("ab") as out:
        out.write(b"0")
    with pytest.raises(BundleError, match=r"network.onnx: missing, unknown or altered"):
        packaging.ensure(tmp_path)


def test_a_bundle_that_is_not_the_named_one_is_not_kept_and_the_old_one_stays(tmp_path):
    tiny_project(tmp_path, FAN)
    other = tmp_path / "other"
    other.mkdir()
    save_tiny_bundle(other, FAN, seed=2)
    old = ModelIdentity.read(tmp_path / "models/fan/champion/identity.json")
    with pytest.raises(BundleError, match="is not the bundle of foretwin-fan version 3"):
        packaging.keep_champion(Paths(tmp_path, "fan"), other, old)
    assert packaging.kept_champions(tmp_path)[0].identity == old
