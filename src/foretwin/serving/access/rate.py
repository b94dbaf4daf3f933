"""Rate limit of a key: a token bucket in the memory of one process.

Several processes of a service, or several replicas, each count on their own: together they let a key through that many
times as often.
"""


class Bucket:
    """A limit of `rate` calls a second on average, with bursts of up to a second's worth, at least one."""

    __slots__ = ("_at", "_level", "_size", "rate")

    def __init__(self, rate: float, now: float) -> None:
        """`now` is a moment of the monotonic clock in seconds, as for `take`."""
        self.rate = rate
        self._size = self._level = max(1.0, rate)
        self._at = now

    def take(self, now: float) -> float:
        """Return 0.0 where a call may pass now; else the seconds until one may, and nothing is taken."""
        level = self._level + (now - self._at) * self.rate
        level = min(level, self._size)
        self._at = now
        if level >= 1.0:
            self._level = level - 1.0
            return 0.0
        self._level = level
        return (1.0 - level) / self.rate
