"""What the scoring loop has done: its heartbeat, and counts of each twin."""

from collections import Counter
from dataclasses import dataclass, field

from foretwin.project.loops import Heartbeat


@dataclass
class PassCounts:
    """Counts since the process began. The loop alone writes; others may read."""

    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    scored: Counter[str] = field(default_factory=Counter)  # by twin: scores that were stored
    refused: Counter[str] = field(default_factory=Counter)  # by twin: assets that got no score
    held: dict[str, tuple[int, int]] = field(default_factory=dict)  # by twin: windows held in memory, and most of them

    def note(self, twin: str, scored: int, refused: int) -> None:
        """Count a part of a pass."""
        self.heartbeat.beat()
        self.scored[twin] += scored
        self.refused[twin] += refused
