"""Store readings from an MQTT broker; none is acknowledged before its transaction is committed.

Delivery is at least once and storing is idempotent, so this process, the broker and the database may each stop at any
moment: what was not acknowledged comes again, and what comes again changes nothing.
"""

import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from foretwin.contract.twin import Twin
from foretwin.errors import BadInput, StoreAway, TooLarge
from foretwin.project.digests import text_digest
from foretwin.project.loops import Backoff, Heartbeat
from foretwin.serving.http.limits import Limits
from foretwin.serving.http.tracing import work_span
from foretwin.twin.connectors.mqtt.session import BACKOFF, Session, connect_broker
from foretwin.twin.connectors.mqtt.subscription import Message, Subscription
from foretwin.twin.ingest.ingest import ingest
from foretwin.twin.ingest.receipt import Receipt
from foretwin.twin.ingest.single_values.due import settle_due
from foretwin.twin.ingest.snapshot_keeping import keep_snapshots
from foretwin.twin.store import Store
from foretwin.wire.decoder import decode, undecodable
from foretwin.wire.readings import Decoded

logger = logging.getLogger("foretwin.listening")

TOPIC = "foretwin/+/+/readings"  # twin, asset
BATCH = 500  # messages in one transaction
PATIENCE = 0.05  # s that the first message of a batch waits for more
AHEAD = 1000  # messages that the broker may send before earlier ones are stored
AHEAD_BODIES = 4  # of the largest size, that wait in memory
LOOK = 1.0  # s between two looks for values that have waited long enough to become readings
RETRY = Backoff(shortest=0.5, longest=30.0)  # s between two attempts to reach a store that is away


class PendingMessages:
    """Messages received but not stored yet, in order of arrival; of the largest bodies `AHEAD_BODIES` together."""

    def __init__(self, largest: int) -> None:
        self.largest = largest
        self._messages: deque[tuple[Message, float]] = deque()  # with the moment of arrival
        self._bytes = 0
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._messages)

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


@dataclass
class Listening:
    """What the listening process says of itself; the loop writes, others may read."""

    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    session: Session | None = None
    waiting: PendingMessages | None = None

    @property
    def is_connected(self) -> bool:
        """Whether the broker has accepted the present connection."""
        return self.session is not None and self.session.is_connected


def listen(  # noqa: PLR0913, PLR0917 - who listens for whom, and who hears of it
    store: Store,
    contracts: Mapping[str, Twin],
    url: str,
    stop: threading.Event,
    told: Callable[[Receipt], None] | None = None,
    backoff: Backoff = BACKOFF,
    state: Listening | None = None,
    root: Path = Path(),
) -> None:
    """Store what arrives on `foretwin/<twin>/<asset>/readings` until `stop` is set; the broker keeps the session.

    `told` hears of each transaction after its commit, `state` shows how it goes; snapshots of waveforms that are kept
    lie below the project's folder `root`. A broker or a store that is away is waited for. BrokerError where the broker
    refuses, or another process listens for this store; StoreError where the store refuses. Whatever ends it, what is
    not stored has not been acknowledged.
    """
    largest = Limits.from_env(os.environ).body_bytes
    waiting, looked = PendingMessages(largest), 0.0
    state = state or Listening()
    subscription = Subscription(TOPIC, waiting.put, AHEAD, largest, waiting.full)
    state.heartbeat.fail("the broker has not accepted yet", math.inf)  # however long it takes
    session = connect_broker(url, session_name(store), stop, subscription, backoff)
    state.session, state.waiting = session, waiting
    try:
        while not stop.is_set():
            session.check()
            messages = waiting.take(BATCH, PATIENCE, stop)
            decoded = [_decoded(message, contracts) for message in messages]
            receipt = _stored(store, contracts, decoded, stop, state.heartbeat) if messages else None
            state.heartbeat.done()
            if receipt is not None:
                keep_snapshots(root, decoded, datetime.now(UTC))
                session.acknowledge(messages)
                if told:
                    told(receipt)
            if time.monotonic() - looked > LOOK:
                looked = time.monotonic()
                settled = _settled(store, contracts)
                if told and settled.stored:
                    told(settled)
    finally:
        session.close()


def session_name(store: Store) -> str:
    """Return the client's name at the broker, derived from this store: the same after a restart."""
    return f"foretwin-ingest-{text_digest(store.name)[:12]}"


def _settled(store: Store, contracts: Mapping[str, Twin]) -> Receipt:
    """Make readings of values that have waited long enough; none while the store is away."""
    with work_span("settle") as span:
        try:
            settled = settle_due(store, contracts, datetime.now(UTC))
        except StoreAway:
            settled = Receipt()
        span.note(stored=settled.stored)
        if not settled.stored:
            span.drop()
    return settled


def _stored(
    store: Store,
    contracts: Mapping[str, Twin],
    decoded: Sequence[Decoded],
    stop: threading.Event,
    heartbeat: Heartbeat,
) -> Receipt | None:
    """Store decoded messages in one transaction, however long the store is away; None where `stop` is set before."""
    failures = 0
    with work_span("batch", messages=len(decoded)) as span:
        while True:
            try:
                receipt = ingest(store, contracts, decoded, "mqtt", datetime.now(UTC), "next")
            except StoreAway as error:
                failures += 1
                if failures == 1:
                    logger.warning("%s; nothing is acknowledged meanwhile, trying again", error)
                heartbeat.fail(str(error), pause := RETRY.wait(failures))
                if stop.wait(pause):
                    span.fail(error)
                    return None
                continue
            if failures:
                logger.warning("%s: storing again", store.name)
            span.note(stored=receipt.stored, quarantined=len(receipt.rejected), failed_attempts=failures)
            return receipt


def _decoded(message: Message, contracts: Mapping[str, Twin]) -> Decoded:
    """Decode a message; an unreadable one becomes a rejected one, for the quarantine."""
    _, twin, asset, _ = message.topic.split("/")
    try:
        if message.size > len(message.body):
            raise TooLarge("body", f"has {message.size} bytes, too many for one message: send several")
        return decode(message.body, message.content_type, contracts, twin, asset)
    except BadInput as error:
        return undecodable(message.body, error, twin, asset)
