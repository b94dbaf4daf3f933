"""A subscription of a session, and the messages that it receives."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """A received message. It can be acknowledged on its own connection only: numbers are reused on the next."""

    topic: str
    body: bytes
    content_type: str
    connection: int
    number: int  # 0: sent without the promise of delivery


@dataclass(frozen=True)
class Subscription:
    """A subscription. `receive` runs in the network thread and must return at once and not raise.

    The broker may send `most` messages ahead of their acknowledgement. Not every one keeps to it (Mosquitto 2.0.11 does
    not), so nothing is read from the network while `full()`.
    """

    topic: str
    receive: Callable[[Message], None]
    most: int = 1000
    full: Callable[[], bool] = lambda: False
