"""Pumps that publish values which can be counted, each tick one second of their time."""

import threading
import time
from collections.abc import Collection, Sequence

CHANNELS = {"flow": 0.0, "speed": 1000.0}  # what each adds to the tick


class CountedPumps(threading.Thread):
    """Publishes until `quiet` is set; `published` is the number of ticks that the other side has acknowledged."""

    may_lose = False  # whether what is on its way may be lost, since nobody promises its delivery

    def __init__(self, pumps: int, every: float) -> None:
        super().__init__(daemon=True)
        self.every = every  # s between two ticks
        self.names = [f"P-{number:03d}" for number in range(pumps)]
        self.began = float(int(time.time()) - 7200)  # s since 1970
        self.published, self.quiet = 0, threading.Event()

    @property
    def may_be_heard(self) -> bool:
        """Whether there is something to listen to."""
        return self.published > 0

    def on_their_way(self, lost: Collection[int], kills: Sequence[float]) -> set[int]:  # noqa: ARG002 - none may be lost
        """Return those of the lost ticks that were on their way at kills at these moments, in s since 1970."""
        return set()

    def values_of(self, tick: int) -> dict[str, dict[str, float]]:
        """Pump -> channel -> what it shows at a tick."""
        return {name: {channel: tick + more for channel, more in CHANNELS.items()} for name in self.names}
