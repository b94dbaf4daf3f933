"""Which models saw an asset of the store: what the stages recorded, joined with the histories that held it.

A training's record (`training.json`) names the history that was among its data by its digest, and the split of the
assets by the digest of `splits.json`. Records and splits of earlier trainings lie in DVC's cache and in MLflow's
artifacts.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foretwin.config import Paths
from foretwin.sources.store import PREFIX
from foretwin.twin.records.copies import records
from foretwin.windows import TEST

TRAINED, HELD_OUT, EITHER = "training", "evaluation", "training or evaluation"
SPLITS = "splits.json"


@dataclass(frozen=True)
class SeenBy:
    """A model whose data held the asset. `versions` are the numbers that a registry gave it, empty where none did."""

    bundle: str  # digest
    seen_in: str  # training, evaluation, or where the split is lost, one of them
    versions: tuple[str, ...]
    is_champion: bool


def models_that_saw(root: Path, twin: str, name: str, histories: Collection[str], cache: Path | None) -> list[SeenBy]:
    """The models in order of their versions; `histories` are the digests of the exports that held the asset.

    To be asked before any copy is removed: splits that name the asset say whether it was trained on or held out.
    """
    paths = Paths(root, twin)
    folders = [folder for folder in (paths.models, paths.windows, cache, root / "mlartifacts") if folder is not None]
    folds = {digest: fold for folder in folders for digest, fold in _splits(folder, PREFIX + name)}
    versions, champion = _versions(folders, paths)
    seen: dict[str, str] = {}
    for record in _records(folders, ("twin", "bundle", "data", "members")):
        if record["twin"] != twin:
            continue
        split = record["data"].get(SPLITS)
        if split in folds:
            seen[record["bundle"]] = HELD_OUT if folds[split] == TEST else TRAINED
        elif record.get("history") in histories:
            seen.setdefault(record["bundle"], EITHER)
    found = [
        SeenBy(bundle, how, tuple(sorted(versions.get(bundle, ()), key=int)), bundle == champion)
        for bundle, how in seen.items()
    ]
    return sorted(found, key=lambda one: ([int(version) for version in one.versions], one.bundle))


def _splits(folder: Path, asset: str) -> Iterator[tuple[str, int]]:
    """SHA-256 of each split under the folder that names the asset, and the asset's fold."""
    for path, content in records(folder, [asset]):
        if isinstance(content[asset], int):
            yield hashlib.sha256(path.read_bytes()).hexdigest(), content[asset]


def _versions(folders: Iterable[Path], paths: Paths) -> tuple[dict[str, set[str]], str | None]:
    """bundle -> the versions that it was registered as; and the bundle of the present champion."""
    name = f"foretwin-{paths.twin}"
    versions: dict[str, set[str]] = {}
    for verdict in _records(folders, ("name", "version", "evidence", "promoted")):
        if verdict["name"] == name:
            versions.setdefault(verdict["evidence"]["bundle"], set()).add(str(verdict["version"]))
    for identity in _records(folders, ("name", "version", "run", "digest")):
        if identity["name"] == name:
            versions.setdefault(identity["digest"], set()).add(str(identity["version"]))
    kept = paths.models / "champion" / "identity.json"
    return versions, json.loads(kept.read_bytes())["digest"] if kept.exists() else None


def _records(folders: Iterable[Path], keys: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for folder in folders:
        for _, content in records(folder, keys):
            yield content
