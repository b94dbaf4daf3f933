"""State of the scoring loop between its passes: champions, policies, trials, windows, and what it owns."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from foretwin.champion.challenger import trial_stamp
from foretwin.champion.champion import Champion, champion_stamp, file_stamp, load_champion
from foretwin.champion.loaded import LoadedChampions
from foretwin.contract.twin import Twin
from foretwin.errors import ForetwinError
from foretwin.predictor.bundle import Bundle
from foretwin.project.contracts import policy_of
from foretwin.project.paths import Paths
from foretwin.twin.scoring.memory import default_memory, exempt_from_collection
from foretwin.twin.scoring.passes import PassCounts
from foretwin.twin.scoring.shadow import ShadowScorer, load_shadow
from foretwin.twin.scoring.window_cache import WindowCache
from foretwin.twin.store import Store
from foretwin.twin.store.ownership.owner import PartitionOwner
from foretwin.twin.store.ownership.partitioning import WHOLE, Partition

logger = logging.getLogger("foretwin.watch")


@dataclass(frozen=True)
class WatchSettings:
    """Resources of the loop and the interval of its passes."""

    twins: tuple[str, ...] | None = None  # None: every one that has a champion
    memory_bytes: int = field(default_factory=default_memory)  # for the newest windows of all twins together
    assets_per_call: int = 1024
    pause: float = 0.5  # s between two passes when there is no news


@dataclass
class Watched:
    """The loop's state of one twin: champion, newest windows, and the batches that they include."""

    champion: Champion  # as it describes itself; `Watching.loaded` has its network
    stamp: tuple[int, int] | None
    recent: WindowCache
    policy: Twin  # the contract by which cases are decided: the project's, as far as the champion answers it
    policy_stamp: tuple[int, int] | None = None  # of the file that it was read from; None: not read yet, or not there
    upto: dict[Partition, int] = field(default_factory=dict)  # of each partition owned since the last pass
    beside: ShadowScorer | None = None
    trial_stamp: tuple[int, int] | None = None  # of the trial that was looked at last, whatever came of it

    @property
    def bundles(self) -> tuple[Bundle, ...]:
        """Return the bundles that score: the champion's, and a challenger's."""
        return (self.champion.bundle, *((self.beside.trial.bundle,) if self.beside else ()))

    @property
    def contract(self) -> Twin:
        """Return the contract that the champion was trained under."""
        return self.champion.bundle.contract


@dataclass
class Watching:
    """The loop: settings and state between passes."""

    store: Store
    root: Path
    settings: WatchSettings
    twins: dict[str, Watched] = field(default_factory=dict)
    loaded: LoadedChampions = field(default_factory=LoadedChampions)
    passes: PassCounts = field(default_factory=PassCounts)
    told: dict[str, str] = field(default_factory=dict)  # about what -> the line that was logged last
    owner: PartitionOwner = field(init=False)
    owned: tuple[Partition, ...] | None = None  # at the last pass

    def __post_init__(self) -> None:
        self.owner = PartitionOwner(self.store)

    def own(self) -> tuple[Partition, ...]:
        """Return the partitions that this worker owns now, and log them where they are others than before."""
        present, before = self.owner.renew(), self.owned
        self.owned = present
        if present != before and not (before is None and present == (WHOLE,)):
            numbers = ", ".join(str(partition.number) for partition in present)
            logger.info("owns %s", f"partition {numbers} of {present[0].count}" if present else "no partition")
        return present

    def tell(self, about: str, line: str) -> None:
        """Log a line, unless it repeats the last one on this subject."""
        if self.told.get(about) != line:
            self.told[about] = line
            logger.warning(line)


def renew_champions(watching: Watching) -> None:
    """Read new or changed champions; one that cannot be read leaves the present one active.

    The network of a new one is loaded when there is something to score, that of one in the place of another at once.
    """
    kept = sorted(path.parent.parent.name for path in watching.root.glob("models/*/champion/identity.json"))
    names = kept if watching.settings.twins is None else watching.settings.twins
    memory = watching.settings.memory_bytes // max(1, len(names))
    for name in names:
        stamp, watched = champion_stamp(watching.root, name), watching.twins.get(name)
        if watched and stamp in (None, watched.stamp):
            if watched.recent.memory_bytes != memory:
                watched.recent, watched.upto = WindowCache(watched.contract, memory, watched.recent.length), {}
            continue
        try:
            champion = load_champion(watching.root, name, threads=None)
            if watched:
                watching.loaded.get(champion)
        except ForetwinError as error:
            watching.tell(f"champion of {name}", str(error))
            continue
        watching.told.pop(f"champion of {name}", None)
        trained = champion.bundle.contract
        watching.twins[name] = Watched(champion, stamp, WindowCache(trained, memory), trained)
        exempt_from_collection()
        if watched is None and watching.owned is not None:
            logger.info("%s: its champion answers from now on", name)


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


def renew_twin(watching: Watching, watched: Watched, owned: Sequence[Partition]) -> None:
    """Bring a twin's policy and trial up to their files; forget windows where a partition has become another's."""
    _renew_policy(watching, watched)
    _renew_trial(watching, watched)
    if not set(watched.upto) <= set(owned):
        watched.recent, watched.upto = watched.recent.emptied(), {}


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
