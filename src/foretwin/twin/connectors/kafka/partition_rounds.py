"""What of the partitions is handed on together: all of them as far as one moment, before what came later.

Values of one machine may lie in several partitions, which are read at different speeds. A step's reading is made of
what has come once a later value is stored: so nothing later is, until the other partitions have come as far.
"""

import math
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from confluent_kafka import Message

from foretwin.twin.connectors.kafka.group_statistics import GroupStatistics, Place

BATCH = 1000  # messages in one transaction
MOST, MEMORY = 100_000, 32 * 1024 * 1024  # messages, and bytes of them, that are held back at most
STUCK = 30.0  # s in which a quarter as many wait for partitions that come no further, after which the others go on
SEEN = 32  # messages of a partition by whose oldest it is told how far it is: clocks of producers differ


@dataclass(frozen=True)
class Handed:
    """Messages to be stored together; `is_round` where nothing is lacking up to the newest of them.

    `heard` is set where all is stored then that the brokers had at that moment.
    """

    messages: list["Received"]
    is_round: bool = False
    heard: float | None = None


class Received(NamedTuple):
    """A message at `address`, of `place`, that came at `moment` of time.monotonic; `sent` in ms, by its producer."""

    message: Message
    place: Place
    offset: int
    address: str
    machine: str
    moment: float
    sent: int
    size: int


