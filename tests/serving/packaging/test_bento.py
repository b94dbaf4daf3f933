import ast
import hashlib
import json
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

from foretwin.champion.champion import keep_champion, kept_champions
from foretwin.champion.identity import ModelIdentity
from foretwin.cli.models import bento as cli_bento
from foretwin.errors import BundleError, RegistryError
from foretwin.predictor.bundle import verify
from foretwin.project.paths import Paths
from foretwin.serving.packaging import bento as bentos
from foretwin.serving.packaging.code import served_files
from foretwin.serving.packaging.libraries import REQUIREMENTS, closure
from support.tiny_bundle import REPOSITORY, environment, save_tiny_bundle, tiny_project, tiny_twin

PUMP, FAN = tiny_twin("pump"), tiny_twin("fan", rul=False)
HEAVY = {"torch", "lightning", "mlflow", "optuna", "great_expectations", "dvc", "sklearn", "matplotlib"}
# BentoML reads its home once per process, so each of these is one.
PACKAGING = "import sys; from pathlib import Path; from foretwin.serving.packaging import bento; "
ENSURE = PACKAGING + "print(bento.ensure(Path(sys.argv[1])))"
PACKAGE = PACKAGING + "bento.package(Path(sys.argv[1]), 'pump')"


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


@pytest.fixture(scope="module")
def materials(bento):
    """The bill of materials: its components by type."""
    found = {}
    for component in json.loads((bento / "src/sbom.cdx.json").read_text())["components"]:
        found.setdefault(component["type"], []).append(component)
    return found


def test_the_bento_pins_every_library_that_it_needs_and_none_of_training(bento):
    text = (bento / "src/requirements.txt").read_text()
    pinned = dict(line.split("==") for line in text.split())
    assert pinned == {library.name: library.version for library in closure()}
    assert set(REQUIREMENTS) < set(pinned)
    assert not {*HEAVY, "bentoml"} & {name.replace("-", "_") for name in pinned}


# What a served module imports in a function that only training calls: calibrations are fitted there.
NOT_WHEN_SERVING = {"ruamel", "scipy"}


def test_every_library_that_the_served_code_imports_is_required():
    distributions = packages_distributions()
    missing = {}
    for path in served_files(REPOSITORY):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            others = {"foretwin", "bentoml", *NOT_WHEN_SERVING, *sys.stdlib_module_names}
            for top in {name.partition(".")[0] for name in names} - others:
                wanted = set(map(canonicalize_name, distributions.get(top, [top])))
                if not wanted & set(REQUIREMENTS):
                    missing[f"{path.name}: {top}"] = wanted
    assert missing == {}


