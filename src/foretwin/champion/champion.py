"""Champion of a twin: the served bundle and the registered version that it is.

    bundle/        the model
    identity.json  its registered version
    record.json    time of promotion, commit and figures
    golden/        windows with the scores it gave when it was packaged
    drift.json     drift reference of its training, for the monitor
    lineage.json   provenance
    signature.json who vouches for the bundle, where somebody does

The packaging stage writes it to models/<twin>/champion/, BentoML's store holds the same folder. The service, batch
scoring and the living twin read it here. A champion packaged by an earlier version lacks some of the files other than
bundle and identity.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from filelock import FileLock

from foretwin.champion.golden import check_golden, keep_golden
from foretwin.champion.identity import ModelIdentity
from foretwin.champion.refusal import absence_of
from foretwin.champion.signature import SIGNATURE, check_signature, sign_bundle, signature_files, signature_path
from foretwin.errors import BadInput, BundleError, RegistryError
from foretwin.predictor.bundle import Bundle, verify
from foretwin.project.files import fresh, fresh_file
from foretwin.project.json import strict_json
from foretwin.project.paths import Paths

BESIDE = ("drift.json", "lineage.json")  # files of other stages, each with the bundle's digest under "bundle"
ATTEMPTS = 5  # exceeded only if promotions follow each other faster than a bundle is read


@dataclass(frozen=True)
class ChampionRecord:
    """Record of a champion's promotion and figures."""

    promoted_at: datetime | None = None  # with its time zone
    commit: str | None = None  # of the code that trained it
    metrics: dict[str, Any] = field(default_factory=dict)  # held-out figures of the network, of evaluation.json
    gate: dict[str, Any] | None = None  # promoted, and the reasons as sentences

    @classmethod
    def of(cls, digest: str, training: Any, metrics: Any, promotion: Any) -> Self:
        """Build from the contents of training.json, evaluation.json and promotion.json that belong to this bundle."""
        training, metrics, promotion = (found or {} for found in (training, metrics, promotion))
        judged = promotion.get("evidence", {}).get("bundle") == digest
        moment = promotion.get("decided_at") if judged and promotion["promoted"] else None
        trained = training if training.get("bundle") == digest else {}  # which told it in versions before
        git = (judged and promotion.get("git")) or trained.get("git") or {}
        return cls(
            promoted_at=datetime.fromisoformat(moment) if moment else None,
            commit=git.get("commit"),
            metrics=metrics["network"] if metrics.get("bundle") == digest else {},
            gate={key: promotion[key] for key in ("promoted", "reasons")} if judged else None,
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read record.json, empty where there is none; BundleError where it is something else."""
        if not path.exists():
            return cls()
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            moment = content["promoted_at"]
            return cls(datetime.fromisoformat(moment) if moment else None, *(content[key] for key in _REMEMBERED))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(f"{path}: not a champion's record: {error!r}; run `dvc repro package` again") from None

    def write(self, path: Path) -> None:
        """Write record.json; the same record gives the same bytes."""
        moment = self.promoted_at.isoformat() if self.promoted_at else None
        content = {"promoted_at": moment, **{key: getattr(self, key) for key in _REMEMBERED}}
        path.write_text(strict_json(content, indent=2) + "\n", encoding="utf-8")

    def completed_by(self, before: Self) -> Self:
        """Return the record, completed from an earlier one, whose time of promotion is kept."""
        return type(self)(
            promoted_at=before.promoted_at or self.promoted_at,
            commit=self.commit or before.commit,
            metrics=self.metrics or before.metrics,
            gate=self.gate or before.gate,
        )


_REMEMBERED = ("commit", "metrics", "gate")


@dataclass(frozen=True)
class Champion:
    """The model that serves its twin, `bundle.contract.name`."""

    identity: ModelIdentity
    bundle: Bundle
    record: ChampionRecord = field(default_factory=ChampionRecord)
    folder: Path | None = None  # from which it was read


@dataclass(frozen=True)
class Packaged:
    """A champion packaged in models/<twin>/champion/."""

    twin: str
    folder: Path
    identity: ModelIdentity

    @property
    def tag(self) -> str:
        """Return the tag of its BentoML model."""
        return self.identity.tag


def load_champion(root: Path | str, twin: str, threads: int | None = 1) -> Champion:
    """Load a twin's champion from a project, consistently even while it is replaced.

    `threads` is the number of threads per score; None leaves the network out: the champion describes itself alone.
    RegistryError where the twin has no champion; BundleError where its files are missing, altered, or not those that
    its identity names.

    >>> champion = foretwin.load_champion(".", "pump")
    >>> champion.identity.name, champion.identity.version
    ('foretwin-pump', '1')
    >>> champion.bundle.contract.name
    'pump'
    """
    root = Path(root)
    folder = Paths(root, twin).models / "champion"
    for left in reversed(range(ATTEMPTS)):
        before = champion_stamp(root, twin)
        try:
            champion = read_champion(folder, threads)
        except Exception:  # any error that a file removed while it is read can cause
            if champion_stamp(root, twin) != before:
                continue
            if before is not None:
                raise
            if not (folder / "bundle").exists():
                raise RegistryError(f"{folder / 'bundle'}: {absence_of(Paths(root, twin))}") from None
            if left == 0:  # else the folder came back just now
                raise
            continue
        if champion_stamp(root, twin) == before:
            return champion
    raise BundleError(f"{folder}: was replaced again and again while it was read; try again")


def champion_stamp(root: Path, twin: str) -> tuple[int, int] | None:
    """Return a stamp that changes with the packaged champion; None without one."""
    return file_stamp(Paths(root, twin).models / "champion" / "identity.json")


def kept_identity(paths: Paths) -> ModelIdentity | None:
    """Return the identity in models/<twin>/champion/; None without one, or where its file is damaged."""
    try:
        return ModelIdentity.read(paths.models / "champion" / "identity.json")
    except BundleError:
        return None


def file_stamp(path: Path) -> tuple[int, int] | None:
    """Return a stamp that changes with the file; None where it does not exist."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def read_champion(folder: Path, threads: int | None = 1) -> Champion:
    """Read the champion in a folder that is not replaced meanwhile; BundleError as `load_champion`."""
    identity = ModelIdentity.read(folder / "identity.json")
    record = ChampionRecord.read(folder / "record.json")
    check_signature(folder / SIGNATURE, identity.digest)
    bundle = Bundle.load(folder / "bundle", threads)
    if bundle.digest != identity.digest:
        raise BundleError(f"{folder}: bundle and identity.json differ; run `dvc repro package` again")
    return Champion(identity, replace(bundle, oldest=known_ages(folder).get("oldest")), record, folder)


def known_ages(folder: Path) -> dict[str, float]:
    """Return what a champion's drift.json says of ages in its training: `oldest` and `longest_life`, where it does."""
    try:
        content = json.loads((folder / "drift.json").read_bytes())
        known = {name: content.get(name) for name in ("oldest", "longest_life")}
    except (OSError, ValueError, AttributeError):
        return {}  # the monitor, which needs the rest of the file, says what is wrong with it
    return {name: float(age) for name, age in known.items() if isinstance(age, int | float)}


def kept_champions(root: Path) -> list[Packaged]:
    """List the champions under models/*/champion, by name of their twin."""
    folders = sorted(path.parent for path in (root / "models").glob("*/champion/identity.json"))
    return [Packaged(folder.parent.name, folder, ModelIdentity.read(folder / "identity.json")) for folder in folders]


def keep_champion(
    paths: Paths,
    bundle: Path,
    identity: ModelIdentity,
    record: ChampionRecord | None = None,
    beside: Path | None = None,
) -> None:
    """Package a champion in models/<twin>/champion/: bundle, record, golden windows, drift.json and lineage.json.

    Without `record` it is made from the stages' outputs in models/<twin>/; the last two files are those of the folder
    `beside`, by default models/<twin>/, if they belong to this bundle. Where the same champion is packaged already,
    nothing is written. BundleError unless the bundle is the one that `identity` names, and is signed where it must be.
    """
    if verify(bundle) != identity.digest:
        raise BundleError(
            f"{bundle}: is not the bundle of {identity.name} version {identity.version}: promote it again"
        )
    check_signature(signature_path(paths, identity.digest), identity.digest)
    if record is None:
        records = (paths.models / "training.json", paths.evaluation, paths.models / "promotion.json")
        record = ChampionRecord.of(identity.digest, *map(_content, records))
    loaded, folder = Bundle.load(bundle), paths.models / "champion"
    with kept_by_one(paths):
        before = _sound(folder, loaded)
        if before is not None:
            record = record.completed_by(before.record)
        there = _told_of(identity.digest, folder)
        told = there | _told_of(identity.digest, beside or paths.models) | signature_files(paths, identity.digest)
        kept = before and (before.identity, before.record, there)
        if kept == (identity, record, told) and (folder / "golden").exists():
            return
        with fresh(folder) as out:
            shutil.copytree(bundle, out / "bundle")
            (out / "identity.json").write_text(strict_json(asdict(identity), indent=2) + "\n", encoding="utf-8")
            record.write(out / "record.json")
            for name, content in told.items():
                (out / name).write_bytes(content)
            if before is not None and (folder / "golden").exists():
                shutil.copytree(folder / "golden", out / "golden")
            else:
                (out / "golden").mkdir()
                keep_golden(out / "golden", loaded, paths.windows / "test.parquet")


def sign_kept(paths: Paths, key_file: Path) -> dict[str, str]:
    """Sign the bundles in models/<twin>/: place -> digest; BadInput where there is none."""
    places = {name: paths.models / name / "bundle" for name in ("champion", "candidate")} | {
        "bundle": paths.models / "bundle"
    }
    digests = {name: verify(folder) for name, folder in places.items() if folder.is_dir()}
    if not digests:
        raise BadInput("TWIN", f"{paths.twin} has no model to sign; `dvc repro` trains one")
    with kept_by_one(paths):
        for name, digest in digests.items():
            made = sign_bundle(paths, digest, key_file)
            if name != "bundle":
                with fresh_file(paths.models / name / SIGNATURE) as out:
                    shutil.copyfile(made, out)
    return digests


def _told_of(digest: str, folder: Path) -> dict[str, bytes]:
    """Return the files of BESIDE, and the signature, in a folder that belong to this bundle."""
    contents = {name: _content(folder / name) for name in (*BESIDE, SIGNATURE)}
    return {
        name: (folder / name).read_bytes()
        for name, content in contents.items()
        if content and content["bundle"] == digest
    }


def _sound(folder: Path, bundle: Bundle) -> Champion | None:
    """Return the packaged champion if it is this bundle, complete, and passes its golden windows; else None."""
    try:
        champion = read_champion(folder)
        check_golden(folder, champion.bundle)
    except BundleError:
        return None
    return champion if champion.identity.digest == bundle.digest else None


@contextmanager
def kept_by_one(paths: Paths) -> Iterator[None]:
    """Lock the champion: a stage and a service that follows the registry may package it at the same time."""
    paths.work.mkdir(parents=True, exist_ok=True)
    with FileLock(paths.work / "champion.lock"):
        yield


def _content(path: Path) -> Any:
    """Read a stage's record; None without one. BundleError where it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise BundleError(f"{path}: not a record: {error}; run the stage that writes it again") from None
