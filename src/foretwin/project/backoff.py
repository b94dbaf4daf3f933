"""Pauses between attempts: exponential, bounded, with jitter."""

import random
from dataclasses import dataclass

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
