"""Replace champions while calls are answered.

What the project keeps in models/<twin>/champion is looked at every second, and nothing else: `promote`, `rollback`,
`foretwin follow` and the stage `package` write there. A champion that changed is loaded beside
the one that answers, its digests and golden windows are checked, and one window is scored, before it takes over for
the calls that come then. One that fails is not tried again until its files change, and the old one goes on.

A look asks the file system for the times of four files and folders of each twin, whatever is in memory.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from foretwin.champion.champion import Champion, file_stamp, read_champion
from foretwin.errors import BundleError, Conflict, ForetwinError
from foretwin.serving.scoring.champions import Champions
from foretwin.serving.scoring.metrics import Metrics

PAUSE = 1.0  # seconds between two looks

logger = logging.getLogger("foretwin.service")

Stamp = tuple[tuple[int, int] | None, ...]


def load_first(champions: Champions, folders: Sequence[Path], metrics: Metrics) -> None:
    """Read the champions in these folders; a damaged one is logged, counted and left out.

    As many as the memory has room for are loaded and checked at once, the others when they are first needed.
    """
    for folder in folders:
        _renew(champions, folder, None, metrics)
    metrics.serving(champions.all())


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
    changed = [
        _renew(champions, path.parent, path.parent.parent.name, metrics)
        for path in sorted((root / "models").glob("*/champion/identity.json"))
    ]
    if any(changed):
        metrics.serving(champions.all())


def ready_champion(champions: Champions, twin: str, metrics: Metrics) -> Champion:
    """Return a twin's champion with its network, loaded if need be; as `Champions.get` where there is none.

    A champion whose network cannot be loaded is looked at once more, for it may just have been replaced; one that is
    unsound answers no more until its files change.
    """
    known = champions.get(twin)
    found = champions.loaded.held(known)
    if found is not None:
        return found
    try:
        return champions.loaded.get(known)
    except Exception as error:
        stamp = known.folder and _stamp(known.folder)
        if known.folder is None or stamp is None:
            raise Conflict("twin", f"the files of the champion of {twin} are not there just now; try again") from error
        if isinstance(error, OSError | MemoryError) and champions.tried.get(known.folder) == stamp:
            raise  # the files are those that were read: the next call may be luckier
        with champions.renewing:
            if champions.get(twin) is known:
                champions.drop(twin)
                champions.tried.pop(known.folder, None)
                _renew(champions, known.folder, twin, metrics)
                metrics.serving(champions.all())
    return champions.loaded.get(champions.get(twin))


def _renew(champions: Champions, folder: Path, twin: str | None, metrics: Metrics) -> bool:
    """Read a folder's champion if it changed, and activate it if it is sound; return whether it was.

    `twin` is the expected twin, None at the start of the service.
    """
    with champions.renewing:
        stamp = _stamp(folder)
        if stamp is None or champions.tried.get(folder) == stamp:
            return False
        try:
            champion = _sound(champions, folder, twin)
        except Exception as error:
            if _stamp(folder) == stamp:  # else it was replaced meanwhile, and is looked at again
                champions.tried[folder] = stamp
                _refuse(champions, twin or _twin_of(folder), error, metrics)
            return False
        champions.tried[folder] = stamp
        _swap(champions, champion, metrics)
        return True


def _sound(champions: Champions, folder: Path, twin: str | None) -> Champion:
    """Read a folder's champion and check it with its network; BundleError where it must not be served.

    At the start of the service a champion that the memory has no room for is read without its network.
    """
    champion = read_champion(folder, threads=None)
    name = champion.bundle.contract.name
    if twin not in (None, name):
        raise BundleError(f"{folder}: holds a champion of {name}; package {twin} again")
    if twin is not None or champions.loaded.has_room(champion):
        champions.loaded.get(champion)
    return champion


def _swap(champions: Champions, champion: Champion, metrics: Metrics) -> None:
    twin = champion.bundle.contract.name
    before = champions.all().get(twin)
    champions.put(champion)
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
    """What differs from one state of a champion to the next; None where it is not whole just now.

    Whoever changes a champion replaces its folder, or a file in it, which changes the time of the folder.
    """
    places = (folder, folder / "bundle", folder / "golden", folder / "identity.json")
    stamps = tuple(file_stamp(path) for path in places)
    return stamps if stamps[-1] else None
