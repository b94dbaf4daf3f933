"""What the scoring loop has done: its heartbeat, and counts of each twin; and what it holds."""

from collections import Counter
from dataclasses import dataclass, field

from foretwin.champion.loaded import LoadedChampions
from foretwin.project.loops import Heartbeat


@dataclass
class PassCounts:
    """Counts since the process began. The loop alone writes; others may read."""

    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    scored: Counter[str] = field(default_factory=Counter)  # by twin: scores that were stored
    refused: Counter[str] = field(default_factory=Counter)  # by twin: assets that got no score
    loaded: LoadedChampions = field(default_factory=LoadedChampions)  # champions whose networks are in memory
    held: dict[str, tuple[int, int]] = field(default_factory=dict)  # by twin: windows held in memory, and most of them
    owned: tuple[int, ...] = ()  # numbers of the partitions at the last pass, where there are several

    def note(self, twin: str, scored: int, refused: int) -> None:
        """Count a part of a pass."""
        self.heartbeat.beat()
        self.scored[twin] += scored
        self.refused[twin] += refused
