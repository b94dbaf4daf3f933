"""The registry in a clone, a moved project, a copy, and a store of the user's own."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from foretwin import registry
from foretwin.predictor.bundle import verify
from support.registry_project import Project

pytest_plugins = ["support.registry_project"]


def test_a_lost_champion_is_named_in_the_verdict_and_does_not_block(promoted):
    shutil.rmtree(promoted.root / "mlartifacts")
    shutil.rmtree(promoted.paths.models / "champion")
    promoted.train(2, 15)
    verdict = promoted.promote()
    assert verdict["promoted"]
    assert any("foretwin-pump version 1" in r and "cannot be compared" in r for r in verdict["reasons"])


def _cloned(project: Project, empty_store: Path) -> Project:
    """What `git clone` and `dvc pull` bring to another machine."""
    clone = Project(project.root.with_name("clone"))
    shutil.copytree(project.root, clone.root, ignore=shutil.ignore_patterns("mlflow.db", "mlartifacts"))
    shutil.copy(empty_store, clone.root / "mlflow.db")
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


def test_a_clone_that_trains_the_same_bundle_is_given_the_same_verdict(promoted, empty_store):
    """Git brings verdict and ledger, not what DVC keeps: neither the champion nor what it came from."""
    clone = _cloned(promoted, empty_store)
    shutil.rmtree(clone.paths.models / "champion")
    told = json.loads((clone.paths.models / "timings.json").read_text())
    told["train"]["git"]["commit"] = "d" * 40
    (clone.paths.models / "timings.json").write_text(json.dumps(told))
    for name in ("lineage.json", "card.html"):
        (clone.paths.models / name).unlink()

    clone.promote()

    for name in ("promotion.json", "ledger.jsonl", "lineage.json", "card.html", "champion/identity.json"):
        assert (clone.paths.models / name).read_bytes() == (promoted.paths.models / name).read_bytes(), name
    champion = registry.champion(clone.root, "pump")
    assert champion.run != champion.identity()["run"] == registry.champion(promoted.root, "pump").run


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
    counts, runs = promoted.counts(), {run.info.run_id for run in promoted.runs("pipeline")}
    moved = promoted.copied_to(promoted.root.with_name("moved to elsewhere"))
    shutil.rmtree(promoted.root)
    if not with_artifacts:
        shutil.rmtree(moved.root / "mlartifacts")

    champion = registry.publish(moved.root, ["pump"])["pump"]

    assert champion.identity() == before["champion"]
    assert moved.client.get_run(champion.run).data.tags["foretwin.before_move"] in runs
    assert champion.folder.is_relative_to(moved.root)
    assert moved.counts() == counts
    assert {found.path for found in moved.client.list_artifacts(champion.run)} >= {
        "bundle",
        "card.html",
        "tuning.json",
    }
    first = moved.client.get_model_version_download_uri("foretwin-pump", "1")
    assert str(moved.root) in first
    assert Path(first).exists() is with_artifacts


@pytest.mark.parametrize("step", ["set_terminated", "log_model_artifacts", "create_model_version", "rename_experiment"])
def test_a_move_that_is_interrupted_is_completed_by_the_next_command(promoted, step, monkeypatch):
    promoted.train(2, 8)
    promoted.promote()
    counts, pages = promoted.counts(), promoted.client.get_model_version("foretwin-pump", "2").description
    root = promoted.root.with_name("copy")
    shutil.copytree(promoted.root, root)
    with monkeypatch.context() as broken:
        broken.setattr(MlflowClient, step, fails_after(1, getattr(MlflowClient, step)))
        with pytest.raises(OSError, match="no space left"):
            registry.champion(root, "pump")
    copy = Project(root)
    champion = registry.champion(root, "pump")
    assert (champion.version, champion.digest) == ("2", verify(copy.paths.models / "champion" / "bundle"))
    assert copy.counts() == counts
    assert copy.client.get_model_version("foretwin-pump", "2").description == pages
    assert [model.name for model in copy.client.search_registered_models()] == ["foretwin-pump"]
    assert registry.champion(promoted.root, "pump").folder.is_relative_to(promoted.root)


def fails_after(calls, step):
    """The step, which fails once so many calls went well."""
    done = []

    def run(*arguments, **named):
        done.append(1)
        if len(done) > calls:
            raise OSError("no space left on device")
        return step(*arguments, **named)

    return run


def test_artifacts_that_the_user_put_elsewhere_are_no_move(project, tmp_path, monkeypatch):
    monkeypatch.setenv("FORETWIN_ARTIFACTS", str(tmp_path / "disk" / "mlartifacts"))
    project.train(1, 10)
    run = project.promote()["run"]
    monkeypatch.delenv("FORETWIN_ARTIFACTS")
    assert registry.champion(project.root, "pump").run == run


def test_a_copy_does_not_read_the_original(promoted):
    copy = promoted.copied_to(promoted.root.with_name("copy"))
    assert registry.champion(copy.root, "pump").folder.is_relative_to(copy.root)
    assert registry.champion(promoted.root, "pump").folder.is_relative_to(promoted.root)


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
