"""Champions, policies and trials of the scoring loop, brought up to their files: some in each pass, in turn.

Those of a twin that has something to score are looked at before it is scored, so that none of them answers late.
"""

import logging
from collections.abc import Collection
from pathlib import Path

from foretwin.champion.challenger import trial_stamp
from foretwin.champion.champion import Champion, champion_stamp, file_stamp, load_champion
from foretwin.errors import ForetwinError
from foretwin.project.contracts import policy_of
from foretwin.project.loops import exempt_from_collection
from foretwin.project.paths import Paths
from foretwin.twin.scoring.shadow import load_shadow
from foretwin.twin.scoring.watched import Watched, Watching
from foretwin.twin.scoring.window_cache import WindowCache

AT_ONCE = 32  # machine types that a pass looks at: of a thousand each has its turn within 16 s

logger = logging.getLogger("foretwin.watch")


def renew_next(watching: Watching) -> list[str]:
    """Look at the files of the next machine types in turn; return their names.

    At first all of them, then `AT_ONCE` in a pass, which so costs the same where there are a thousand.
    """
    turn, chosen = watching.turn, watching.settings.twins
    if not turn:
        turn.extend(sorted(_folders(watching.root)) if chosen is None else chosen)
        if watching.kept is not None:
            watching.kept &= set(turn)
    most = len(turn) if watching.kept is None else AT_ONCE
    names = [turn.popleft() for _ in range(min(most, len(turn)))]
    renew(watching, names)
    return names


def renew(watching: Watching, names: Collection[str]) -> None:
    """Bring champions, policies and trials of these twins up to their files."""
    _renew_champions(watching, names)
    for name in watching.twins.keys() & names:
        _renew_policy(watching, watching.twins[name])
        _renew_trial(watching, watching.twins[name])


def _renew_champions(watching: Watching, names: Collection[str]) -> None:
    """Read new or changed champions of these twins; one that cannot be read leaves the present one active.

    The network of a new one is loaded when there is something to score, that of one in the place of another at once.
    """
    stamps, chosen = {name: champion_stamp(watching.root, name) for name in names}, watching.settings.twins
    watching.kept = {name for name, stamp in stamps.items() if stamp} | ((watching.kept or set()) - stamps.keys())
    memory = watching.settings.memory_bytes // max(1, len(watching.kept if chosen is None else chosen))
    came = 0
    for name, stamp in stamps.items():
        watched = watching.twins.get(name)
        if watched and stamp in (None, watched.stamp):
            if watched.recent.memory_bytes != memory:
                watched.recent, watched.upto = WindowCache(watched.contract, memory, watched.recent.length), {}
        elif stamp or chosen is not None:
            came += _take_up(watching, name, stamp, memory)
    if came:
        exempt_from_collection()


def _take_up(watching: Watching, name: str, stamp: tuple[int, int] | None, memory: int) -> bool:
    """Let a new champion answer from now on, with windows of so many bytes; one that cannot be read is told of.

    Return whether there is one.
    """
    before = watching.twins.get(name)
    try:
        champion = load_champion(watching.root, name, threads=None)
        if before:
            watching.loaded.get(champion)
    except ForetwinError as error:
        watching.tell(f"champion of {name}", str(error))
        return False
    watching.told.pop(f"champion of {name}", None)
    trained = champion.bundle.contract
    watching.twins[name] = Watched(champion, stamp, WindowCache(trained, memory), trained)
    if before is None and watching.owned is not None:
        logger.info("%s: its champion answers from now on", name)
    return True


def _folders(root: Path) -> list[str]:
    """Return the twins that something was made of."""
    try:
        return [path.name for path in (root / "models").iterdir()]
    except FileNotFoundError:
        return []


def loaded_champion(watching: Watching, watched: Watched) -> Champion | None:
    """Return a twin's champion with its network; None, with a line in the log, where it cannot be loaded just now."""
    name = watched.contract.name
    try:
        found = watching.loaded.get(watched.champion)
    except Exception as error:  # onnxruntime's have no base of their own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        watching.tell(f"network of {name}", f"{name}: its champion cannot be loaded, nothing is scored: {reason}")
        return None
    watching.told.pop(f"network of {name}", None)
    return found


def _renew_policy(watching: Watching, watched: Watched) -> None:
    """Read the case policy from the present contract; an invalid one leaves the previous one active."""
    name = watched.contract.name
    stamp = file_stamp(Paths(watching.root, name).contract)
    if stamp is not None and stamp == watched.policy_stamp:
        return
    watched.policy_stamp = stamp
    try:
        watched.policy = policy_of(watching.root, watched.contract)
    except ForetwinError as error:
        watching.tell(f"contract of {name}", str(error))
    else:
        watching.told.pop(f"contract of {name}", None)


def _renew_trial(watching: Watching, watched: Watched) -> None:
    """Load a new or changed trial; an invalid one is skipped until it changes."""
    name, before = watched.contract.name, watched.beside
    stamp = trial_stamp(watching.root, name)
    if stamp == watched.trial_stamp:
        return
    watched.trial_stamp = stamp
    try:
        watched.beside = load_shadow(watching.root, watched.contract)
    except ForetwinError as error:
        watched.beside = None
        watching.tell(f"candidate of {name}", f"{name}: its candidate is not tried: {error}")
    else:
        watching.told.pop(f"candidate of {name}", None)
        exempt_from_collection()
    if before:
        before.end()
    length = max(watched.contract.window.length, watched.beside.length if watched.beside else 0)
    if length != watched.recent.length:
        watched.recent = WindowCache(watched.contract, watched.recent.memory_bytes, length)
