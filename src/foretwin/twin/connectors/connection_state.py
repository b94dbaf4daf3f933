"""What is known of one connection: since when it stands, what came last, how late, how often it was made anew."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from foretwin.contract.channels import MICROSECONDS
from foretwin.project.loops import Heartbeat
from foretwin.twin.connectors.completeness import Completeness
from foretwin.wire.readings import Decoded

MOST_CODES = 100  # of qualities that are counted apart


@dataclass
class ConnectionState:
    """The state of a connection. Its own thread writes, any number may read.

    `connected_since` and `last_value` are s since 1970, None while it is not connected and before the first value;
    `last_value` is the source's own time where it tells one. `lag` is in s, from that time to the commit.
    `bad` counts values that were not stored since their source calls them bad, by its code; `repeated` those that had
    come before.
    """

    name: str
    connected_since: float | None = None
    last_value: float | None = None
    lag: float | None = None
    reconnects: int = 0
    trouble: str = "not connected yet"
    bad: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    waiting: int = 0  # messages that have come and are not stored yet
    heard: float = 0.0  # by time.monotonic: when the other side last said anything, be it that it is there
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    completeness: Completeness = field(default_factory=Completeness)
    _connections: int = 0

    def mark_connected(self) -> None:
        """Note that the connection stands."""
        if self.connected_since is not None:
            return
        self.completeness.expect_backlog()
        self.connected_since, self.trouble = time.time(), ""
        self.reconnects = self._connections
        self._connections += 1

    def mark_lost(self, why: str) -> None:
        """Note that there is no connection."""
        self.connected_since, self.trouble = None, why

    def mark_stored(self, decoded: Sequence[Decoded]) -> None:
        """Note what was committed."""
        now = time.time()
        self.completeness.note_values(decoded)
        for one in decoded:
            if one.values is not None and one.values.dated.any():
                newest = float(one.values.time[one.values.dated].max()) / MICROSECONDS
                self.last_value, self.lag = max(newest, self.last_value or newest), now - newest
            elif one.values is not None or one.readings is not None:
                self.last_value = now

    def mark_batch(self, heard: float, is_full: bool) -> None:
        """Note that what was heard until then is stored, while the connection stands."""
        if self.connected_since is not None:
            self.completeness.mark_batch(heard, is_full)

    def mark_bad(self, code: str, count: int = 1) -> bool:
        """Count values that their source calls bad; return whether this code is new."""
        code = code if code in self.bad or len(self.bad) < MOST_CODES else "other"
        self.bad[code] += count
        return self.bad[code] == count
