"""A subscription of a session, and the messages that it receives."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

ENVELOPE, LARGEST_PACKET = 64 * 1024, 2**28 - 1  # bytes of a packet besides its body; of any packet
BEGINNING = 60 * 1024  # bytes that are kept of a body that is too large


class Message(NamedTuple):
    """A received message. It can be acknowledged on its own connection only: numbers are reused on the next.

    Of one that is too large `body` is the beginning; `size` is that of the whole.
    """

    topic: str
    body: bytes
    content_type: str
    connection: int
    number: int  # 0: sent without the promise of delivery
    size: int
    is_again: bool = False  # it may have been delivered before


@dataclass(frozen=True)
class Subscription:
    """A subscription to `topic` and `more`. `receive` runs in the network thread, returns at once and raises nothing.

    The broker may send `most` messages ahead of their acknowledgement. Not every one keeps to it (Mosquitto 2.0.11 does
    not), so nothing is read from the network while `full()`. Of a body of more than `largest` bytes only the beginning
    is kept; one of more than twice as many the broker is told not to send.
    """

    topic: str
    receive: Callable[[Message], None]
    most: int = 1000
    largest: int = 8 * 1024 * 1024
    full: Callable[[], bool] = lambda: False
    more: tuple[str, ...] = ()

    @property
    def topics(self) -> tuple[str, ...]:
        """Return all topics."""
        return self.topic, *self.more

    @property
    def largest_packet(self) -> int:
        """Return the largest packet, in bytes, that the broker may send."""
        return min(2 * self.largest + ENVELOPE, LARGEST_PACKET)

    def shortened(self, body: bytes) -> bytes:
        """Return the body, or of one that is too large the beginning, with a digest that tells it from others."""
        if len(body) <= self.largest:
            return bytes(body)
        return bytes(body[:BEGINNING]) + f"... SHA-256 {hashlib.sha256(body).hexdigest()}".encode()
