"""A way for one thread to wake another that waits for its network."""

import contextlib
import socket


class Waker:
    """Its `line` becomes readable once somebody wakes its owner."""

    def __init__(self) -> None:
        self.line, self._other = socket.socketpair()
        self.line.setblocking(False)
        self._other.setblocking(False)

    def wake(self, *_: object) -> None:
        """Wake the owner."""
        with contextlib.suppress(OSError):  # it is awake already, or has ended
            self._other.send(b"x")

    def clear(self) -> None:
        """Read what woke the owner."""
        self.line.recv(4096)

    def close(self) -> None:
        """Close both ends."""
        self.line.close()
        self._other.close()
