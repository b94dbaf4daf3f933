"""The durable consumer of a stream: the server remembers what was acknowledged, however often either side ends."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from foretwin.errors import BrokerError
from foretwin.twin.connectors.jetstream.pull_requests import GivenOut, Pulled, PullRequests
from foretwin.twin.connectors.mqtt.subscription import Message

logger = logging.getLogger("foretwin.jetstream")

STREAM = "foretwin"
SUBJECT = "foretwin.*.*.readings"  # twin, asset
BATCH = 2000  # messages in one transaction
AGAIN = 5 * BATCH  # messages whose acknowledgements a server that is killed may have forgotten
MEMORY = 128 * 1024 * 1024  # bytes that the messages of one transaction may have together
ACK_WAIT = 10.0  # s after which the server gives again what was not acknowledged
KEPT = 1024**3  # bytes of a stream that we make; the server refuses what comes beyond
ANSWER = 5.0  # s that the server may take to take an acknowledgement


@dataclass
class Progress:
    """What outlasts a connection: the number in its stream of the last message that was stored.

    A server that was killed may have forgotten acknowledgements, and give such messages as if for the first time. Of
    the first `again` messages that this process gets an earlier one may have stored some.
    """

    stored: int = 0
    again: int = AGAIN

    def is_again(self, told: GivenOut) -> bool:
        """Note that a message was given; whether it may have been stored."""
        self.again -= 1
        return told.delivered > 1 or told.number <= self.stored or self.again >= 0


@dataclass(frozen=True)
class FetchedBatch:
    """Messages that came together; `is_drained`: they are all that the server had at `begun`, of time.monotonic.

    `newest` is the highest of their numbers in the stream, 0 of none.
    """

    messages: list[Message]
    fetched: list[Msg]
    newest: int
    begun: float
    is_drained: bool

    @classmethod
    def of(cls, pulled: Pulled, progress: Progress) -> "FetchedBatch":
        """Translate what was pulled."""
        messages = [_message(one, progress.is_again(told)) for one, told in pulled.messages]
        newest = max((told.number for _, told in pulled.messages), default=0)
        return cls(messages, [one for one, _ in pulled.messages], newest, pulled.asked, pulled.is_all)


class DurableConsumer:
    """A consumer of `subjects`, which lie in one stream. `complete_until` is a moment of time.monotonic.

    What the server had until then was fetched and acknowledged.
    """

    def __init__(self, client: Client, name: str, subjects: Sequence[str], progress: Progress) -> None:
        self._client, self._name, self._subjects, self._progress = client, name, list(subjects), progress
        self._context: JetStreamContext = client.jetstream()
        self.complete_until = float("-inf")

    async def begin(self) -> None:
        """Find the stream, make the consumer, and wait until the server gives again what an earlier life held.

        So that it comes before what is newer. BrokerError where there is no stream, or the server refuses.
        """
        stream = await self._stream()
        config = ConsumerConfig(durable_name=self._name, ack_policy=AckPolicy.EXPLICIT, ack_wait=ACK_WAIT)
        config.max_ack_pending = 2 * BATCH
        if len(self._subjects) == 1:
            config.filter_subject = self._subjects[0]
        else:
            config.filter_subjects = self._subjects
        try:
            info = await self._context.add_consumer(stream, config)
        except APIError as error:
            raise _refused(error, f"make the consumer {self._name} of the stream {stream}") from None
        self._requests = PullRequests(self._client, stream, self._name, BATCH, MEMORY)
        await self._requests.begin()
        if info.num_ack_pending:
            await asyncio.sleep(ACK_WAIT)

    async def fetch(self) -> FetchedBatch:
        """Return what came, none after a while in which nothing did; a whole batch while the server has more."""
        return FetchedBatch.of(await self._requests.fetch(), self._progress)

    async def acknowledge(self, batch: FetchedBatch) -> None:
        """Acknowledge a batch that is stored; those before it were acknowledged."""
        self._progress.stored = max(self._progress.stored, batch.newest)
        for one in batch.fetched[:-1]:
            await one.ack()
        for one in batch.fetched[-1:]:
            await one.ack_sync(ANSWER)  # the server has taken those before it too
        if batch.is_drained and self._client.is_connected:
            self.complete_until = batch.begun

    async def _stream(self) -> str:
        found = [await self._stream_of(subject) for subject in self._subjects]
        if len(set(found)) > 1:
            several = ", ".join(sorted(set(found)))
            raise BrokerError(f"the tags lie in the streams {several}; make a connection for each")
        return found[0]

    async def _stream_of(self, subject: str) -> str:
        try:
            return str(await self._context.find_stream_name_by_subject(subject))
        except NotFoundError:
            if subject != SUBJECT:
                raise BrokerError(f"no stream holds {subject}; make one, or correct the tag") from None
        except (NoRespondersError, ServiceUnavailableError):
            raise BrokerError("the server has no JetStream; start it with `jetstream` in its configuration") from None
        kept = StreamConfig(STREAM, subjects=[SUBJECT], retention=RetentionPolicy.WORK_QUEUE, storage=StorageType.FILE)
        kept.discard, kept.max_bytes = DiscardPolicy.NEW, KEPT
        try:
            await self._context.add_stream(kept)
        except APIError as error:
            raise _refused(error, f"make the stream {STREAM}") from None
        logger.warning("made the stream %s of %s, up to %d bytes", STREAM, SUBJECT, KEPT)
        return STREAM


def _message(one: Msg, is_again: bool) -> Message:
    """Return a message as those of MQTT: levels of its subject as levels of a topic, `%2E` in them is a dot."""
    kind = (one.headers or {}).get("Content-Type", "application/json")
    return Message(
        _topic_of(one.subject), one.data, kind, connection=0, number=0, size=len(one.data), is_again=is_again
    )


@lru_cache(maxsize=100_000)
def _topic_of(subject: str) -> str:
    return "/".join(unquote(level) for level in subject.split("."))


def _refused(error: APIError, what: str) -> Exception:
    """Return why it could not be done; an error of the server's own may pass."""
    if (error.code or 500) >= 500:
        return OSError(f"the server could not {what}: {error.description}")
    return BrokerError(f"the server does not {what}: {error.description}")
