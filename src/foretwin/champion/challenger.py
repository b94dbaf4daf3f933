"""Trial of a challenger on live data: in shadow of a twin's champion, or serving a named list of assets.

    bundle/        the challenger's model
    identity.json  its registered version
    trial.json     mode, assets and start

The files are in models/<twin>/candidate/, are not the output of a stage, and are removed when the challenger becomes
champion. In `shadow` the champion's scores count for every asset, and the challenger's are stored too. In a `pilot` the
challenger's scores count for the named assets, and the champion's are stored too. The living twin's loop does both.
The scoring service is stateless and answers with the champion alone.
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
from foretwin.champion.signature import SIGNATURE, check_signature, signature_files, signature_path
from foretwin.contract.twin import Twin
from foretwin.errors import BundleError, RegistryError
from foretwin.predictor.bundle import Bundle, verify
from foretwin.project.files import fresh, fresh_file
from foretwin.project.json import strict_json
from foretwin.project.paths import Paths

Mode = Literal["shadow", "pilot"]
SHADOW: Mode = "shadow"
PILOT: Mode = "pilot"
TRIAL = "trial.json"


@dataclass(frozen=True)
class Terms:
    """Terms of a trial, the content of trial.json; `assets` only in a pilot."""

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
        path.write_text(strict_json(content, indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Challenger:
    """A challenger of the twin `bundle.contract.name`, with the terms of its trial."""

    identity: ModelIdentity
    bundle: Bundle
    mode: Mode
    assets: frozenset[str] | None  # names of the assets that a pilot's challenger serves
    since: datetime  # with its time zone


def keep_trial(
    paths: Paths,
    bundle: Path,
    identity: ModelIdentity,
    mode: Mode,
    assets: Collection[str] | None = None,
    since: datetime | None = None,
) -> None:
    """Start a trial from `since` (now) on: copy the bundle to models/<twin>/candidate/, in place of any other.

    RegistryError where the twin has no champion, where the challenger is the champion, or where their contracts are
    incompatible; BundleError unless the bundle is the one that `identity` names and can score.
    """
    terms = Terms(mode, None if assets is None else frozenset(assets), since or datetime.now(UTC))
    if (mode == PILOT) != bool(terms.assets):
        raise ValueError(f"a {mode} of {assets}")
    label = f"{identity.name} version {identity.version}"
    if verify(bundle) != identity.digest:
        raise BundleError(f"{bundle}: not the bundle of {label}; restore it with `foretwin publish`")
    check_signature(signature_path(paths, identity.digest), identity.digest)
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
            (out / "identity.json").write_text(strict_json(asdict(identity), indent=2) + "\n", encoding="utf-8")
            terms.write(out / TRIAL)
            for name, content in signature_files(paths, identity.digest).items():
                (out / name).write_bytes(content)


def load_trial(root: Path, twin: str) -> Challenger | None:
    """Load the trial of a twin; None without one, or where its challenger has become the champion.

    BundleError where its files are missing, altered, or not those that its identity names.
    """
    paths = Paths(root, twin)
    for _ in range(ATTEMPTS):
        before = trial_stamp(root, twin)
        if before is None:
            return None
        try:
            trial = _read(_folder(paths))
        except Exception:  # any error that a file removed while it is read can cause
            if trial_stamp(root, twin) == before:
                raise
            continue
        if trial_stamp(root, twin) == before:
            return None if _is_champion(paths, trial.identity) else trial
    raise BundleError(f"{_folder(paths)}: replaced {ATTEMPTS} times while it was read; try again")


def trial_stamp(root: Path, twin: str) -> tuple[int, int] | None:
    """Return a stamp that changes with the trial and its list of assets; None without a trial."""
    return file_stamp(_folder(Paths(root, twin)) / TRIAL)


def end_trial(paths: Paths) -> bool:
    """End the twin's trial; return whether there was one. The challenger's scores stay in the store."""
    with kept_by_one(paths):
        return _remove(paths)


def end_if_champion(paths: Paths) -> bool:
    """End the twin's trial where its challenger has become the champion; return whether it was ended."""
    with kept_by_one(paths):
        try:
            candidate = ModelIdentity.read(_folder(paths) / "identity.json")
        except BundleError:
            return False
        return _is_champion(paths, candidate) and _remove(paths)


def forget_asset(paths: Paths, name: str) -> bool:
    """Remove an asset from the twin's pilot, which ends with its last one; return whether it was listed."""
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
    """Return why a challenger of one contract cannot be tried against a champion of the other; empty where it can.

    It must accept the same readings. In a pilot its scores decide about cases, so it must also have the same outputs.
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


def _read(folder: Path) -> Challenger:
    identity = ModelIdentity.read(folder / "identity.json")
    check_signature(folder / SIGNATURE, identity.digest)
    bundle = Bundle.load(folder / "bundle")
    if bundle.digest != identity.digest:
        raise BundleError(f"{folder}: bundle and identity.json differ; end the trial and start it again")
    terms = Terms.read(folder / TRIAL)
    return Challenger(identity, bundle, terms.mode, terms.assets, terms.since)


def _is_champion(paths: Paths, candidate: ModelIdentity) -> bool:
    champion = kept_identity(paths)
    return champion is not None and champion.digest == candidate.digest


def _remove(paths: Paths) -> bool:
    """Remove the folder, renamed first so that no reader sees it half removed."""
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
