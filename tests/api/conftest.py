"""A project with the shipped contracts, and one with a champion of the pump, trained from Python in a few seconds."""

import shutil
from pathlib import Path

import pytest

import foretwin
from foretwin.champion.champion import keep_champion
from foretwin.champion.identity import ModelIdentity
from foretwin.project.paths import Paths
from support.tiny_bundle import REPOSITORY


def copy_contracts(root: Path) -> None:
    """Write the shipped contracts to data/<twin>/ of this folder."""
    for path in REPOSITORY.glob("data/*/twin.yaml"):
        (root / path.parent.relative_to(REPOSITORY)).mkdir(parents=True)
        shutil.copy(path, root / path.relative_to(REPOSITORY))


def train_pump(root: Path) -> None:
    """Make this folder a project with the shipped contracts and a champion of the pump."""
    copy_contracts(root)
    contract = foretwin.load_contract(root / "data" / "pump" / "twin.yaml")
    rows = foretwin.load_dataset("pump", root, assets=24)
    bundle = foretwin.train(rows, contract, root / "trained", windows=10_000, folds=2)
    keep_champion(Paths(root, "pump"), root / "trained", ModelIdentity("foretwin-pump", "1", "a-run", bundle.digest))


@pytest.fixture
def bare_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a project with the shipped contracts alone."""
    root = tmp_path / "project"
    copy_contracts(root)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def project(shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a copy of the project with a champion."""
    root = tmp_path / "project"
    shutil.copytree(shared("pump-trained-in-python", train_pump), root)
    monkeypatch.chdir(root)
    return root
