"""Count what became of the readings of a call."""

from dataclasses import dataclass

from foretwin.wire.readings import Rejected


@dataclass(frozen=True)
class Receipt:
    """Counts of one call's readings; `late` ones are among those stored, `gaps` counts readings left out.

    Single values are `waiting`, `duplicates` or `rejected`; what readings are made of them is counted as these.
    Of those that are `rejected`, `counted` ones left no content in quarantine, since there were too many at once.
    """

    stored: int = 0
    duplicates: int = 0
    late: int = 0
    gaps: int = 0
    rejected: tuple[Rejected, ...] = ()
    counted: int = 0
    waiting: int = 0

    def __add__(self, other: "Receipt") -> "Receipt":
        counts = (self.stored + other.stored, self.duplicates + other.duplicates, self.late + other.late)
        rejected = self.rejected + other.rejected
        gaps, counted, waiting = (getattr(self, name) + getattr(other, name) for name in ("gaps", "counted", "waiting"))
        return Receipt(*counts, gaps, rejected, counted, waiting)
