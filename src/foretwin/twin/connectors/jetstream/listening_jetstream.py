"""Listen to a stream of NATS JetStream; a message is acknowledged after the transaction that stores it.

Subjects are topics with dots: `foretwin.TWIN.ASSET.readings`, and of tags `factory/{asset}/{channel}` is
`factory.{asset}.{channel}`. What was not acknowledged comes again, and what comes again changes nothing.
"""

import asyncio
import logging
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from nats.errors import Error as NatsError

from foretwin.project.loops import Backoff
from foretwin.twin.connectors.connection_state import ConnectionState
from foretwin.twin.connectors.connections.connections_file import Peer
from foretwin.twin.connectors.jetstream.durable_consumer import SUBJECT, DurableConsumer, Progress
from foretwin.twin.connectors.jetstream.server_session import opened_server
from foretwin.twin.connectors.mqtt.receiving import decode_messages, session_name
from foretwin.twin.connectors.mqtt.tag_topics import TagTopics, tag_topics
from foretwin.twin.connectors.reconnecting import keep_connected
from foretwin.twin.connectors.sink import Sink

logger = logging.getLogger("foretwin.jetstream")

T = TypeVar("T")
AWAY = (OSError, asyncio.TimeoutError, NatsError)


def listen_jetstream(peer: Peer, sink: Sink, stop: threading.Event, state: ConnectionState, backoff: Backoff) -> None:
    """Store what a stream holds until `stop` is set; the connection is made anew whenever it breaks.

    BrokerError where the server refuses for good, StoreError where the store does.
    """
    logging.getLogger("nats").setLevel(logging.CRITICAL)  # this module tells what matters, in its own words
    asyncio.run(_listen(peer, sink, stop, state, backoff))


async def _listen(peer: Peer, sink: Sink, stop: threading.Event, state: ConnectionState, backoff: Backoff) -> None:
    tags = tag_topics(peer, sink.contracts) if peer.settings.tags else None
    progress = Progress()
    await keep_connected(lambda: _connected(peer, sink, stop, state, tags, progress), AWAY, stop, state, backoff)


async def _connected(
    peer: Peer,
    sink: Sink,
    stop: threading.Event,
    state: ConnectionState,
    tags: TagTopics | None,
    progress: Progress,
) -> str:
    """Listen until `stop` is set, or the connection is lost: OSError or NatsError."""
    subjects = [one.replace("/", ".").replace("+", "*") for one in tags.filters] if tags else [SUBJECT]
    name = session_name(sink.store, peer)
    async with opened_server(peer) as (client, lost):
        consumer = DurableConsumer(client, name, subjects, progress)
        await consumer.begin()
        logger.warning("%s: connected", peer.name)
        state.mark_connected()
        return await _store_what_comes(consumer, lost, sink, stop, state, tags)


async def _store_what_comes(
    consumer: DurableConsumer,
    lost: asyncio.Event,
    sink: Sink,
    stop: threading.Event,
    state: ConnectionState,
    tags: TagTopics | None,
) -> str:
    """Store batch after batch until `stop` is set; OSError or NatsError where the connection is lost before.

    While one is stored none is fetched: the two threads would take turns at Python's lock, which costs more than the
    server's answer takes. At the end what was fetched is stored too: else the next start would wait until the server
    gives it again.
    """
    while True:
        state.heartbeat.beat()
        batch = await _unless_lost(consumer.fetch(), lost)
        decoded = decode_messages(tags, batch.messages, sink, state)
        if batch.messages and not await asyncio.to_thread(sink.take, decoded, "nats", state):
            return "stopped"
        await _unless_lost(consumer.acknowledge(batch), lost)
        state.completeness.mark_complete(consumer.complete_until)
        if stop.is_set():
            return "stopped"


async def _unless_lost(work: Coroutine[Any, Any, T], lost: asyncio.Event) -> T:
    """Await work; OSError once the connection is lost, whatever answer the work still waits for."""
    losing, doing = asyncio.ensure_future(lost.wait()), asyncio.ensure_future(work)
    try:
        await asyncio.wait((doing, losing), return_when=asyncio.FIRST_COMPLETED)
        if lost.is_set():
            raise OSError("the connection broke")
        return doing.result()
    finally:
        losing.cancel()
        doing.cancel()
