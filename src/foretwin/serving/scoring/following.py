"""Replace champions while calls are answered.

What the project keeps in models/<twin>/champion is looked at every second, and nothing else: `promote`, `rollback`,
`foretwin follow` and the stage `package` write there. A champion that changed is loaded beside
the one that answers, its digests and golden windows are checked, and one window is scored, before it takes over for
the calls that come then. One that fails is not tried again until its files change, and the old one goes on.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from foretwin.champion.champion import Champion, file_stamp, read_champion
from foretwin.champion.golden import check_golden, example_rows
from foretwin.errors import BundleError, ForetwinError
from foretwin.serving.scoring.champions import Champions
from foretwin.serving.scoring.metrics import Metrics

PAUSE = 1.0  # seconds between two looks

logger = logging.getLogger("foretwin.service")

Stamp = tuple[tuple[str, tuple[int, int] | None], ...]


def load_first(champions: Champions, folders: Sequence[Path], metrics: Metrics) -> None:
    """Load the champions in these folders; a damaged one is logged, counted and left out."""
    for folder in folders:
        _renew(champions, folder, None, metrics)


def follow(champions: Champions, root: Path, metrics: Metrics, stop: Event) -> None:
    """Replace champions as the project's folder changes, until `stop` is set."""
    while not stop.is_set():
        try:
            follow_kept(champions, root, metrics)
        except Exception:  # the thread's edge: whatever happens, the next look may go better
            logger.exception("champions could not be looked at")
        stop.wait(PAUSE)


def follow_kept(champions: Champions, root: Path, metrics: Metrics) -> None:
    """Look once at models/*/champion; a missing folder leaves its champion active."""
    for path in sorted((root / "models").glob("*/champion/identity.json")):
        _renew(champions, path.parent, path.parent.parent.name, metrics)


def _renew(champions: Champions, folder: Path, twin: str | None, metrics: Metrics) -> None:
    """Load a folder's champion if it changed, and activate it if it is sound; `twin` is the expected twin."""
    stamp = _stamp(folder)
    if stamp is None or champions.tried.get(folder) == stamp:
        return
    try:
        champion = _sound(folder, twin)
    except Exception as error:
        if _stamp(folder) == stamp:  # else it was replaced meanwhile, and is looked at again
            champions.tried[folder] = stamp
            _refuse(champions, twin or _twin_of(folder), error, metrics)
        return
    champions.tried[folder] = stamp
    _swap(champions, champion, metrics)


def _sound(folder: Path, twin: str | None) -> Champion:
    """Load, check and warm up a folder's champion; BundleError where it must not be served."""
    champion = read_champion(folder)
    name = champion.bundle.contract.name
    if twin not in (None, name):
        raise BundleError(f"{folder}: holds a champion of {name}; package {twin} again")
    check_golden(folder, champion.bundle)
    champion.bundle.score(example_rows(champion.bundle))
    return champion


def _swap(champions: Champions, champion: Champion, metrics: Metrics) -> None:
    twin = champion.bundle.contract.name
    before = champions.all().get(twin)
    champions.put(champion)
    metrics.serving(champions.all())
    version = champion.identity.version
    if before is None:
        logger.info("%s: version %s answers", twin, version)
    elif before.identity != champion.identity:
        metrics.swapped(twin, "swapped")
        logger.info("%s: version %s answers in place of version %s", twin, version, before.identity.version)


def _refuse(champions: Champions, twin: str, error: Exception, metrics: Metrics) -> None:
    """Count and log a refusal once, in one line."""
    champions.refuse(twin)
    metrics.swapped(twin, "refused" if isinstance(error, ForetwinError) else "failed")
    before = champions.all().get(twin)
    present = f"version {before.identity.version} remains active" if before else "no model is active"
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    logger.error("%s: its new champion is refused, %s: %s", twin, present, reason)


def _twin_of(folder: Path) -> str:
    """Return the twin of a Bento's model, as its folder names it: <store>/foretwin-<twin>/<version>."""
    return folder.parent.name.removeprefix("foretwin-")


def _stamp(folder: Path) -> Stamp | None:
    """What differs from one state of a champion's files to the next; None where it is not whole just now."""
    try:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
    except OSError:
        return None
    stamps = tuple((path.relative_to(folder).as_posix(), file_stamp(path)) for path in files)
    return stamps if any(name == "identity.json" for name, _ in stamps) else None
