"""Until when all that the other side of a connection had to say is stored: only then is a machine's silence a silence.

Values wait for the others of their step by the contract's `clock.wait`. While a connection is lost, and while what came
meanwhile is being fetched, nothing that it brings counts as absent. Moments are those of `time.monotonic`.
"""

import math
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from foretwin.contract.twin import Twin
from foretwin.twin.ingest.single_values.settling import LONGEST_HOLD, wait_of
from foretwin.wire.readings import Decoded

BACKLOG = 1.0  # s without a full batch after which what a broker had kept is taken to have come


@dataclass
class Completeness:
    """What is known of one connection: `until` all is stored, since `begun` at the latest; `machines` it speaks of.

    `machines` holds twin and name with when their last single value was stored, `waiting` those of which values may
    wait. One thread writes `until`; the rest belongs to the sink's turn.
    """

    until: float = -math.inf
    begun: float = field(default_factory=time.monotonic)
    machines: dict[tuple[str, str], float] = field(default_factory=dict)
    waiting: set[tuple[str, str]] = field(default_factory=set)
    is_filling: bool = False  # values of an outage are being fetched, of one tag further than of another
    is_given_up: bool = False
    _full_at: float = -math.inf

    def mark_complete(self, until: float) -> None:
        """Note that all that the other side said until then is stored."""
        self.until, self.is_filling, self.is_given_up = max(self.until, until), False, False

    def mark_batch(self, heard: float, is_full: bool) -> None:
        """Note that what was `heard` until then is stored; not while full batches tell of a backlog at the broker."""
        now = time.monotonic()
        if is_full:
            self._full_at = now
        elif now - self._full_at >= BACKLOG:
            self.mark_complete(heard)

    def expect_backlog(self) -> None:
        """Note that a connection was made: what the broker kept comes first."""
        self._full_at = time.monotonic()

    def note_values(self, decoded: Sequence[Decoded]) -> None:
        """Note whose single values were stored just now."""
        now = time.monotonic()
        for values in (one.values for one in decoded if one.values is not None):
            told = {(values.twin, name): now for name in values.names}
            self.machines |= told
            self.waiting |= told.keys()

    def expect(self, twin: str, names: Iterable[str]) -> None:
        """Note machines of which values may wait since before this process began."""
        for machine in {(twin, name) for name in names} - self.machines.keys():
            self.machines[machine] = -math.inf
            self.waiting.add(machine)

    def gives_up(self) -> bool:
        """Whether values have waited for this connection as long as they may; told once for each loss."""
        lacking = time.monotonic() - max(self.until, self.begun)
        if self.is_given_up or not self.waiting or lacking < LONGEST_HOLD.total_seconds():
            return False
        self.is_given_up = True
        return True


def silent_machines(every: Sequence[Completeness], contracts: Mapping[str, Twin]) -> dict[str, list[str]]:
    """Return twin -> machines of which no connection has anything more to say of what they wait for."""
    waits = {twin: wait_of(one) * (one.clock.seconds or math.inf) for twin, one in contracts.items()}
    found: defaultdict[str, set[str]] = defaultdict(set)
    for one in every:
        for machine in one.waiting:
            if one.machines[machine] < one.until - waits[machine[0]]:
                of = [other for other in every if machine in other.machines]
                last = max(other.machines[machine] for other in of)
                if last < min(other.until for other in of) - waits[machine[0]]:
                    found[machine[0]].add(machine[1])
    return {twin: sorted(names) for twin, names in found.items()}


def lagging_machines(
    every: Sequence[Completeness], contracts: Mapping[str, Twin], decoded: Sequence[Decoded]
) -> frozenset[str]:
    """Return the machines among these of which values later by `clock.wait` do not tell that nothing is lacking.

    Those that a second connection speaks of too, where either lags behind by their wait, and those whose gap is being
    filled.
    """
    now, found = time.monotonic(), set[str]()
    for values in (one.values for one in decoded if one.values is not None):
        contract = contracts[values.twin]
        earliest = now - min(wait_of(contract) * (contract.clock.seconds or 0.0), LONGEST_HOLD.total_seconds())
        for name in values.names:
            of = [one for one in every if (values.twin, name) in one.machines]
            if any(one.is_filling for one in of) or (len(of) > 1 and any(_lags(one, earliest, now) for one in of)):
                found.add(name)
    return frozenset(found)


def _lags(one: Completeness, earliest: float, now: float) -> bool:
    given_up = max(one.until, one.begun) < now - LONGEST_HOLD.total_seconds()
    return one.until < earliest and not given_up
