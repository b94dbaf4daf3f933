"""The registry against a real MLflow store on SQLite, with bundles that need no training."""

import hashlib
import json
import math
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache
from tiny_bundle import random_rows, save_tiny_bundle, tiny_twin

from foretwin import registry
from foretwin.bundle import Bundle, verify
from foretwin.config import Params, Paths
from foretwin.contract import Twin
from foretwin.errors import RegistryError
from foretwin.registry import store, versions
from foretwin.rows import read_rows, write_rows

TWIN = tiny_twin()
PARAMS = Params.model_validate(
    {
        "twins": ["pump"],
        "prepare": {"test_share": 0.25, "folds": 2, "cuts": 2, "seed": 1},
        "tune": {"trials": 3, "windows": 10, "seed": 1},
        "train": {"windows": 10, "batch": 2, "level": 0.9, "seed": 1},
        "promote": {"allowed_loss": 0.02},
    }
)
TRIALS = [
    {"number": 0, "state": "complete", "value": 0.5, "params": {"lr": 0.1}, "seconds": 1.0, "curve": [0.9, 0.5]},
    {"number": 1, "state": "pruned", "value": None, "params": {"lr": 0.2}, "seconds": None, "curve": [1.5]},
    {"number": 2, "state": "fail", "value": None, "params": {"lr": 0.3}, "seconds": None, "curve": []},
]


def measured(error: float) -> dict:
    """Figures of a network with this RUL error, and a macro-F1 that falls as the error grows."""
    axes = {axis: {"macro_f1": 1 - error / 100, "accuracy": 0.9} for axis in TWIN.axes}
    return {"rul": {"clipped": {"rmse": error, "phm08": 1.0, "rmse_late": 2.0}}, "fault": axes}


class Project:
    """A project's folder as the stages leave it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = Paths(root, "pump")
        self.errors: dict[str, float] = {}  # bundle digest -> what `measure` answers

    def train(self, seed: int, error: float, contract: Twin = TWIN) -> str:
        """A candidate with this RUL error, where the baselines have 40 and 20 h; returns its digest."""
        models = self.paths.models
        shutil.rmtree(models / "bundle", ignore_errors=True)
        (models / "bundle").mkdir(parents=True)
        self.paths.windows.mkdir(parents=True, exist_ok=True)
        digest = save_tiny_bundle(models / "bundle", contract, seed)
        rows = random_rows(contract, {f"a@{i}": 8 for i in range(3)}).assign(rul=30.0, fault_mode=1, fault_bearing=0)
        write_rows(rows, contract, self.paths.windows / "test.parquet")
        data = {"development.parquet": "a" * 64, "test.parquet": "b" * 64}
        curves = [{"epoch": e, "windows": 10 * e, "train/loss": 1 / (e + 1), "val/loss": 2 / (e + 1)} for e in range(3)]
        training = {
            "twin": "pump",
            "params": {"windows": 10, "seed": seed},
            "choice": {"trunk": "gru", "lr": 0.1},
            "members": [{"fold": f, "seconds": 1.5, "curves": curves} for f in range(2)],
            "data": data,
            "contract": contract.digest,
            "bundle": digest,
            "git": {"commit": "c" * 40, "dirty": False},
            "environment": {"python": "3.11", "torch": "2"},
            "seconds": 3.0,
        }
        tuning = {"twin": "pump", "seed": 1, "windows": 10, "best": {"lr": 0.1}, "value": 0.5, "trials": TRIALS}
        self.write("training.json", training)
        self.write("tuning.json", tuning)
        self.measure_candidate(error)
        return digest

    def measure_candidate(self, error: float) -> None:
        """What the stage evaluate writes."""
        digest = verify(self.paths.models / "bundle")
        self.errors[digest] = error
        baselines = {"constant": measured(40), "linear": measured(20), "gradient_boosting": measured(9)}
        head = {"twin": "pump", "bundle": digest, "assets": 3, "cuts": 6, "unit": "h"}
        self.write("metrics.json", {**head, "network": measured(error), "baselines": baselines})
        (self.paths.models / "plots").mkdir(exist_ok=True)
        (self.paths.models / "plots" / "rul.png").write_bytes(b"picture")
        (self.paths.models / "report.html").write_text("<p>report</p>")
        self.paths.validation.mkdir(exist_ok=True)
        (self.paths.validation / "report.html").write_text("<p>data</p>")

    def write(self, name: str, record: dict) -> None:
        (self.paths.models / name).write_text(json.dumps(record))

    def promote(self) -> dict:
        """The stage promote."""
        verdict = registry.promote(self.paths, PARAMS, lambda bundle, rows: measured(self.errors[bundle.digest]))
        self.write("promotion.json", verdict)
        return verdict

    def package(self) -> None:
        """What the stage package leaves of the champion for DVC to keep."""
        champion = registry.champion(self.root, "pump")
        assert champion is not None
        folder = self.paths.models / "champion"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(champion.folder, folder / "bundle")
        (folder / "identity.json").write_text(json.dumps(champion.identity()))

    def copied_to(self, root: Path) -> "Project":
        """A copy of the folder, as another process sees it: MLflow remembers per process where artifacts were."""
        shutil.copytree(self.root, root)
        _artifact_repos_cache.clear()
        copy = Project(root)
        copy.errors = dict(self.errors)
        store.connect(root)
        return copy

    @property
    def client(self) -> MlflowClient:
        return store.connect(self.root)

    @property
    def experiment(self) -> str:
        return self.client.get_experiment_by_name("foretwin-pump").experiment_id

    def runs(self, kind: str) -> list:
        return list(self.client.search_runs([self.experiment], f"tags.`foretwin.kind` = '{kind}'"))

    def versions(self) -> dict[str, dict[str, str]]:
        found = self.client.search_model_versions("name = 'foretwin-pump'")
        return {str(version.version): version.tags for version in found}

    def counts(self) -> tuple[int, int, int]:
        models = self.client.search_logged_models([self.experiment])
        return len(self.client.search_runs([self.experiment])), len(self.versions()), len(models)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An mlflow.db with its schema, which takes seconds to make."""
    root = tmp_path_factory.mktemp("store")
    store.connect(root).search_experiments()
    return root / "mlflow.db"


