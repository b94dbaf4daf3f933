"""State of the scoring loop between its passes: champions, policies, trials, windows, and what it owns."""

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from foretwin.champion.champion import Champion
from foretwin.champion.loaded import LoadedChampions
from foretwin.contract.twin import Twin
from foretwin.errors import StoreError
from foretwin.predictor.bundle import Bundle
from foretwin.twin.scoring.memory import default_memory
from foretwin.twin.scoring.passes import PassCounts
from foretwin.twin.scoring.shadow import ShadowScorer
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

    def is_behind(self, newest: Mapping[Partition, int]) -> bool:
        """Whether it holds windows, and batches have come that were not looked through for them."""
        return len(self.recent) > 0 and any(newest[one] != upto for one, upto in self.upto.items() if one in newest)

    def keep_to(self, owned: Sequence[Partition]) -> None:
        """Forget the windows where they are of a partition that is not owned any more."""
        if not set(self.upto) <= set(owned):
            self.recent, self.upto = self.recent.emptied(), {}


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
    turn: deque[str] = field(default_factory=deque)  # machine types that are still to be looked at in this round
    kept: set[str] | None = None  # those that had a champion when they were looked at; None before the first look

    def __post_init__(self) -> None:
        self.owner = PartitionOwner(self.store)

    def own(self) -> tuple[Partition, ...]:
        """Return the partitions that this worker owns now.

        Where they are others than before that is logged, and windows are forgotten where one has become another's.
        """
        try:
            present, before = self.owner.renew(), self.owned
        except StoreError:
            self.passes.owned = ()  # what was owned may be another's by now
            raise
        self.owned = present
        self.passes.owned = tuple(partition.number for partition in present if partition.count > 1)
        if present != before:
            for watched in self.twins.values():
                watched.keep_to(present)
        if present != before and not (before is None and present == (WHOLE,)):
            numbers = ", ".join(str(partition.number) for partition in present)
            logger.info("owns %s", f"partition {numbers} of {present[0].count}" if present else "no partition")
        return present

    def tell(self, about: str, line: str) -> None:
        """Log a line, unless it repeats the last one on this subject."""
        if self.told.get(about) != line:
            self.told[about] = line
            logger.warning(line)