class PartitionRounds:
    """What was received and not handed on yet; `machine_at` says of which machine an address is.

    Without it nothing is held back: each machine has one partition. Else, of what waits, that is handed on which was
    sent until the moment that all partitions have reached: one by what came of it last, one whose end is reached by
    what came of the others before. What little comes goes by rounds: a round begins with what was received until a
    moment, and ends when all brokers were asked since, and answered. It hands on, of each machine, what was sent until
    the newest message was that it began with: whatever of that lay in another partition has come by then.
    """

    def __init__(self, machine_at: Callable[[str], str] | None = None) -> None:
        self._machine_at = machine_at
        self._held: list[Received] = []
        self._ready: list[Received] = []  # of what is held, in the order in which they were sent
        self._is_whole = True  # nothing is lacking that was sent before those that are ready
        self._known: dict[tuple[str, bytes | None], tuple[str, str]] = {}  # topic and key -> address and machine
        self._size = 0
        self._following: dict[Place, int] = {}  # offset after the last message that was received; -1 before
        self._seen: defaultdict[Place, deque[int]] = defaultdict(lambda: deque(maxlen=SEEN))  # when they were sent
        self._course: deque[tuple[float, float]] = deque(maxlen=MOST)  # moment, and how far any partition was
        self._told: GroupStatistics | None = None
        self._begun = self._before = -math.inf  # when this round began, and the last one
        self._ends: dict[Place, float] | None = None  # that are to be reached before it ends, once they are known
        self._cut, self._moved = -math.inf, time.monotonic()  # what all partitions have reached, and since when
        self._ahead = self._ahead_at = -math.inf  # what was handed on before its time: sent, and received, at last

    @property
    def is_split(self) -> bool:
        """Whether values of one machine may lie in several partitions."""
        return self._machine_at is not None

    @property
    def is_full(self) -> bool:
        """Whether no more is to be held back."""
        return self.is_over or (not self.is_split and self._count >= 2 * BATCH)

    @property
    def is_over(self) -> bool:
        """Whether nothing more may come: the client forgets what it has fetched of a partition that is paused."""
        return self._count >= MOST or self._size >= MEMORY

    def note(self, told: GroupStatistics) -> None:
        """Note how far the partitions reach; begin a round where none is under way."""
        self._told = told
        ends = None if told.ends is None or math.inf in told.ends.values() else told.ends
        if self._begun == -math.inf:
            self._begun = told.made
        elif ends is not None and told.heard >= self._begun and (self._ends is None or not ends):
            self._ends = ends  # where all is read, some ends that were waited for are no messages

    def add(self, message: Message) -> None:
        """Add what was received of a partition that is ours."""
        place, offset = (message.topic(), message.partition()), message.offset()
        if place not in self._following:
            return
        key, sent, size = message.key(), int(message.timestamp()[1]), len(message)
        address, machine = self._known.get((place[0], key)) or self._learnt(place[0], key)
        self._held.append(Received(message, place, offset, address, machine, time.monotonic(), sent, size))
        self._size += size
        self._following[place] = offset + 1
        self._seen[place].append(sent)

    def begin(self, place: Place) -> None:
        """Begin with a partition that is ours now."""
        self.forget(place)
        self._following[place] = -1

    def forget(self, place: Place) -> None:
        """Leave out what was received of a partition that is another's now, and what is read of it again."""
        self._held = [one for one in self._held if one.place != place]
        self._ready = [one for one in self._ready if one.place != place]
        self._size = sum(one.size for one in (*self._held, *self._ready))
        self._following.pop(place, None)
        self._seen.pop(place, None)
        self._course.clear()
        self._begun = self._before = -math.inf
        self._told = self._ends = None

    def first_held(self) -> dict[Place, int]:
        """Return the lowest offset of each partition that is held back: nothing beyond it may be committed."""
        found = {one.place: one.offset for one in reversed(self._held)}
        for one in self._ready:
            if one.offset < found.get(one.place, math.inf):
                found[one.place] = one.offset
        return found

    def places_ahead(self) -> set[Place]:
        """Return the partitions that have come further than others, while much is held back for these."""
        if not self.is_split or not self._is_much:
            return set()
        reached = {place: self._reached(place) for place in self._open_places()}
        middle = (min(reached.values(), default=0.0) + max(reached.values(), default=0.0)) / 2
        return {place for place, sent in reached.items() if sent > middle}

    def take(self) -> Handed:
        """Return what is to be stored next; the last messages of a round, at most a batch of them, end it.

        Where a partition that is behind gives nothing for long, the others go on, and the round that ends is one that
        began later.
        """
        self._move_cut()
        ends = self._ends
        is_reached = ends is not None and all(self._following.get(at, -1) >= end for at, end in ends.items())
        if not self.is_split:
            return self._whole(is_reached)
        if len(self._ready) < BATCH and is_reached:
            self._prepare(self._inside(), self._begun >= self._ahead_at)
            if len(self._ready) <= BATCH:
                return self._end_of_round()
        if len(self._ready) < BATCH <= self._count:
            every = [*self._ready, *self._held]
            self._prepare([one for one in every if one.sent <= self._cut], self._cut >= self._ahead)
        if len(self._ready) >= BATCH:
            return Handed(self._next(), self._is_whole)
        if self.is_full or (self._is_much and time.monotonic() - self._moved > STUCK):
            return self._before_its_time()
        return Handed([])

    def _whole(self, is_reached: bool) -> Handed:
        self._ready, self._held = [*self._ready, *self._held], []
        if not is_reached or len(self._ready) > BATCH:
            return Handed(self._next())
        heard, self._begun, self._ends = self._begun, -math.inf, None
        return Handed(self._next(), is_round=True, heard=heard)

    def _end_of_round(self) -> Handed:
        heard, self._before, self._begun, self._ends = self._before, self._begun, -math.inf, None
        if not self._is_whole:
            return Handed([])
        return Handed(self._next(), is_round=True, heard=heard if heard > -math.inf else None)

    def _before_its_time(self) -> Handed:
        """Return those that were received first, although others may have been sent before the last of them."""
        every = sorted((*self._ready, *self._held), key=attrgetter("moment"))
        self._ready, self._held = every[:BATCH], every[BATCH:]
        self._ahead, self._ahead_at = max(self._ahead, *map(_sent, self._ready)), self._ready[-1].moment
        return Handed(self._next())

    def _prepare(self, those: list[Received], is_whole: bool) -> None:
        """Make those ready that may be handed on, of all that are held."""
        ready = set(map(id, those))
        self._held = [one for one in (*self._ready, *self._held) if id(one) not in ready]
        self._ready, self._is_whole = sorted(those, key=_sent), is_whole

    def _next(self) -> list[Received]:
        handed, self._ready = self._ready[:BATCH], self._ready[BATCH:]
        self._size -= sum(one.size for one in handed)
        return handed

    @property
    def _is_much(self) -> bool:
        return self._count >= MOST // 4 or self._size >= MEMORY // 2

    @property
    def _count(self) -> int:
        return len(self._held) + len(self._ready)

    def _inside(self) -> list[Received]:
        newest: dict[str, int] = {}
        every = [*self._ready, *self._held]
        for one in every:
            if one.moment <= self._begun:
                newest[one.machine] = max(one.sent, newest.get(one.machine, one.sent))
        return [one for one in every if one.moment <= self._begun or one.sent <= newest.get(one.machine, -1)]

    def _move_cut(self) -> None:
        """Move the moment of Kafka on that all partitions have reached."""
        now, places = time.monotonic(), self._open_places()
        self._course.append((now, max(map(self._reached, self._following), default=-math.inf)))
        reached = [self._reached(place) for place in places]
        if self._told is not None and len(places) < len(self._following):
            heard = self._told.heard
            reached.append(next((far for moment, far in reversed(self._course) if moment <= heard), -math.inf))
        cut = min(reached, default=-math.inf)
        if cut > self._cut or not self._is_much:
            self._cut, self._moved = max(cut, self._cut), now

    def _open_places(self) -> set[Place]:
        """Return the partitions of which more is known to come, all of them where that is not known."""
        ends = None if self._told is None else self._told.ends
        if ends is None:
            return set(self._following)
        return {place for place, end in ends.items() if self._following.get(place, end) < end}

    def _reached(self, place: Place) -> float:
        return min(self._seen[place], default=-math.inf)

    def _learnt(self, topic: str, key: bytes | None) -> tuple[str, str]:
        """Return the address TOPIC/KEY, or TOPIC of a message without a key, and its machine."""
        address = topic if key is None else f"{topic}/{key.decode('utf-8', 'backslashreplace')}"
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[topic, key] = address, self._machine_at(address) if self._machine_at else ""
        return self._known[topic, key]


_sent = attrgetter("sent")
