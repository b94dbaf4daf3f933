"""Receive messages of an MQTT broker; none is acknowledged before the transaction that stores it is committed.

Delivery is at least once and storing is idempotent, so this process, the broker and the database may each stop at any
moment: what was not acknowledged comes again, and what comes again changes nothing.
"""

import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

from foretwin.contract.twin import Twin
from foretwin.errors import BadInput, TooLarge
from foretwin.project.digests import text_digest
from foretwin.project.loops import Backoff
from foretwin.serving.http.limits import Limits
from foretwin.twin.connectors.connection_state import ConnectionState
from foretwin.twin.connectors.connections.connections_file import Peer
from foretwin.twin.connectors.mqtt.address import Address, parse_address
from foretwin.twin.connectors.mqtt.session import BACKOFF, connect_broker
from foretwin.twin.connectors.mqtt.subscription import Message, Subscription
from foretwin.twin.connectors.mqtt.tag_topics import TagTopics, tag_topics
from foretwin.twin.connectors.redelivery import without_taken
from foretwin.twin.connectors.sink import Sink
from foretwin.twin.store import Store
from foretwin.wire.decoder import decode, undecodable
from foretwin.wire.readings import Decoded

logger = logging.getLogger("foretwin.mqtt")

TOPIC = "foretwin/+/+/readings"  # twin, asset
BATCH = 500  # messages in one transaction
PATIENCE = 0.05  # s that the first message of a batch waits for more
AHEAD = 1000  # messages that the broker may send before earlier ones are stored
AHEAD_BODIES = 4  # of the largest size, that wait in memory


class PendingMessages:
    """Messages received but not stored yet, in order of arrival; of the largest bodies `AHEAD_BODIES` together."""

    def __init__(self, largest: int) -> None:
        self.largest = largest
        self._messages: deque[tuple[Message, float]] = deque()  # with the moment of arrival
        self._bytes = 0
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def oldest(self) -> float:
        """Return when the oldest message came that waits; infinite where none does."""
        with self._changed:
            return self._messages[0][1] if self._messages else math.inf

    def put(self, message: Message) -> None:
        """Add one; called by the network thread."""
        with self._changed:
            self._messages.append((message, time.monotonic()))
            self._bytes += len(message.body)
            self._changed.notify()

    def full(self) -> bool:
        """Whether reading on would exceed the memory: the broker sends again what a broken connection held."""
        return len(self._messages) >= 2 * AHEAD or self._bytes >= AHEAD_BODIES * self.largest

    def take(self, most: int, patience: float, stop: threading.Event) -> list[Message]:
        """Return up to `most` messages, oldest first, once there are so many or the oldest is `patience` seconds old.

        Fewer where their bodies together exceed the largest that one may have; none where nothing comes for a while.
        """
        with self._changed:
            if not self._messages:
                self._changed.wait(0.2)
            while 0 < len(self._messages) < most and self._bytes < self.largest and not stop.is_set():
                left = self._messages[0][1] + patience - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            taken: list[Message] = []
            size = 0
            while self._messages and len(taken) < most and (not taken or size < self.largest):
                taken.append(self._messages.popleft()[0])
                size += len(taken[-1].body)
            self._bytes -= size
            return taken


def listen_mqtt(
    peer: Peer, sink: Sink, stop: threading.Event, state: ConnectionState, backoff: Backoff = BACKOFF
) -> None:
    """Store what a broker sends until `stop` is set; the broker keeps the session.

    Without tags the topics are `foretwin/<twin>/<asset>/readings`; with tags, those of the tags. BrokerError where the
    broker refuses, or another process listens for this store; StoreError where the store refuses.
    """
    largest = Limits.from_env(os.environ).body_bytes
    waiting = PendingMessages(largest)
    tags = tag_topics(peer, sink.contracts) if peer.settings.tags else None
    first, *more = tags.filters if tags else [TOPIC]
    subscription = Subscription(first, waiting.put, AHEAD, largest, waiting.full, tuple(more))
    state.heartbeat.beat(math.inf)  # however long it takes until the broker accepts
    session = connect_broker(broker_of(peer), session_name(sink.store, peer), stop, subscription, backoff, state)
    logger.info("%s: listening", session.address)
    try:
        while not stop.is_set():
            session.check()
            heard = state.heard  # before: what came until then is taken now, or waits
            messages = waiting.take(BATCH, PATIENCE, stop)
            decoded = decode_messages(tags, messages, sink, state)
            if messages and sink.take(decoded, "mqtt", state):
                session.acknowledge(messages)
            state.mark_batch(min(heard, waiting.oldest), is_full=len(messages) == BATCH)
            state.waiting = len(waiting)
            state.heartbeat.beat()
    finally:
        session.close()


def session_name(store: Store, peer: Peer | None = None) -> str:
    """Return the client's name at the broker, derived from this store: the same after a restart."""
    name = f"foretwin-ingest-{text_digest(store.name)[:12]}"
    return name if peer is None or not peer.settings.tags else f"{name}-{peer.name}"


def broker_of(peer: Peer) -> Address:
    """Return the broker of a connection, with user and password."""
    address = parse_address(peer.settings.url, os.environ)
    user = peer.settings.user or address.user
    return replace(address, user=user, password=(peer.password() or address.password) if user else None)


def decode_messages(
    tags: TagTopics | None, messages: Sequence[Message], sink: Sink, state: ConnectionState
) -> list[Decoded]:
    """Decode messages, of tags or of Foretwin's own topics; what is missing, and what was taken before, is counted."""
    again = [one for one in messages if one.is_again]
    if not again:
        return _decoded_all(tags, messages, sink.contracts, state)
    fresh = _decoded_all(tags, [one for one in messages if not one.is_again], sink.contracts, state)
    repeated = _decoded_all(tags, again, sink.contracts, state)
    left = sink.patiently(lambda: without_taken(sink.store, sink.contracts, repeated, state))
    return [*left, *fresh]


def _decoded_all(
    tags: TagTopics | None, messages: Sequence[Message], contracts: Mapping[str, Twin], state: ConnectionState
) -> list[Decoded]:
    if tags is None:
        return [_decoded(one, contracts) for one in messages]
    decoded = tags.decode(messages)
    missing = sum(one.missing for one in decoded)
    if missing:
        state.bad["missing"] += missing
    return decoded


def _decoded(message: Message, contracts: Mapping[str, Twin]) -> Decoded:
    """Decode a message; an unreadable one becomes a rejected one, for the quarantine."""
    twin, _, rest = message.topic.removeprefix("foretwin/").partition("/")
    asset = rest.removesuffix("/readings")
    try:
        if message.size > len(message.body):
            raise TooLarge("body", f"has {message.size} bytes, too many for one message: send several")
        return decode(message.body, message.content_type, contracts, twin, asset)
    except BadInput as error:
        return undecodable(message.body, error, twin, asset)
