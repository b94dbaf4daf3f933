"""What the stages recorded, as runs of a real MLflow store."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from registry_project import TWIN

from foretwin import registry
from foretwin.bundle import verify
from foretwin.errors import RegistryError

pytest_plugins = ["registry_project"]


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


def test_a_missing_record_is_named(project):
    with pytest.raises(RegistryError, match=r"training\.json: not found; run `dvc repro`"):
        registry.publish_training(project.paths)


def test_a_deleted_experiment_is_restored(project):
    project.train(1, 10)
    registry.publish_tuning(project.paths)
    project.client.delete_experiment(project.experiment)
    registry.publish_training(project.paths)
    assert project.client.get_experiment(project.experiment).lifecycle_stage == "active"


def test_importing_the_registry_imports_no_mlflow():
    check = "import sys, foretwin.registry; assert 'mlflow' not in sys.modules and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True)
