"""A trial: a candidate that scores beside a twin's champion on live traffic, or serves a named list of assets.

    bundle/        the candidate's model
    identity.json  the registered version that it is
    trial.json     mode, assets and since when

It lies in models/<twin>/candidate/, is no output of a stage, and ends by itself where the candidate becomes champion.
In `shadow` the champion answers for every asset, and what the candidate says is kept beside it. In a `pilot` the
candidate answers for the named assets, and what the champion says of these is kept beside it. The living twin's loop
does both. The scoring service keeps nothing of what it is asked, so that it answers with the champion alone.
"""

import json
import shutil
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self

from foretwin.champion.champion import ATTEMPTS, file_stamp, kept_by_one, kept_identity, load_champion
from foretwin.champion.golden import example_rows
from foretwin.champion.identity import ModelIdentity
from foretwin.contract.twin import Twin
from foretwin.errors import BundleError, RegistryError
from foretwin.predictor.bundle import Bundle, verify
from foretwin.project.files import fresh, fresh_file
from foretwin.project.paths import Paths

Mode = Literal["shadow", "pilot"]
SHADOW: Mode = "shadow"
PILOT: Mode = "pilot"
TRIAL = "trial.json"


@dataclass(frozen=True)
class Terms:
    """What trial.json says: how the candidate is tried, `assets` of a pilot alone, and since when."""

    mode: Mode
    assets: frozenset[str] | None
    since: datetime  # with its time zone

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read trial.json; BundleError where it is something else."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            mode, names, since = content["mode"], content["assets"], datetime.fromisoformat(content["since"])
            if (mode, names is None) not in ((SHADOW, True), (PILOT, False)) or since.tzinfo is None:
                raise ValueError(f"mode {mode} does not go with its assets, or `since` has no time zone")
            return cls(mode, None if names is None else frozenset(map(str, names)), since)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"{path}: not the terms of a trial: {error!r}; end the trial and start it again"
            ) from None

    def write(self, path: Path) -> None:
        """Write trial.json."""
        names = None if self.assets is None else sorted(self.assets)
        content = {"mode": self.mode, "assets": names, "since": self.since.astimezone(UTC).isoformat()}
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Trial:
    """A candidate of the twin `bundle.contract.name`, and how it is tried."""

    identity: ModelIdentity
    bundle: Bundle
    mode: Mode
    assets: frozenset[str] | None  # that a pilot's candidate answers for, by name
    since: datetime  # with its time zone


def keep_trial(
    paths: Paths,
    bundle: Path,
    identity: ModelIdentity,
    mode: Mode,
    assets: Collection[str] | None = None,
    since: datetime | None = None,
) -> None:
    """Copy a candidate's bundle to models/<twin>/candidate/, in place of any other; it is tried from `since` (now) on.

    RegistryError where the twin has no champion, where the candidate is the champion, or where its contract does
    not go with the champion's; BundleError unless the bundle is the one that `identity` names and can score.
    """
    terms = Terms(mode, None if assets is None else frozenset(assets), since or datetime.now(UTC))
    if (mode == PILOT) != bool(terms.assets):
        raise ValueError(f"a {mode} of {assets}")
    label = f"{identity.name} version {identity.version}"
    if verify(bundle) != identity.digest:
        raise BundleError(f"{bundle}: is not the bundle of {label}: restore it with `foretwin publish`")
    loaded = Bundle.load(bundle)
    loaded.score(example_rows(loaded))
    with kept_by_one(paths):
        champion = load_champion(paths.root, paths.twin)
        if champion.identity.digest == identity.digest:
            raise RegistryError(f"{label}: is the champion already")
        reason = mismatch(loaded.contract, champion.bundle.contract, mode)
        if reason:
            raise RegistryError(f"{label}: cannot be tried: {reason}")
        with fresh(_folder(paths)) as out:
            shutil.copytree(bundle, out / "bundle")
            (out / "identity.json").write_text(json.dumps(asdict(identity), indent=2) + "\n", encoding="utf-8")
            terms.write(out / TRIAL)