def test_the_bill_of_materials_is_valid_cyclonedx(bento):
    text = (bento / "src/sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_the_bill_of_materials_names_the_pinned_libraries_with_their_licences(bento, materials):
    pinned = (bento / "src/requirements.txt").read_text().split()
    assert [f"{one['name']}=={one['version']}" for one in materials["library"]] == pinned
    assert [one["purl"] for one in materials["library"]] == [f"pkg:pypi/{line.replace('==', '@')}" for line in pinned]
    assert [one["name"] for one in materials["library"] if "licenses" not in one] == []


def test_the_bill_of_materials_says_who_needs_whom(bento):
    content = json.loads((bento / "src/sbom.cdx.json").read_text())
    known = {component["bom-ref"] for component in content["components"]}
    needs = {entry["ref"]: set(entry.get("dependsOn", [])) for entry in content["dependencies"]}
    assert set().union(*needs.values()) <= known
    waiting, reached = ["foretwin"], set()
    while waiting:
        waiting += needs.get(one := waiting.pop(), set()) - reached
        reached.add(one)
    assert reached - {"foretwin"} == known


def test_the_bill_of_materials_names_the_models_by_the_digest_that_their_files_have(project, materials):
    models = {component["name"]: component for component in materials["machine-learning-model"]}
    assert set(models) == {"foretwin-pump", "foretwin-fan"}
    for twin in (PUMP, FAN):
        model = models[f"foretwin-{twin.name}"]
        (stored,) = (project / ".bentoml/models" / model["name"]).glob("3-*/bundle")
        assert model["hashes"] == [{"alg": "SHA-256", "content": verify(stored)}]
        known = {entry["name"]: entry["value"] for entry in model["properties"]}
        assert known == {
            "foretwin:twin": twin.name,
            "foretwin:run": f"run-of-{twin.name}",
            "foretwin:contract": twin.digest,
        }


def test_the_bento_holds_code_and_no_data(project, bento):
    kinds = {path.suffix for path in bento.rglob("*") if path.is_file()}
    assert not kinds & {".parquet", ".csv", ".npz", ".ckpt", ".pt", ".db"}
    code = {path.relative_to(bento / "src").as_posix() for path in (bento / "src").rglob("*.py")}
    assert code >= {"serving/service.py", "foretwin/predictor/bundle.py", "foretwin/serving/__main__.py"}
    assert not code & {
        "foretwin/training/network.py",
        "foretwin/serving/packaging/bento.py",
        "foretwin/registry/runs.py",
    }
    models = {path for path in (project / ".bentoml/models").rglob("*") if path.is_file() and path.name != "latest"}
    assert {path.parent.name for path in models if path.suffix == ".parquet"} == {"golden"}


def test_nothing_in_the_bento_is_a_pickle_or_reads_one(project, bento):
    files = [path for path in (project / ".bentoml").rglob("*") if path.is_file()]
    assert len(files) > 50
    # Protocol 2 and later start so; .npy would say that it holds objects.
    assert [path for path in files if path.read_bytes()[:1] == b"\x80" or path.suffix in {".pkl", ".npy"}] == []
    readers = {"pickle", "cloudpickle", "joblib", "dill", "shelve", "marshal"}
    for path in (bento / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & readers, path


def test_each_file_of_code_is_the_project_s_own(bento):
    for path in (bento / "src").rglob("*.py"):
        place = path.relative_to(bento / "src")
        original = REPOSITORY / ("src" if place.parts[0] == "foretwin" else "") / place
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(original.read_bytes()).digest(), place


def test_the_bentos_own_code_is_complete_and_light(project, bento):
    script = "import sys; sys.path.insert(0, '.'); import foretwin.serving.__main__, serving.service;"
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
    champions = kept_champions(project)
    bentos.stage_bento(project, tmp_path, champions)
    digest = bentos.bento_digest(tmp_path, champions)
    assert bentos.bento_digest(tmp_path, champions[:1]) != digest
    with (tmp_path / "foretwin" / "dataset" / "table.py").open("a") as out:
        out.write("# changed\n")
    assert bentos.bento_digest(tmp_path, champions) != digest


@pytest.mark.parametrize("name", ["requirements.txt", "sbom.cdx.json", "serving/Dockerfile.template"])
def test_other_libraries_or_another_container_are_another_bento(project, tmp_path, name):
    champions = kept_champions(project)
    bentos.stage_bento(project, tmp_path, champions)
    digest = bentos.bento_digest(tmp_path, champions)
    with (tmp_path / name).open("a") as out:
        out.write("\n")
    assert bentos.bento_digest(tmp_path, champions) != digest


def test_the_served_code_is_found_by_its_imports():
    names = {path.name for path in served_files(REPOSITORY)}
    assert names >= {"service.py", "__main__.py", "app.py", "authentication.py", "bundle.py", "twin.py", "errors.py"}
    assert not names & {"network.py", "training.py", "packaging.py", "store.py"}


def test_the_command_tells_tag_models_and_what_comes_next(project, packaged, bento, monkeypatch):
    monkeypatch.setattr(cli_bento, "PROJECT", project)
    monkeypatch.setenv("BENTOML_HOME", str(project / ".bentoml"))
    shown = CliRunner().invoke(cli_bento.bento_command, catch_exceptions=False).output
    assert shown.startswith(f"{packaged['bento']}: fan version 3, pump version 3; ")
    assert str(bento / "src/sbom.cdx.json") in shown
    assert f"&& BENTOML_HOME={project / '.bentoml'} bentoml containerize {packaged['bento']} --image-tag" in shown


def test_a_project_without_champions_cannot_be_served(tmp_path):
    with pytest.raises(RegistryError, match="there is no champion to serve"):
        bentos.ensure(tmp_path)


def test_a_twin_without_a_champion_cannot_be_packaged(tmp_path):
    tiny_project(tmp_path, FAN)
    with pytest.raises(RegistryError, match="pump: has no champion"):
        bentos.package(tmp_path, "pump")


def test_an_altered_champion_is_not_packaged(tmp_path):
    tiny_project(tmp_path, FAN)
    with (tmp_path / "models/fan/champion/bundle/network.onnx").open("ab") as out:
        out.write(b"0")
    with pytest.raises(BundleError, match=r"network.onnx: missing, unknown or altered"):
        bentos.ensure(tmp_path)


def test_a_bundle_that_is_not_the_named_one_is_not_kept_and_the_old_one_stays(tmp_path):
    tiny_project(tmp_path, FAN)
    other = tmp_path / "other"
    other.mkdir()
    save_tiny_bundle(other, FAN, seed=2)
    old = ModelIdentity.read(tmp_path / "models/fan/champion/identity.json")
    with pytest.raises(BundleError, match="is not the bundle of foretwin-fan version 3"):
        keep_champion(Paths(tmp_path, "fan"), other, old)
    assert kept_champions(tmp_path)[0].identity == old
