"""Listen to a stream of NATS JetStream; a message is acknowledged after the transaction that stores it.

Subjects are topics with dots: `foretwin.TWIN.ASSET.readings`, and of tags `factory/{asset}/{channel}` is
`factory.{asset}.{channel}`. What was not acknowledged comes again, and what comes again changes nothing.
"""

import asyncio
import logging
import threading

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
    """Listen until the connection is lost; return why it was."""
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
    """Store batch after batch until the connection is lost.

    While one is stored none is fetched: the two threads would take turns at Python's lock, which costs more than the
    server's answer takes. At the end what was fetched is stored too: else the next start would wait until the server
    gives it again.
    """
    losing, fetching = asyncio.ensure_future(lost.wait()), asyncio.ensure_future(consumer.fetch())
    try:
        while True:
            state.heartbeat.beat()
            await asyncio.wait((fetching, losing), return_when=asyncio.FIRST_COMPLETED)
            if lost.is_set():
                return "the connection broke"
            batch = fetching.result()
            decoded = decode_messages(tags, batch.messages, sink, state)
            if batch.messages and not await asyncio.to_thread(sink.take, decoded, "nats", state):
                return "stopped"
            await consumer.acknowledge(batch)
            state.completeness.mark_complete(consumer.complete_until)
            if stop.is_set():
                return "stopped"
            fetching = asyncio.ensure_future(consumer.fetch())
    finally:
        losing.cancel()
        fetching.cancel()
        await asyncio.gather(losing, fetching, return_exceptions=True)
