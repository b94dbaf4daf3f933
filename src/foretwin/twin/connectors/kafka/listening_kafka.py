"""Listen to topics of Kafka; an offset is committed after the transaction that stores its message.

The address of a message is TOPIC/KEY. Foretwin's own topics are `foretwin.TWIN.readings`, their keys the machines.
"""

import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

from foretwin.project.loops import Backoff
from foretwin.twin.connectors.connection_state import ConnectionState
from foretwin.twin.connectors.connections.addresses import PLACE
from foretwin.twin.connectors.connections.connections_file import Peer
from foretwin.twin.connectors.connections.mapping import TagMap
from foretwin.twin.connectors.kafka.group_consumer import UNKNOWN, GroupConsumer, logger
from foretwin.twin.connectors.kafka.partition_rounds import PartitionRounds
from foretwin.twin.connectors.mqtt.receiving import decode_messages, session_name
from foretwin.twin.connectors.mqtt.subscription import Message
from foretwin.twin.connectors.mqtt.tag_topics import TagTopics
from foretwin.twin.connectors.sink import Sink

OWN = r"^foretwin\.[^.]+\.readings$"


def listen_kafka(peer: Peer, sink: Sink, stop: threading.Event, state: ConnectionState, backoff: Backoff) -> None:
    """Store what the topics hold until `stop` is set; the client makes its connections anew whenever they break.

    BrokerError where the brokers refuse for good, StoreError where the store does.
    """
    tags = _tag_topics(peer, sink) if peer.settings.tags else None
    topics, name = tags.filters if tags else [OWN], session_name(sink.store, peer)
    rounds = PartitionRounds(tags.machine_at if tags else None)
    group = GroupConsumer(peer, name, topics, rounds, backoff, stop)
    moved = partial(_tell, group, state)
    with closing(group), ThreadPoolExecutor(1, f"store-{peer.name}") as worker:
        while not stop.is_set():
            handed = group.fetch()
            messages = group.messages_of(handed.messages)
            if group.has_lost:
                group.has_lost = False
                sink.forget(state)
            moved()
            state.completeness.is_filling = tags is not None and not handed.is_round
            if messages:
                work = worker.submit(_stored, tags, messages, sink, state)
                if not group.await_stored(work, moved):
                    return
                group.commit(moved)
            if handed.heard is not None:
                state.completeness.mark_complete(handed.heard)


def subscribed_topics(addresses: Sequence[str]) -> list[str]:
    """Return the topics of addresses TOPIC/KEY: names, and regular expressions where a word stands in braces."""
    found = []
    for topic in dict.fromkeys(address.partition("/")[0] for address in addresses):
        parts = PLACE.split(topic)[::2]  # without the words
        found.append(topic if len(parts) == 1 else f"^{'[^/]+'.join(re.escape(part) for part in parts)}$")
    return found


def _tag_topics(peer: Peer, sink: Sink) -> TagTopics:
    topics = subscribed_topics([tag.at for tag in peer.settings.tags])
    return TagTopics(TagMap(peer, sink.contracts[str(peer.settings.twin)]), topics)


def _stored(tags: TagTopics | None, messages: Sequence[Message], sink: Sink, state: ConnectionState) -> bool:
    """Store what came; False where it was stopped before."""
    if tags is None:
        messages = [one._replace(topic=_own_topic(one.topic)) for one in messages]
    else:  # before the first values are stored: they wait for those of other partitions
        sink.expect(state, tags.twin, {tags.machine_at(one.topic) for one in messages} - {""})
    return sink.take(decode_messages(tags, messages, sink, state), "kafka", state)


def _own_topic(topic: str) -> str:
    """Return `foretwin/TWIN/ASSET/readings` for `foretwin.TWIN.readings/ASSET`."""
    name, _, asset = topic.partition("/")
    return f"foretwin/{name.split('.')[1]}/{asset}/readings"


def _tell(group: GroupConsumer, state: ConnectionState) -> None:
    """Note, and log, whether the links stand."""
    state.heartbeat.beat()
    state.waiting = group.lag or 0
    if not group.trouble:
        if state.connected_since is None:
            logger.warning("%s: connected", state.name)
        state.mark_connected()
    elif state.trouble != group.trouble:
        if not state.trouble or state.trouble == UNKNOWN:
            logger.warning("%s: connection lost: %s; trying again", state.name, group.trouble)
        state.mark_lost(group.trouble)
