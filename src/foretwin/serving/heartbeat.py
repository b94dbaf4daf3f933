"""Signs of life of a loop: when it last moved, when it last came through, what is in its way."""

import threading
import time

PATIENCE = 120.0  # seconds without a move, beyond an announced pause, after which a loop hangs


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
