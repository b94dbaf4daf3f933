"""The registry in a clone, a moved project, a copy, and a store of the user's own."""

import hashlib
import shutil
from pathlib import Path

import pytest

from foretwin import registry
from foretwin.predictor.bundle import verify
from support.registry_project import Project

pytest_plugins = ["support.registry_project"]


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
    assert {found.path for found in moved.client.list_artifacts(before["run"])} >= {
        "bundle",
        "card.html",
        "tuning.json",
    }
    first = moved.client.get_model_version_download_uri("foretwin-pump", "1")
    assert str(moved.root) in first
    assert Path(first).exists() is with_artifacts


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
