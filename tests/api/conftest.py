"""A project with a champion of the shipped pump's contract, trained from Python in a few seconds."""

import shutil
from pathlib import Path

import pytest

import foretwin
from foretwin.champion.champion import keep_champion
from foretwin.champion.identity import ModelIdentity
from foretwin.project.paths import Paths
from support.tiny_bundle import REPOSITORY


@pytest.fixture(scope="session")
def trained_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's folder: the shipped contracts, and a champion of the pump."""
    root = tmp_path_factory.mktemp("project")
    for path in REPOSITORY.glob("data/*/twin.yaml"):
        (root / path.parent.relative_to(REPOSITORY)).mkdir(parents=True)
        shutil.copy(path, root / path.relative_to(REPOSITORY))
    contract = foretwin.load_contract(root / "data" / "pump" / "twin.yaml")
    rows = foretwin.load_dataset("pump", root, assets=24)
    bundle = foretwin.train(rows, contract, root / "trained", windows=10_000, folds=2)
    keep_champion(Paths(root, "pump"), root / "trained", ModelIdentity("foretwin-pump", "1", "a-run", bundle.digest))
    return root


@pytest.fixture
def project(trained_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a copy of that project."""
    root = tmp_path / "project"
    shutil.copytree(trained_project, root)
    monkeypatch.chdir(root)
    return root
