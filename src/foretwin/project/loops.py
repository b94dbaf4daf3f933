"""Loops that run for long: how long they wait between attempts, their signs of life, and their garbage."""

import gc
import random
import threading
import time
from dataclasses import dataclass

PATIENCE = 120.0  # seconds without a move, beyond an announced pause, after which a loop hangs
MOST_STEPS = 64  # beyond them any span is at its bound, and a float would overflow at last


@dataclass(frozen=True)
class Backoff:
    """Seconds between attempts: `shortest` at first, `factor` times as long each time, at most `longest`.

    `jitter` is the largest share of a wait that chance takes off, so that those who failed together come back apart.
    """

    shortest: float
    longest: float
    factor: float = 2.0
    jitter: float = 0.0

    def wait(self, failures: int) -> float:
        """Return the seconds to wait after `failures` failed attempts in a row, at least 1."""
        span = min(self.longest, self.shortest * self.factor ** min(failures - 1, MOST_STEPS))
        return span * random.uniform(1 - self.jitter, 1)


class Heartbeat:
    """What a loop says of itself. It alone writes; any number of threads may ask."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self.trouble: str | None = None  # what the last attempt failed at
        self.done_at: float | None = None  # seconds since 1970 at which it last came through
        self._patience = patience
        self._lock = threading.Lock()
        self._moved = time.monotonic()
        self._pause = 0.0

    def beat(self, pause: float = 0.0) -> None:
        """Note a move; the next one comes within `pause` seconds, and some patience."""
        with self._lock:
            self._moved, self._pause = time.monotonic(), pause

    def done(self, pause: float = 0.0) -> None:
        """Note that the loop came through: whatever it had to do is done."""
        self.beat(pause)
        self.trouble, self.done_at = None, time.time()

    def fail(self, trouble: str, pause: float = 0.0) -> None:
        """Note that an attempt failed; the next one comes in `pause` seconds."""
        self.beat(pause)
        self.trouble = trouble

    @property
    def hangs_for(self) -> float | None:
        """Seconds since a move was due; None while the loop moves."""
        with self._lock:
            late = time.monotonic() - self._moved - self._pause
        return late if late > self._patience else None


def exempt_from_collection() -> None:
    """Exempt what is loaded from garbage collection, and collect seldom: walking it would delay what comes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
