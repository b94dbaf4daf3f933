"""What the stages recorded, as runs of a real MLflow store."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from foretwin import registry
from foretwin.champion import provenance
from foretwin.errors import RegistryError
from foretwin.predictor.bundle import verify
from foretwin.registry import runs
from foretwin.registry.tracking_store import connect_mlflow
from support.registry_project import BEGAN, TWIN, measured

pytest_plugins = ["support.registry_project"]


def epoch(seconds: int) -> int:
    """Seconds after the beginning of the training, in those of Unix."""
    return int(BEGAN.timestamp()) + seconds


def data_sets(run) -> dict[str, tuple[str, str]]:
    """Place -> context and digest of the data that a run used."""
    found = {}
    for used in run.inputs.dataset_inputs:
        (context,) = (tag.value for tag in used.tags if tag.key == "mlflow.data.context")
        found[used.dataset.name] = (context, json.loads(used.dataset.source)["sha256"])
    return found


def test_one_run_holds_the_training_with_its_trials_inside_and_the_best_one_is_marked(project):
    project.train(1, 10)
    parent = registry.publish_training(project.paths)

    (run,) = project.runs("pipeline")
    assert run.info.run_id == parent
    assert re.fullmatch("pipeline pump [0-9a-f]{8}", run.info.run_name)
    told = {name: value for name, value in run.data.params.items() if name.startswith("tune.")}
    assert told == {"tune.seed": "1", "tune.windows": "10", "tune.trials": "3", "tune.best_trial": "0"}
    trials = {t.info.run_name: t for t in project.runs("trial")}
    assert {t.data.tags["mlflow.parentRunId"] for t in trials.values()} == {parent}
    assert {name: trial.info.status for name, trial in trials.items()} == {
        "trial 0 (best)": "FINISHED",
        "trial 1": "KILLED",
        "trial 2": "FAILED",
    }
    assert [name for name, trial in trials.items() if trial.data.tags.get("foretwin.best")] == ["trial 0 (best)"]
    first = trials["trial 0 (best)"]
    assert first.data.params == {"lr": "0.1"}
    assert first.data.metrics["value"] == 0.5
    assert first.data.metrics["seconds"] == 1
    assert (first.info.start_time, first.info.end_time) == (1000 * epoch(1), 1000 * epoch(2) + 500)
    assert run.info.start_time == 1000 * epoch(0)
    assert run.data.metrics["seconds"] == run.data.metrics["seconds_of/network"] == 3
    curve = project.client.get_metric_history(first.info.run_id, "objective")
    assert [(point.step, point.value) for point in curve] == [(0, 0.9), (1, 0.5)]
    assert [p.value for p in project.client.get_metric_history(parent, "tune/best")] == [0.5]


def test_without_the_times_of_the_stages_a_run_has_the_rest(project):
    """As in a clone that `dvc pull` filled; the commit is then that of the verdict, if there is one."""
    project.train(1, 10)
    (project.paths.models / "timings.json").unlink()
    registry.publish_evaluation(project.paths)
    (run,) = project.runs("pipeline")
    assert "seconds" not in run.data.metrics
    assert run.data.metrics["test/rul/clipped/rmse"] == 10
    assert run.data.tags["mlflow.source.git.commit"] == "unknown"
    assert run.info.start_time > 1000 * epoch(3600)


def test_each_training_has_its_own_trials_and_those_of_another_tuning_are_left_out(project):
    project.train(1, 10)
    first = registry.publish_training(project.paths)
    project.train(2, 10)
    second = registry.publish_training(project.paths)
    assert sorted(t.data.tags["mlflow.parentRunId"] for t in project.runs("trial")) == sorted([first, second] * 3)
    project.train(3, 10)
    tuning = json.loads((project.paths.models / "tuning.json").read_text())
    project.write("tuning.json", {**tuning, "best": {"lr": 0.7}})  # tuned again since
    third = registry.publish_training(project.paths)
    assert third not in {t.data.tags["mlflow.parentRunId"] for t in project.runs("trial")}
    assert "tuning.json" not in {found.path for found in project.client.list_artifacts(third)}


def test_a_training_run_holds_params_curves_data_digests_origin_and_bundle(project):
    digest = project.train(1, 10)
    record = json.loads(project.paths.evaluation.read_text())
    judged = {"fleet_judgement": measured(12), "k_means": measured(13)}
    project.write("evaluation.json", record | {"candidates": judged})
    run_id = registry.publish_evaluation(project.paths)

    client = project.client
    run = client.get_run(run_id)
    params = {name: value for name, value in run.data.params.items() if not name.startswith("tune.")}
    assert params == {"windows": "10", "seed": "1", "choice.trunk": "gru", "choice.lr": "0.1"}
    curve = client.get_metric_history(run_id, "val/loss/fold-1")
    assert [(point.step, point.value) for point in curve] == [(0, 2.0), (1, 1.0), (2, pytest.approx(2 / 3))]
    assert data_sets(run) == {
        "windows/development.parquet": ("training", "a" * 64),
        "windows/test.parquet": ("evaluation", "b" * 64),
    }
    tags = run.data.tags
    assert tags["mlflow.source.git.commit"] == "c" * 40
    assert (tags["foretwin.bundle"], tags["foretwin.contract"]) == (digest, TWIN.digest)
    assert tags["environment.torch"] == "2"
    assert run.data.metrics["test/rul/clipped/rmse"] == 10
    assert run.data.metrics["baselines/linear/fault/mode/macro_f1"] == 0.8
    assert run.data.metrics["test/fleet_judgement/rul/clipped/rmse"] == 12, "what the fleet's judgement alone would say"
    kept = {artifact.path for artifact in client.list_artifacts(run_id)}
    assert kept >= {"bundle", "training.json", "tuning.json", "evaluation.json", "metrics.json"}
    assert kept >= {"plots", "report.html", "validation"}
    assert verify(Path(client.download_artifacts(run_id, "bundle"))) == digest


def test_what_the_gate_left_and_the_data_that_the_lineage_names_are_in_the_run(promoted):
    (run,) = promoted.runs("pipeline")
    kept = {artifact.path for artifact in promoted.client.list_artifacts(run.info.run_id)}
    assert kept >= {"promotion.json", "lineage.json", "card.html", "report.html", "bundle"}
    (promoted.paths.raw).mkdir()
    (promoted.paths.raw / "fleet.parquet").write_bytes(b"readings")
    provenance.write_lineage(
        promoted.paths,
        json.loads((promoted.paths.models / "promotion.json").read_text()),
        promoted.paths.models / "lineage.json",
    )
    runs.publish_decision(promoted.paths, run.info.run_id)
    digest = hashlib.sha256(b"readings").hexdigest()
    assert data_sets(promoted.runs("pipeline")[0])["raw/fleet.parquet"] == ("source", digest)


def test_an_artifact_that_vanished_or_changed_is_put_back(promoted):
    (run,) = promoted.runs("pipeline")
    place = Path(run.info.artifact_uri)
    shutil.rmtree(place / "plots")
    (promoted.paths.models / "report.html").write_text("<p>another</p>")
    registry.publish_evaluation(promoted.paths)
    assert (place / "plots" / "rul.png").read_bytes() == b"picture"
    assert (place / "report.html").read_text() == "<p>another</p>"


def test_the_latest_figures_are_those_of_the_latest_evaluation(project):
    project.train(1, 10)
    registry.publish_evaluation(project.paths)
    project.measure_candidate(8)
    run_id = registry.publish_evaluation(project.paths)
    assert project.client.get_run(run_id).data.metrics["test/rul/clipped/rmse"] == 8
    assert len(project.runs("pipeline")) == 1


def test_an_interrupted_publication_is_made_again(project, monkeypatch):
    project.train(1, 10)
    with monkeypatch.context() as patch:
        patch.setattr("foretwin.registry.runs._publish_trial", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            registry.publish_training(project.paths)
    run_id = registry.publish_training(project.paths)
    assert [(run.info.run_id, run.info.status) for run in project.runs("pipeline")] == [(run_id, "FINISHED")]
    assert len(project.runs("trial")) == 3


def test_a_missing_record_is_named(project):
    with pytest.raises(RegistryError, match=r"training\.json: not found; run `dvc repro`"):
        registry.publish_training(project.paths)


def test_a_deleted_experiment_is_restored(project):
    project.train(1, 10)
    registry.publish_training(project.paths)
    project.client.delete_experiment(project.experiment)
    registry.publish_training(project.paths)
    assert project.client.get_experiment(project.experiment).lifecycle_stage == "active"


def test_importing_the_registry_imports_no_mlflow():
    check = "import sys, foretwin.registry; assert 'mlflow' not in sys.modules and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_the_tracking_store_is_its_owners_alone(tmp_path):
    assert connect_mlflow(tmp_path).search_experiments() != []
    assert (tmp_path / "mlflow.db").stat().st_mode & 0o777 == 0o600
