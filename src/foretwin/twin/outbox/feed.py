"""Follow the events as they are stored, for readers that each have their own place: event streams."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from foretwin.twin.store import Connection
from foretwin.twin.store.casework.event_places import newest_number, numbers_after

AT_ONCE = 1000  # numbers in one look
LONGEST_GAP = 5.0  # s that a number is waited for which a transaction may have taken that has not committed yet


@dataclass
class EventFeed:
    """How far the events may be read in the order of their numbers, so that a reader misses none.

    A number that is not there belongs to a transaction that is under way, or to none any more: what comes after it is
    held back for a moment. One feed serves all readers of a process.
    """

    clock: Callable[[], float] = time.monotonic
    settled: int | None = None  # the number up to which nothing is to come any more; None before the first look
    _seen: dict[int, float] = field(default_factory=dict)  # number -> when it was seen first, of those held back

    def look(self, connection: Connection) -> int:
        """Return the number up to which events may be read now."""
        now = self.clock()
        if self.settled is None:
            self.settled = max(0, newest_number(connection) - AT_ONCE)
        found = numbers_after(connection, self.settled, AT_ONCE)
        self.settled = self._advance(self.settled, found, now)
        return self.settled

    def _advance(self, settled: int, found: Sequence[int], now: float) -> int:
        self._seen = {number: self._seen.get(number, now) for number in found}
        for number in found:
            if number > settled + 1 and now - self._seen[number] < LONGEST_GAP:
                break
            settled = number
        return settled