@pytest.fixture(autouse=True)
def _own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def make_project(tmp_path: Path, empty_store: Path) -> Callable[[str], Project]:
    def make(name: str) -> Project:
        root = tmp_path / name
        root.mkdir()
        shutil.copy(empty_store, root / "mlflow.db")
        return Project(root)

    return make


@pytest.fixture
def project(make_project: Callable[[str], Project]) -> Project:
    return make_project("project")


@pytest.fixture(scope="session")
def first_champion(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Project:
    """A project whose first candidate, with an RUL error of 10 h, became champion; tests copy it."""
    first = Project(tmp_path_factory.mktemp("first"))
    shutil.copy(empty_store, first.root / "mlflow.db")
    first.train(1, 10)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        first.promote()
    return first


@pytest.fixture
def promoted(tmp_path: Path, first_champion: Project) -> Project:
    return first_champion.copied_to(tmp_path / "promoted")


def test_trials_are_runs_inside_the_tuning_run_with_params_curve_and_state(project):
    project.train(1, 10)
    parent = registry.publish_tuning(project.paths)

    run = project.client.get_run(parent)
    assert run.data.params == {"best.lr": "0.1", "seed": "1", "windows": "10", "trials": "3"}
    assert run.data.metrics["value"] == 0.5
    trials = {t.info.run_name: t for t in project.runs("trial")}
    assert {t.data.tags["mlflow.parentRunId"] for t in trials.values()} == {parent}
    assert [trials[f"trial {i}"].info.status for i in range(3)] == ["FINISHED", "KILLED", "FAILED"]
    first = trials["trial 0"]
    assert first.data.params == {"lr": "0.1"}
    assert first.data.metrics["value"] == 0.5
    curve = project.client.get_metric_history(first.info.run_id, "objective")
    assert [(point.step, point.value) for point in curve] == [(0, 0.9), (1, 0.5)]


def test_a_training_run_holds_params_curves_data_digests_origin_and_bundle(project):
    digest = project.train(1, 10)
    run_id = registry.publish_evaluation(project.paths)

    client = project.client
    run = client.get_run(run_id)
    assert run.data.params == {"windows": "10", "seed": "1", "choice.trunk": "gru", "choice.lr": "0.1"}
    curve = client.get_metric_history(run_id, "val/loss/fold-1")
    assert [(point.step, point.value) for point in curve] == [(0, 2.0), (1, 1.0), (2, pytest.approx(2 / 3))]
    data = {d.dataset.name: json.loads(d.dataset.source)["sha256"] for d in run.inputs.dataset_inputs}
    assert data == {"development.parquet": "a" * 64, "test.parquet": "b" * 64}
    tags = run.data.tags
    assert tags["mlflow.source.git.commit"] == "c" * 40
    assert (tags["foretwin.bundle"], tags["foretwin.contract"]) == (digest, TWIN.digest)
    assert tags["foretwin.tuning_run"] == project.runs("tune")[0].info.run_id
    assert tags["environment.torch"] == "2"
    assert run.data.metrics["test/rul/clipped/rmse"] == 10
    assert run.data.metrics["baselines/linear/fault/mode/macro_f1"] == 0.8
    kept = {artifact.path for artifact in client.list_artifacts(run_id)}
    assert kept >= {"bundle", "training.json", "metrics.json", "plots", "report.html", "validation"}
    assert verify(Path(client.download_artifacts(run_id, "bundle"))) == digest


def test_the_latest_figures_are_those_of_the_latest_evaluation(project):
    project.train(1, 10)
    registry.publish_evaluation(project.paths)
    project.measure_candidate(8)
    run_id = registry.publish_evaluation(project.paths)
    assert project.client.get_run(run_id).data.metrics["test/rul/clipped/rmse"] == 8
    assert len(project.runs("train")) == 1


def test_an_interrupted_publication_is_made_again(project, monkeypatch):
    project.train(1, 10)
    with monkeypatch.context() as patch:
        patch.setattr("foretwin.registry.runs._publish_trial", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            registry.publish_tuning(project.paths)
    run_id = registry.publish_tuning(project.paths)
    assert [(run.info.run_id, run.info.status) for run in project.runs("tune")] == [(run_id, "FINISHED")]
    assert len(project.runs("trial")) == 3


def test_the_first_good_candidate_becomes_champion(project):
    digest = project.train(1, 10)
    assert registry.champion(project.root, "pump") is None

    verdict = project.promote()

    champion = registry.champion(project.root, "pump")
    assert verdict["promoted"]
    assert verdict["champion_before"] is None
    assert (
        verdict["champion"]
        == champion.identity()
        == {
            "name": "foretwin-pump",
            "version": "1",
            "run": verdict["run"],
            "digest": digest,
        }
    )
    assert verify(champion.folder) == digest
    tags = project.versions()["1"]
    assert (tags["foretwin.bundle"], tags["foretwin.contract"]) == (digest, TWIN.digest)
    assert tags["foretwin.gate"] == "promoted"


def test_a_better_candidate_replaces_the_champion(promoted):
    digest = promoted.train(2, 8)
    verdict = promoted.promote()
    assert verdict["champion"]["digest"] == digest
    assert verdict["champion_before"]["figures"] == {"rul_rmse": 10, "fault_macro_f1": 0.9}
    assert registry.champion(promoted.root, "pump").version == "2"


def test_a_worse_candidate_is_refused_and_the_champion_stays(promoted):
    first = registry.champion(promoted.root, "pump").identity()
    promoted.train(2, 12)
    verdict = promoted.promote()
    assert not verdict["promoted"]
    assert verdict["champion"] == first == registry.champion(promoted.root, "pump").identity()
    assert verdict["version"] == "2"
    assert promoted.versions()["2"]["foretwin.gate"] == "refused"
    assert any("above the 2 % allowed" in reason for reason in verdict["reasons"])


def test_a_candidate_that_is_not_a_number_is_refused_and_the_verdict_is_plain_json(project):
    project.train(1, math.nan)
    verdict = project.promote()
    assert not verdict["promoted"]
    assert verdict["champion"] is None
    assert json.loads(json.dumps(verdict, allow_nan=False))["candidate"]["rul_rmse"] is None
    assert registry.champion(project.root, "pump") is None


@pytest.mark.parametrize("candidate", [None, (2, 8), (2, 12)])
def test_repeating_a_promotion_or_a_refusal_changes_no_byte_and_adds_nothing(promoted, candidate):
    if candidate:
        promoted.train(*candidate)
        promoted.promote()
    written, counts = (promoted.paths.models / "promotion.json").read_bytes(), promoted.counts()
    promoted.promote()
    registry.publish(promoted.root, ["pump"])
    assert (promoted.paths.models / "promotion.json").read_bytes() == written
    assert promoted.counts() == counts


def test_a_champion_that_is_measured_anew_stays_without_a_new_version(promoted):
    promoted.measure_candidate(11)
    verdict = promoted.promote()
    assert verdict["promoted"]
    assert "champion already" in verdict["reasons"][0]
    assert list(promoted.versions()) == ["1"]


def test_a_former_champion_is_judged_again_against_the_present_one(promoted):
    promoted.train(2, 8)
    promoted.promote()
    promoted.train(1, 10)
    verdict = promoted.promote()
    assert not verdict["promoted"]
    assert (verdict["version"], verdict["champion"]["version"]) == ("1", "2")


def test_a_champion_under_another_contract_is_named_and_only_the_baselines_count(project):
    project.train(1, 5)
    project.promote()
    project.train(2, 15, tiny_twin(channels=4))
    verdict = project.promote()
    assert verdict["promoted"]
    assert verdict["champion_before"]["figures"] is None
    assert any("channel c3 is absent for it and in bar now" in reason for reason in verdict["reasons"])


def test_records_of_another_bundle_are_refused(project):
    project.train(1, 10)
    metrics = (project.paths.models / "metrics.json").read_text()
    project.train(2, 10)
    (project.paths.models / "metrics.json").write_text(metrics)
    with pytest.raises(RegistryError, match=r"metrics\.json: is of another bundle; run `dvc repro evaluate@pump`"):
        project.promote()
    shutil.rmtree(project.paths.models / "bundle")
    (project.paths.models / "bundle").mkdir()
    save_tiny_bundle(project.paths.models / "bundle", TWIN, 3)
    with pytest.raises(RegistryError, match=r"training\.json: is of another bundle"):
        project.promote()


def test_a_missing_record_is_named(project):
    with pytest.raises(RegistryError, match=r"training\.json: not found; run `dvc repro`"):
        registry.publish_training(project.paths)


def test_a_model_without_signature_is_not_registered(project, monkeypatch):
    project.train(1, 10)
    run = registry.publish_training(project.paths)
    monkeypatch.setattr(versions, "signature", lambda _: None)
    monkeypatch.setattr(versions, "_example", lambda *_: None)
    with pytest.raises(RegistryError, match="no signature"):
        registry.register(project.paths, run)
    assert project.versions() == {}


def test_the_signature_speaks_the_contract(project):
    signature = versions.signature(TWIN)
    columns = {spec.name: spec.type.name for spec in signature.inputs}
    assert columns == {"asset": "string", "run": "long", "time": "double"} | dict.fromkeys(TWIN.channels, "double")
    scores = Bundle.load(_saved(project)).score(random_rows(TWIN, {"a": 5}))
    assert [spec.name for spec in signature.outputs] == scores.columns.tolist()


LOAD = """
import importlib.util, sys
sys.path[:] = [place for place in sys.path if not place.endswith("/src")]
assert importlib.util.find_spec("foretwin") is None
import mlflow, pandas
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/foretwin-pump@champion")
rows = pandas.read_parquet(sys.argv[2])
model.predict(rows[rows.columns[::-1]]).to_json(sys.argv[3], orient="records", double_precision=15)
import foretwin.bundle
assert "mlartifacts" in foretwin.bundle.__file__, foretwin.bundle.__file__
"""


def test_the_champion_loads_without_foretwin_and_scores_as_the_bundle_does(promoted, tmp_path):
    rows = random_rows(TWIN, {"a": 12, "b": 5})
    rows.to_parquet(tmp_path / "rows.parquet")
    call = [sys.executable, "-I", "-W", "error::FutureWarning", "-c", LOAD, store.tracking_uri(promoted.root)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run([*call, tmp_path / "rows.parquet", tmp_path / "out.json"], check=True, env=environment, cwd=tmp_path)

    got = pd.DataFrame(json.loads((tmp_path / "out.json").read_text()))
    bundle = Bundle.load(promoted.paths.models / "bundle")
    expected = bundle.score(rows)
    assert got.columns.tolist() == expected.columns.tolist()
    assert got["asset"].tolist() == ["a", "b"]
    assert got["warnings"].tolist() == expected["warnings"].tolist()
    columns = list(bundle.score_columns)
    np.testing.assert_allclose(got[columns].to_numpy(float), expected[columns].to_numpy(float), rtol=0, atol=1e-6)
    assert np.ptp(expected["rul"]) > 0.01


def test_nothing_is_pickled_and_requirements_are_pinned(promoted):
    files = [path for path in (promoted.root / "mlartifacts").rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix in (".pkl", ".pickle", ".joblib", ".pt")]
    models = [path for path in files if path.name == "MLmodel"]
    assert len(models) == 1
    flavor = yaml.safe_load(models[0].read_text())["flavors"]["python_function"]
    assert Path(flavor["model_code_path"]).name == "pyfunc.py"
    assert "python_model" not in flavor, "that is where a pickled model would be named"
    requirements = (models[0].parent / "requirements.txt").read_text().split()
    assert {line.split("==")[0] for line in requirements} == {"mlflow", *versions.REQUIREMENTS}
    example = json.loads((models[0].parent / "input_example.json").read_text())
    assert example["columns"] == ["asset", "run", "time", *TWIN.channel_names]
    assert not list((models[0].parent / "code").rglob("__pycache__"))


def test_an_altered_champion_is_not_handed_out(promoted):
    folder = registry.champion(promoted.root, "pump").folder
    (folder / "network.onnx").write_bytes(b"other")
    with pytest.raises(RegistryError, match=r"foretwin-pump version 1: .*network\.onnx"):
        registry.champion(promoted.root, "pump")


def test_a_lost_champion_is_named_in_the_verdict_and_does_not_block(promoted):
    shutil.rmtree(promoted.root / "mlartifacts")
    promoted.train(2, 15)
    verdict = promoted.promote()
    assert verdict["promoted"]
    assert any("foretwin-pump version 1" in r and "cannot be compared" in r for r in verdict["reasons"])


def _cloned(project: Project, empty_store: Path) -> Project:
    """What `git clone` and `dvc pull` bring to another machine."""
    clone = Project(project.root.with_name("clone"))
    shutil.copytree(project.root, clone.root, ignore=shutil.ignore_patterns("mlflow.db", "mlartifacts"))
    shutil.copy(empty_store, clone.root / "mlflow.db")
    clone.errors = project.errors
    return clone


def test_a_clone_gets_runs_versions_numbers_and_champion_back(promoted, empty_store):
    kept = promoted.train(2, 8)
    promoted.promote()
    promoted.train(3, 12)
    refused = promoted.promote()
    promoted.package()
    clone = _cloned(promoted, empty_store)
    shutil.rmtree(promoted.root)

    champion = registry.publish(clone.root, ["pump", "never-trained"])

    assert champion["never-trained"] is None
    assert (champion["pump"].version, champion["pump"].digest) == ("2", kept)
    assert verify(champion["pump"].folder) == kept
    found = clone.versions()
    assert {number: tags["foretwin.gate"] for number, tags in found.items()} == {"2": "promoted", "3": "refused"}
    assert found["3"]["foretwin.first_run"] == refused["run"]
    counts = clone.counts()
    registry.publish(clone.root, ["pump"])
    assert clone.counts() == counts
    assert clone.promote() == refused


def test_the_gate_of_a_clone_knows_the_restored_champion(promoted, empty_store):
    promoted.package()
    clone = _cloned(promoted, empty_store)
    clone.train(2, 12)
    (clone.paths.models / "promotion.json").unlink()
    verdict = clone.promote()
    assert not verdict["promoted"]
    assert verdict["champion"]["version"] == "1"


@pytest.mark.parametrize("with_artifacts", [True, False])
def test_a_moved_project_keeps_its_registry(promoted, with_artifacts):
    promoted.train(2, 8)
    before = promoted.promote()
    promoted.package()
    counts = promoted.counts()
    moved = promoted.copied_to(promoted.root.with_name("moved to elsewhere"))
    shutil.rmtree(promoted.root)
    if not with_artifacts:
        shutil.rmtree(moved.root / "mlartifacts")

    champion = registry.publish(moved.root, ["pump"])["pump"]

    assert champion.identity() == before["champion"]
    assert champion.folder.is_relative_to(moved.root)
    assert moved.counts() == counts
    for run_id in (before["run"], moved.runs("tune")[0].info.run_id):
        assert moved.client.list_artifacts(run_id)
    first = moved.client.get_model_version_download_uri("foretwin-pump", "1")
    assert str(moved.root) in first
    assert Path(first).exists() is with_artifacts


def test_a_copy_does_not_read_the_original(promoted):
    copy = promoted.copied_to(promoted.root.with_name("copy"))
    assert registry.champion(copy.root, "pump").folder.is_relative_to(copy.root)
    assert registry.champion(promoted.root, "pump").folder.is_relative_to(promoted.root)


def test_a_deleted_experiment_is_restored(project):
    project.train(1, 10)
    registry.publish_tuning(project.paths)
    project.client.delete_experiment(project.experiment)
    registry.publish_training(project.paths)
    assert project.client.get_experiment(project.experiment).lifecycle_stage == "active"


def test_a_store_of_the_users_own_is_used(project, make_project, monkeypatch):
    other = make_project("other")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{other.root}/mlflow.db")
    project.train(1, 10)
    project.promote()
    untouched = hashlib.sha256((project.root / "mlflow.db").read_bytes()).hexdigest()
    assert registry.champion(project.root, "pump") is not None
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert registry.champion(project.root, "pump") is None
    assert hashlib.sha256((project.root / "mlflow.db").read_bytes()).hexdigest() == untouched


def test_the_stage_measures_the_champion_writes_the_verdict_and_prints_each_reason(project, capsys):
    stage = runpy.run_path(str(Path(__file__).parents[1] / "pipelines" / "promote.py"))["main"]
    (project.root / "params.yaml").write_text(yaml.safe_dump(PARAMS.model_dump(mode="json")))
    project.train(1, 10)
    stage("pump", project.root)
    champion = Bundle.load(project.paths.models / "bundle")
    project.train(2, 19.5)
    stage("pump", project.root)

    written = (project.paths.models / "promotion.json").read_bytes()
    verdict = json.loads(written)
    rows = read_rows(project.paths.windows / "test.parquet", TWIN)
    rmse = np.sqrt(np.mean((champion.score(rows)["rul"] - 30) ** 2))
    assert verdict["champion_before"]["figures"]["rul_rmse"] == pytest.approx(rmse)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1 - len(verdict["reasons"])].startswith("promote pump: version 2 promoted; the champion is foretwin-")
    assert lines[-len(verdict["reasons"]) :] == [f"promote pump: {reason}" for reason in verdict["reasons"]]
    (project.paths.models / "promotion.json").unlink()
    stage("pump", project.root)
    assert (project.paths.models / "promotion.json").read_bytes() == written


def test_importing_the_registry_imports_no_mlflow():
    check = "import sys, foretwin.registry; assert 'mlflow' not in sys.modules and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True)


def _saved(project: Project) -> Path:
    project.train(1, 10)
    return project.paths.models / "bundle"
