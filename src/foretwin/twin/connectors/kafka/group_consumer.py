"""A consumer of a group: several processes share the partitions; an offset is committed once its message is stored."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka import Message as KafkaMessage

from foretwin.project.loops import Backoff
from foretwin.serving.http.limits import Limits
from foretwin.twin.connectors.connections.connections_file import Peer
from foretwin.twin.connectors.kafka.client_settings import SILENT, client_settings, is_refusal, refused
from foretwin.twin.connectors.kafka.group_statistics import SILENCE, Place, StatisticsReader
from foretwin.twin.connectors.kafka.partition_rounds import BATCH, Handed, PartitionRounds, Received
from foretwin.twin.connectors.mqtt.subscription import Message, Subscription

logger = logging.getLogger("foretwin.kafka")

AGAIN = 2 * BATCH  # messages of a partition that its earlier owner may have stored and not committed
AHEAD = 32 * 1024  # KiB that are received before they are asked for
FETCHED = 16 * 1024 * 1024  # bytes of one answer of a broker
ABREAST = 8 * 1024  # bytes of one partition in it, where several are to be read at one speed
FETCH, PATIENCE = 0.1, 0.02  # s that is waited for a first message, and for more
SESSION, BEAT = 10_000, 2000  # ms after which a silent process loses its partitions; between two signs of life
POLLED = 60_000  # ms within which we look for messages, or the group takes us for dead
NEW_TOPICS = 3000  # ms between two looks for topics, which also tell whether the brokers are there
BEGINNING = 5.0  # s until we tell that there is no connection yet
JSON = "application/json"
UNKNOWN = "not connected yet"
ASKED, LOOKED = 100, 250  # ms that a broker waits for something new, and between two looks at the links
STANDSTILL = 1.0  # s that storing may take before nothing more is asked for
LOOK, SHORT = 0.2, 0.001  # s between two looks whether something is done that takes long, or not
LEAVING = 5.0  # s that it may take to leave the group


@dataclass(eq=False)
class _Owned:
    """A partition that is ours. `again`: messages that an earlier owner may have stored and not committed."""

    again: int = AGAIN
    following: int = -1  # offset after the last message that was fetched


class GroupConsumer:
    """Reads `topics` (names, and regular expressions that begin with ^) as a member of `group`.

    `trouble` says what does not stand; `lag` is how many messages are not read, None while that is not known.
    `has_lost` tells, until it is set back, that partitions went to another process.
    """

    def __init__(
        self,
        peer: Peer,
        group: str,
        topics: Sequence[str],
        rounds: PartitionRounds,
        backoff: Backoff,
        stop: threading.Event,
    ) -> None:
        self.rounds = rounds
        self.name, self._stop, self._began = peer.name, stop, time.monotonic()
        self.trouble, self.has_lost = UNKNOWN, False
        self.lag: int | None = None
        self._largest = Subscription("", lambda _: None, largest=Limits.from_env(os.environ).body_bytes)
        self._owned: dict[Place, _Owned] = {}
        self._fetched: dict[Place, _Owned] = {}
        self._refusal: KafkaError | None = None
        self._answers: list[KafkaError | None] = []
        self._answered = 0, self._began  # how many answers have come, and when there was a new one
        self._reader = StatisticsReader()
        self._has_more = False  # of what was received may be handed on
        self._paused: set[Place] = set()  # while storing takes long
        self._waiting: set[Place] = set()  # for others that are not as far
        self._told: set[Any] = set()
        settings = client_settings(peer.name, peer.settings.url, peer.root, peer.settings.user, peer.password())
        self._consumer = Consumer(settings | self._group_settings(group, backoff), logger=SILENT)
        self._consumer.subscribe(list(topics), on_assign=self._assign, on_revoke=self._revoke, on_lost=self._revoke)

    def _group_settings(self, group: str, backoff: Backoff) -> dict[str, Any]:
        return {
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            # By range, one process has the partitions of one number of all topics, and so all of a machine's key.
            "partition.assignment.strategy": "range" if self.rounds.is_split else "cooperative-sticky",
            "session.timeout.ms": SESSION,
            "heartbeat.interval.ms": BEAT,
            "max.poll.interval.ms": POLLED,
            "topic.metadata.refresh.interval.ms": NEW_TOPICS,
            "queued.max.messages.kbytes": AHEAD,
            "fetch.max.bytes": FETCHED,
            **({"max.partition.fetch.bytes": ABREAST} if self.rounds.is_split else {}),
            "reconnect.backoff.ms": int(backoff.shortest * 1000),
            "reconnect.backoff.max.ms": int(backoff.longest * 1000),
            "fetch.wait.max.ms": ASKED,
            "statistics.interval.ms": LOOKED,
            "on_commit": lambda error, _: self._answers.append(error),
            "stats_cb": self._note_statistics,
            "error_cb": self._note_error,
        }

    def fetch(self) -> Handed:
        """Return what is to be stored next, nothing after a while; BrokerError where the brokers refuse us."""
        self._let_wait()
        first = self._consumer.poll(0 if self._has_more or self.rounds.is_full else FETCH)
        self._note(first)
        if first is not None and not self._has_more and not self.rounds.is_full:
            for one in self._consumer.consume(BATCH - 1, PATIENCE):
                self._note(one)
        if self._refusal is not None:
            raise refused(self.name, self._refusal)
        handed = self.rounds.take()
        self._has_more = len(handed.messages) == BATCH
        return handed

    def _let_wait(self) -> None:
        """Let the partitions wait that are ahead of others."""
        ahead = self.rounds.places_ahead() & self._owned.keys()
        if ahead != self._waiting:
            self._consumer.resume(_partitions(self._waiting - ahead - self._paused))
            self._consumer.pause(_partitions(ahead - self._waiting - self._paused))
            self._waiting = ahead

    def messages_of(self, fetched: Sequence[Received]) -> list[Message]:
        """Return what was fetched as messages of MQTT: the topic TOPIC/KEY; those that may come again are marked."""
        self._fetched, found = {}, []
        for one in fetched:
            owned = self._owned.get(one.place)
            if owned is None:  # its next owner reads it
                continue
            owned.following = max(owned.following, one.offset + 1)
            self._fetched[one.place] = owned
            found.append(_message(one, owned.again > 0, self._largest))
            owned.again -= 1
        return found

    def await_stored(self, work: "Future[bool]", moved: Callable[[], None]) -> bool:
        """Return what `work`, which stores, returns; while it takes long nothing is received.

        Meanwhile the group is told that we live, and `moved` is called.
        """
        wait([work], STANDSTILL)
        self._wait(work.done, moved, time.monotonic() - STANDSTILL)
        return work.result()

    def commit(self, moved: Callable[[], None]) -> None:
        """Commit what was fetched last, which is stored, where it is still ours; else it comes again, to its owner.

        It is tried until then. BrokerError where the brokers refuse it.
        """
        while not self._stop.is_set():
            places = {place: one for place, one in self._fetched.items() if self._owned.get(place) is one}
            if not places:
                break
            self._answers.clear()
            held = self.rounds.first_held()
            ends = {at: min(one.following, held.get(at, one.following)) for at, one in places.items()}
            self._consumer.commit(offsets=[TopicPartition(*at, end) for at, end in ends.items()])
            self._wait(lambda: self._answers, moved, time.monotonic())
            error = self._answers[0] if self._answers else None
            if error is None:
                break
            if is_refusal(error):
                raise refused(self.name, error)
            self._tell_once(("commit", error.code()), f"not committed, trying again: {error.str()}")
            self._stop.wait(LOOK)

    def close(self) -> None:
        """Leave the group; while the brokers are silent a commit under way would hold it up for long."""
        leaving = threading.Thread(target=self._consumer.close, name=f"leave-{self.name}", daemon=True)
        leaving.start()
        leaving.join(LEAVING)

    def _wait(self, is_done: Callable[[], object], moved: Callable[[], None], begin: float) -> None:
        """Wait, and go on to take part in the group; what comes meanwhile is kept for the next fetch."""
        while not is_done() and not (self._stop.is_set() and time.monotonic() - begin > STANDSTILL):
            if time.monotonic() - begin > STANDSTILL or self.rounds.is_over:
                self._pause()
            else:
                self._let_wait()
            came = self._consumer.poll(LOOK if self._paused else 0)
            self._note(came)
            moved()
            if came is None and not self._paused:
                time.sleep(SHORT)
        if self._paused:  # also those that are not ours any more: they would be paused where they come back
            self._consumer.resume(_partitions(self._paused - self._waiting))
            self._paused = set()

    def _pause(self) -> None:
        more = self._owned.keys() - self._paused
        self._paused |= more
        self._consumer.pause(_partitions(more - self._waiting))

    def _note(self, one: KafkaMessage | None) -> None:
        """Keep a message of a partition that is ours, tell an error."""
        if one is None:
            return
        error = one.error()
        if error is None:
            self.rounds.add(one)
        elif is_refusal(error):
            raise refused(self.name, error)
        else:
            self._tell_once((error.code(), one.topic()), error.str())

    def _assign(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        for one in partitions:
            self._owned[one.topic, one.partition] = _Owned()
            self.rounds.begin((one.topic, one.partition))

    def _revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        for one in partitions:
            self._owned.pop((one.topic, one.partition), None)
            self.rounds.forget((one.topic, one.partition))
        self.has_lost = True

    def _note_error(self, error: KafkaError) -> None:
        """Note why we are refused; what else fails the statistics tell."""
        if is_refusal(error):
            self._refusal = error

    def _note_statistics(self, text: str) -> None:
        told = self._reader.read(text, self._owned, self._paused | self._waiting)
        now = time.monotonic()
        if told.answers != self._answered[0]:
            self._answered = told.answers, now
        is_silent = now - self._answered[1] > NEW_TOPICS / 1000 + SILENCE
        trouble = told.trouble or ("the brokers answer nothing" if is_silent else "")
        if not trouble or self.trouble != UNKNOWN or now - self._began > BEGINNING:
            self.trouble = trouble
        self.lag = None if told.ends is None else told.lag
        self.rounds.note(replace(told, ends=None) if trouble else told)
        for place, count in told.deleted.items():
            self._tell_once(("deleted", place), f"{place}: {count} messages were deleted before they were read")

    def _tell_once(self, what: tuple[Any, ...], text: str) -> None:
        if what not in self._told:
            self._told.add(what)
            logger.warning("%s: %s", self.name, text)


def _partitions(places: Iterable[Place]) -> list[TopicPartition]:
    """Return partitions for the client, whose own method `assignment` waits for the coordinator, and Python with it."""
    return [TopicPartition(*place) for place in places]


def _message(one: Received, is_again: bool, largest: Subscription) -> Message:
    body, headers, kind = one.message.value() or b"", one.message.headers(), JSON
    if headers:
        told = {name.lower(): value for name, value in headers}
        kind = (told.get("content-type") or JSON.encode()).decode("utf-8", "backslashreplace")
    return Message(one.address, largest.shortened(body), kind, 0, 0, one.size, is_again)