def load_trial(root: Path, twin: str) -> Trial | None:
    """The trial of a twin; None where there is none, or where its candidate has become the champion.

    BundleError where its files are missing, altered, or not those that its identity names.
    """
    paths = Paths(root, twin)
    for _ in range(ATTEMPTS):
        before = trial_stamp(root, twin)
        if before is None:
            return None
        try:
            trial = _read(_folder(paths))
        except Exception:  # whatever a file that vanishes under its reader leads to
            if trial_stamp(root, twin) == before:
                raise
            continue
        if trial_stamp(root, twin) == before:
            return None if _is_champion(paths, trial.identity) else trial
    raise BundleError(f"{_folder(paths)}: was replaced again and again while it was read; try again")


def trial_stamp(root: Path, twin: str) -> tuple[int, int] | None:
    """What differs from one trial, or from one list of its assets, to the next; None where there is none."""
    return file_stamp(_folder(Paths(root, twin)) / TRIAL)


def end_trial(paths: Paths) -> bool:
    """End the twin's trial; whether there was one. What its candidate said stays in the store."""
    with kept_by_one(paths):
        return _remove(paths)


def end_if_champion(paths: Paths) -> bool:
    """End the twin's trial where its candidate has become the champion; whether it has been ended."""
    with kept_by_one(paths):
        try:
            candidate = ModelIdentity.read(_folder(paths) / "identity.json")
        except BundleError:
            return False
        return _is_champion(paths, candidate) and _remove(paths)


def forget_asset(paths: Paths, name: str) -> bool:
    """Take an asset out of the twin's pilot, which ends with its last one; whether it was named there."""
    path = _folder(paths) / TRIAL
    with kept_by_one(paths):
        if not path.exists():
            return False
        terms = Terms.read(path)
        if terms.assets is None or name not in terms.assets:
            return False
        left = replace(terms, assets=terms.assets - {name})
        if not left.assets:
            return _remove(paths)
        with fresh_file(path) as out:
            left.write(out)
        return True


def mismatch(candidate: Twin, champion: Twin, mode: Mode) -> str:
    """Why a candidate of the one contract cannot be tried beside a champion of the other; empty where it can.

    It has to understand the same readings. In a pilot cases are decided by its answers, so that it also has to answer
    the same questions.
    """
    if candidate.name != champion.name:
        return f"it is a model of {candidate.name}, not of {champion.name}"
    read, live = ({name: one.unit for name, one in each.channels.items()} for each in (candidate, champion))
    if read != live:
        odd = sorted(name for name in read.keys() | live.keys() if read.get(name) != live.get(name))
        return f"channel {odd[0]} is not the same for it and for the champion"
    if candidate.clock.unit != champion.clock.unit:
        return f"its time is in {candidate.clock.unit}, the champion's in {champion.clock.unit}"
    if mode == PILOT and _questions(candidate) != _questions(champion):
        return "it answers other questions than the champion, and cases of its assets would change; try it in shadow"
    return ""


def _questions(contract: Twin) -> tuple[object, ...]:
    return {axis: contract.classes(axis) for axis in contract.axes}, contract.rul and contract.rul.cap


def _read(folder: Path) -> Trial:
    identity, bundle = ModelIdentity.read(folder / "identity.json"), Bundle.load(folder / "bundle")
    if bundle.digest != identity.digest:
        raise BundleError(f"{folder}: bundle and identity.json differ; end the trial and start it again")
    terms = Terms.read(folder / TRIAL)
    return Trial(identity, bundle, terms.mode, terms.assets, terms.since)


def _is_champion(paths: Paths, candidate: ModelIdentity) -> bool:
    champion = kept_identity(paths)
    return champion is not None and champion.digest == candidate.digest


def _remove(paths: Paths) -> bool:
    """Move the folder aside before it is removed: half of it would be taken for a damaged one."""
    folder = _folder(paths)
    if not folder.exists():
        return False
    aside = folder.with_name(f".{folder.name}.previous")
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)
    shutil.rmtree(aside)
    return True


def _folder(paths: Paths) -> Path:
    return paths.models / "candidate"
