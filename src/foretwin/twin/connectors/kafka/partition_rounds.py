"""Rounds through the partitions: what all of them held at one moment is handed on before what came later.

Values of one machine may lie in several partitions, which are read at different speeds. A step's reading is made of
what has come once a later value is stored: so nothing later is, until the other partitions have come as far.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from confluent_kafka import Message

from foretwin.twin.connectors.kafka.group_statistics import GroupStatistics, Place

BATCH = 500  # messages in one transaction
MOST, MEMORY = 2 * BATCH, 32 * 1024 * 1024  # messages, and bytes of them, that are held back at most


@dataclass(frozen=True)
class Handed:
    """Messages to be stored together; `is_round` where they end a round, up to which nothing is lacking.

    `heard` is set where all is stored then that the brokers had at that moment.
    """

    messages: list[Message]
    is_round: bool = False
    heard: float | None = None


@dataclass(frozen=True, eq=False)
class _Held:
    received: float  # of time.monotonic
    machine: str
    message: Message

    @property
    def sent(self) -> int:
        return int(self.message.timestamp()[1])  # ms, by its producer or broker


class PartitionRounds:
    """What was received and not handed on yet; `machine_of` says of which machine a message is.

    Without it nothing is held back: each machine has one partition. A round begins with what was received until a
    moment, and ends when all brokers were asked since, and answered. It hands on, of each machine, what was sent until
    the newest message was that it began with: whatever of that lay in another partition has come by then.
    """

    def __init__(self, machine_of: Callable[[Message], str] | None = None) -> None:
        self._machine_of = machine_of
        self._held: list[_Held] = []
        self._size = 0
        self._following: dict[Place, int] = {}  # offset after the last message that was received
        self._begun = self._before = -math.inf  # when this round began, and the last one
        self._ends: dict[Place, int] | None = None  # that are to be reached before it ends, once they are known
        self._ahead = -math.inf  # when the last one was received that was handed on before its time

    @property
    def is_split(self) -> bool:
        """Whether values of one machine may lie in several partitions."""
        return self._machine_of is not None

    @property
    def is_full(self) -> bool:
        """Whether no more is to be held back."""
        return len(self._held) >= MOST or self._size >= MEMORY

    @property
    def is_over(self) -> bool:
        """Whether nothing more may come: the client forgets what it has fetched of a partition that is paused."""
        return len(self._held) >= 2 * MOST or self._size >= MEMORY

    def note(self, told: GroupStatistics) -> None:
        """Note how far the partitions reach; begin a round where none is under way."""
        if self._begun == -math.inf:
            self._begun = told.made
        elif told.ends is not None and told.heard >= self._begun and (self._ends is None or not told.ends):
            self._ends = told.ends  # where all is read, some ends that were waited for are no messages

    def add(self, message: Message) -> None:
        """Add what was received."""
        machine = self._machine_of(message) if self._machine_of else ""
        self._held.append(_Held(time.monotonic(), machine, message))
        self._size += size_of(message)
        self._following[place_of(message)] = message.offset() + 1

    def forget(self, place: Place) -> None:
        """Leave out what was received of a partition that is another's now, and what is read of it again."""
        self._held = [one for one in self._held if place_of(one.message) != place]
        self._size = sum(size_of(one.message) for one in self._held)
        self._following.pop(place, None)
        self._begun = self._before = -math.inf
        self._ends = None

    def first_held(self, place: Place) -> float:
        """Return the lowest offset of a partition that is held back: nothing beyond it may be committed."""
        return min((one.message.offset() for one in self._held if place_of(one.message) == place), default=math.inf)

    def take(self) -> Handed:
        """Return what is to be stored next; the last messages of a round, at most a batch of them, end it.

        Where too many wait they are handed on before, and the round that ends is one that began later.
        """
        ends = self._ends
        is_reached = ends is not None and all(self._following.get(at, -1) >= end for at, end in ends.items())
        inside = self._inside() if self._machine_of is None or is_reached else []
        if is_reached and len(inside) <= BATCH:
            begun, heard = self._begun, self._begun if self._machine_of is None else self._before
            self._before, self._begun, self._ends = begun, -math.inf, None
            if begun >= self._ahead:
                return Handed(self._taken(inside), is_round=True, heard=heard if heard > -math.inf else None)
            inside = []
        if len(inside) <= BATCH and self.is_full and self._machine_of is not None:
            inside = self._held[:BATCH]
            self._ahead = inside[-1].received
        return Handed(self._taken(inside[:BATCH]))

    def _inside(self) -> list[_Held]:
        if self._machine_of is None:
            return list(self._held)
        newest: dict[str, int] = {}
        for one in self._held:
            if one.received <= self._begun:
                newest[one.machine] = max(one.sent, newest.get(one.machine, one.sent))
        return [one for one in self._held if one.sent <= newest.get(one.machine, -1) or one.received <= self._begun]

    def _taken(self, those: list[_Held]) -> list[Message]:
        gone = set(map(id, those))
        self._held = [one for one in self._held if id(one) not in gone]
        self._size -= sum(size_of(one.message) for one in those)
        return [one.message for one in those]


def place_of(message: Message) -> Place:
    """Return topic and partition of a message."""
    return message.topic(), message.partition()


def size_of(message: Message) -> int:
    """Return the bytes of its body."""
    return len(message.value() or b"")
