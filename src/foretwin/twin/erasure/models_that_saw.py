"""Find the models whose training or evaluation data held an asset, from the stages' records.

Records of earlier trainings lie in DVC's cache, which has no names to tell them by, and in MLflow's artifacts. A record
of training (`training.json`) names the split of the assets and the store's history by their digests; `lineage.json`
(`provenance.py`) holds what the assets' names come to as digests, which outlives an asset's erasure.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from foretwin.champion.champion import kept_identity
from foretwin.champion.provenance import SPLITS, asset_digest, json_object
from foretwin.dataset.units import asset_of
from foretwin.dataset.windows import TEST
from foretwin.project.digests import file_digest
from foretwin.project.paths import Paths
from foretwin.sources.store import PREFIX
from foretwin.twin.erasure.file_copies import files_under

TRAINED, HELD_OUT, EITHER = "training", "evaluation", "training or evaluation"
NAME = "foretwin-"  # of a registered model, before its twin's
TRAINING = {"twin", "bundle", "data", "members"}
LINEAGE = {"twin", "bundle", "dvc", "assets", "decided"}
VERDICT = {"name", "version", "evidence", "promoted"}
IDENTITY = {"name", "version", "run", "digest"}
PACKAGE = {"model", "bento", "digest"}


@dataclass(frozen=True)
class SeenBy:
    """A model whose data held the asset. `versions` are its registry numbers, if any."""

    bundle: str  # digest
    seen_in: str  # training, evaluation, or where the split is lost, one of them
    versions: tuple[str, ...]
    is_champion: bool


@dataclass
class Known:
    """A model as far as records describe it."""

    twin: str
    bundle: str  # digest
    training: dict[str, Any] = field(default_factory=dict)  # training.json
    lineage: dict[str, Any] = field(default_factory=dict)  # lineage.json
    verdicts: list[dict[str, Any]] = field(default_factory=list)  # promotion.json, each once
    versions: set[str] = field(default_factory=set)  # numbers that a registry gave it
    runs: set[str] = field(default_factory=set)  # of MLflow
    bentos: set[str] = field(default_factory=set)  # tags

    @property
    def ordered_versions(self) -> tuple[str, ...]:
        """Return the versions in ascending order."""
        return tuple(sorted(self.versions, key=int))

    @property
    def order(self) -> tuple[list[int], str]:
        """Sort key: by version, unregistered models first."""
        return [int(version) for version in self.ordered_versions], self.bundle


@dataclass
class Knowledge:
    """The records found: bundle -> model, and digest of a splits.json -> asset -> its fold."""

    models: dict[str, Known] = field(default_factory=dict)
    splits: dict[str, dict[str, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, folders: Iterable[Path]) -> Self:
        """Collect the JSON files under these folders; of two records of one bundle the first counts."""
        found = cls()
        for folder in folders:
            found.read(folder)
        return found

    def read(self, folder: Path) -> None:
        """Add the JSON files under a folder."""
        for path in files_under(folder):
            self._add(path)

    def seen_in(self, model: Known, asset: str) -> str | None:
        """Return the model's use of the asset, training or evaluation; None where records name none.

        Assets of the store are named `store/<name>`.
        """
        digest, recorded = asset_digest(asset), model.lineage.get("assets")
        if recorded:
            seen = {TRAINED: recorded["trained"], HELD_OUT: recorded["held_out"]}
            return next((how for how, digests in seen.items() if digest in digests), None)
        splits = self.splits.get(model.training.get("data", {}).get(SPLITS), {})
        folds = {fold for unit, fold in splits.items() if asset in (unit, asset_of(unit))}
        return None if not folds else HELD_OUT if folds == {TEST} else TRAINED

    def model(self, twin: str, bundle: str) -> Known:
        """Return the entry of a bundle, created where missing."""
        return self.models.setdefault(bundle, Known(twin, bundle))

    def add_identity(self, identity: Mapping[str, Any]) -> None:
        """Add a registered version, as identity.json names it."""
        model = self.model(str(identity["name"]).removeprefix(NAME), identity["digest"])
        model.versions.add(str(identity["version"]))
        model.runs.add(str(identity["run"]))

    def _add(self, path: Path) -> None:
        """Add a JSON file by the keys it holds; most are no record at all."""
        content = json_object(path)
        keys = content.keys()
        if keys >= TRAINING:
            model = self.model(content["twin"], content["bundle"])
            model.training = model.training or content
        elif keys >= LINEAGE:
            model = self.model(content["twin"], content["bundle"])
            model.lineage = model.lineage or content
            self.add_identity(content | {"digest": content["bundle"]})
        elif keys >= VERDICT:
            self._add_verdict(content)
        elif keys >= IDENTITY:
            self.add_identity(content)
        elif keys >= PACKAGE:
            twin = content["model"].partition(":")[0].removeprefix(NAME)
            self.model(twin, content["digest"]).bentos.add(content["bento"])
        elif content and all(type(value) is int for value in content.values()):
            self.splits[file_digest(path)] = content

    def _add_verdict(self, verdict: dict[str, Any]) -> None:
        model = self.model(verdict["name"].removeprefix(NAME), verdict["evidence"]["bundle"])
        model.versions.add(str(verdict["version"]))
        if "run" in verdict:
            model.runs.add(verdict["run"])
        if verdict not in model.verdicts:
            model.verdicts.append(verdict)
        for champion in (verdict.get("champion"), verdict.get("champion_before")):
            if champion:
                self.add_identity(champion)


def champion_digest(paths: Paths) -> str | None:
    """Return the digest of the bundle in models/<twin>/champion/."""
    kept = kept_identity(paths)
    return kept.digest if kept else None


def models_that_saw(root: Path, twin: str, name: str, histories: Collection[str], cache: Path | None) -> list[SeenBy]:
    """List the models by version; `histories` are the digests of the exports that held the asset.

    To be asked before any copy is removed: where a model has no lineage.json, a split that names the asset says whether
    it was trained on or held out.
    """
    paths = Paths(root, twin)
    folders = (paths.models, paths.windows, cache, root / "mlartifacts")
    known, champion = Knowledge.of(folder for folder in folders if folder is not None), champion_digest(paths)
    return [
        SeenBy(model.bundle, how, model.ordered_versions, model.bundle == champion)
        for model, how in _that_saw(known, twin, PREFIX + name, histories)
    ]


def _that_saw(known: Knowledge, twin: str, asset: str, histories: Collection[str]) -> Iterator[tuple[Known, str]]:
    for model in sorted(known.models.values(), key=lambda one: one.order):
        if model.twin != twin:
            continue
        held = model.training.get("history") or model.lineage.get("history")
        how = known.seen_in(model, asset) or (EITHER if held in histories else None)
        if how:
            yield model, how
