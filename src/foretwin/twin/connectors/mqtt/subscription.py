"""What a session with a broker hears."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """A message as it came. It can be acknowledged on its own connection only: numbers are used again on the next."""

    topic: str
    body: bytes
    content_type: str
    connection: int
    number: int  # 0: sent without the promise of delivery


@dataclass(frozen=True)
class Subscription:
    """What a session hears. `receive` runs in the network thread and must return at once and not raise.

    The broker may send `most` messages ahead of their acknowledgement. Not every one keeps to it (Mosquitto 2.0.11 does
    not), so nothing is read from the network while `full()`.
    """

    topic: str
    receive: Callable[[Message], None]
    most: int = 1000
    full: Callable[[], bool] = lambda: False
