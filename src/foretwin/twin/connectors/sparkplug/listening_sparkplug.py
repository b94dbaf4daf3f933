"""Listen to edge nodes of Sparkplug B on a broker."""

import logging
import math
import os
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from foretwin.errors import BadInput
from foretwin.project.loops import Backoff
from foretwin.serving.http.limits import Limits
from foretwin.twin.connectors.connection_state import ConnectionState
from foretwin.twin.connectors.connections.connections_file import Peer
from foretwin.twin.connectors.connections.mapping import CollectedValues, TagMap
from foretwin.twin.connectors.mqtt.receiving import (
    AHEAD,
    BATCH,
    PATIENCE,
    PendingMessages,
    broker_of,
    session_name,
)
from foretwin.twin.connectors.mqtt.session import Session, connect_broker
from foretwin.twin.connectors.mqtt.subscription import Message, Subscription
from foretwin.twin.connectors.sink import Sink
from foretwin.twin.connectors.sparkplug.edge_nodes import (
    BIRTHS,
    DEATHS,
    MOST_HELD,
    EdgeNode,
    SparkplugTopic,
    parse_sparkplug_topic,
)
from foretwin.twin.connectors.sparkplug.payloads import SparkplugPayload, read_payload, rebirth_request
from foretwin.twin.ingest.single_values.positions import taken_until
from foretwin.wire.decoder import undecodable
from foretwin.wire.readings import Decoded

logger = logging.getLogger("foretwin.sparkplug")

FILTERS = tuple(f"spBv1.0/+/{kind}/+{'/+' * kind.startswith('D')}" for kind in (*BIRTHS, "NDATA", "DDATA", *DEATHS))


def listen_sparkplug(peer: Peer, sink: Sink, stop: threading.Event, state: ConnectionState, backoff: Backoff) -> None:
    """Store what edge nodes and devices say of the tags until `stop` is set; the connection is made anew by itself.

    BrokerError where the broker refuses, StoreError where the store does.
    """
    largest = Limits.from_env(os.environ).body_bytes
    waiting = PendingMessages(largest)
    subscription = Subscription(FILTERS[0], waiting.put, AHEAD, largest, waiting.full, FILTERS[1:])
    state.heartbeat.beat(math.inf)  # however long it takes until the broker accepts
    session = connect_broker(broker_of(peer), session_name(sink.store, peer), stop, subscription, backoff, state)
    host = _Host(peer, sink, state, session)
    logger.info("%s: listening", session.address)
    try:
        while not stop.is_set():
            session.check()
            heard = state.heard  # before: what came until then is taken now, or waits
            messages = waiting.take(BATCH, PATIENCE, stop)
            if messages and host.take(messages):
                session.acknowledge(messages)
            is_full = len(messages) == BATCH or bool(messages and host.tells_the_past)
            state.mark_batch(min(heard, waiting.oldest), is_full)
            state.waiting = len(waiting)
            state.heartbeat.beat()
    finally:
        session.close()


@dataclass
class _Batch:
    """What messages that came together said: values, refusals, and the machines that have left since."""

    values: CollectedValues
    refused: list[Decoded] = field(default_factory=list)
    left: set[str] = field(default_factory=set)


class _Host:
    """The host's view of all nodes of a broker. One thread uses it."""

    def __init__(self, peer: Peer, sink: Sink, state: ConnectionState, session: Session) -> None:
        self.peer, self.sink, self.state, self.session = peer, sink, state, session
        self.contract = sink.contracts[str(peer.settings.twin)]
        self.tags = TagMap(peer, self.contract)
        self.nodes: defaultdict[tuple[str, str], EdgeNode] = defaultdict(EdgeNode)
        self.held: defaultdict[tuple[str, str], list[tuple[SparkplugTopic, SparkplugPayload]]] = defaultdict(list)
        self.machines: defaultdict[str, set[str]] = defaultdict(set)  # of each node or device
        self.newest: dict[tuple[str, str], float] = {}  # microseconds since 1970, by machine and channel
        self.looked_up: set[str] = set()  # machines that the store was asked about
        self.tells_the_past = False  # whether older values may follow: a node was born, or sent what it had kept

    def take(self, messages: list[Message]) -> bool:
        """Store what messages say, in their order; False where it could not be stored before the end."""
        batch, self.tells_the_past = _Batch(CollectedValues(self.contract)), False
        for message in messages:
            topic = parse_sparkplug_topic(message.topic)
            if topic is None:
                continue
            try:
                if message.size > len(message.body):
                    raise BadInput("body", f"has {message.size} bytes, too many for one message")
                self._hear(topic, read_payload(message.body), batch)
            except BadInput as error:
                batch.refused.append(undecodable(message.body, error, self.contract.name, None))
        decoded = [*([batch.values.decode()] if len(batch.values) else []), *batch.refused]
        self.state.completeness.is_filling |= self.tells_the_past
        if decoded and not self.sink.take(decoded, "sparkplug", self.state):
            return False
        if batch.left:
            self.sink.leave(self.contract, sorted(batch.left))
            logger.warning("%s: %d machines have left", self.peer.name, len(batch.left))
        return True

    def _hear(self, topic: SparkplugTopic, payload: SparkplugPayload, batch: _Batch) -> None:
        key = topic.group, topic.node
        node = self.nodes[key]
        if topic.kind in DEATHS:
            self._bury(topic, payload, node, batch)
            return
        lacking = node.lacks_one(payload) and topic.kind != "NBIRTH"
        if topic.kind in BIRTHS:
            node.bear(topic, payload)
            held, self.held[key] = self.held[key], []
            for earlier in held:  # ahead of what the birth says of now
                self._data(*earlier, node, batch)
            self._read(topic, payload, node, batch)
            self.tells_the_past = True
        else:
            self._data(topic, payload, node, batch)
        if lacking:
            self._ask(topic, node, "a message is lacking")

    def _data(self, topic: SparkplugTopic, payload: SparkplugPayload, node: EdgeNode, batch: _Batch) -> None:
        known = node.is_born(topic.device) and all(node.named(topic.device, one) for one in payload.metrics)
        if known:
            self._read(topic, payload, node, batch)
            return
        held = self.held[topic.group, topic.node]
        held.append((topic, payload))
        if len(held) > MOST_HELD:
            lost = held.pop(0)
            self._count_bad("no birth", len(lost[1].metrics), topic.owner)
        self._ask(topic, node, "its metrics are in no birth")

    def _read(self, topic: SparkplugTopic, payload: SparkplugPayload, node: EdgeNode, batch: _Batch) -> None:
        mapped = []
        for metric in payload.metrics:
            found = node.named(topic.device, metric)
            tag = self.tags.find(f"{topic.owner}/{found[0]}") if found else None
            if tag is not None and found is not None:
                mapped.append((tag, metric, found[1]))
                self.machines[topic.owner].add(tag.asset)
                batch.left.discard(tag.asset)
        self._look_up({tag.asset for tag, _, _ in mapped})
        for tag, metric, raw in mapped:
            place = tag.asset, tag.channel
            if raw is None or metric.time is None:
                self._count_bad("null" if raw is None else "no time", 1, tag.tag.at)
                continue
            moment = metric.time * 1000
            self.tells_the_past |= metric.historical
            if moment <= self.newest.get(place, -math.inf) and not metric.historical:
                self.state.repeated += 1  # a birth tells again what was told
                continue
            self.newest[place] = max(moment, self.newest.get(place, moment))
            batch.values.add(tag, moment, raw)

    def _look_up(self, assets: set[str]) -> None:
        """Ask the store up to when the values of machines were taken that this process has not heard of yet."""
        new = assets - self.looked_up
        if new:
            self.looked_up |= new
            found: Mapping[tuple[str, str], float]
            found = self.sink.patiently(lambda: taken_until(self.sink.store, self.contract, new))
            self.newest |= found

    def _bury(self, topic: SparkplugTopic, payload: SparkplugPayload, node: EdgeNode, batch: _Batch) -> None:
        """Note the machines of a node, or of a device, that has died; not by the death of an earlier life."""
        if topic.kind == "NDEATH":
            session = next(
                (int(one.raw) for one in payload.metrics if one.name == "bdSeq" and one.raw is not None), None
            )
            if node.session is not None and session is not None and session != node.session:
                return
            node.devices, node.seq = set(), None
            owners = [one for one in self.machines if one == topic.owner or one.startswith(f"{topic.owner}/")]
        else:
            node.devices.discard(topic.device)
            node.seq = payload.seq if payload.seq is not None else node.seq
            owners = [topic.owner]
        batch.left |= {asset for owner in owners for asset in self.machines.get(owner, ())}

    def _ask(self, topic: SparkplugTopic, node: EdgeNode, why: str) -> None:
        if node.may_be_asked():
            logger.warning("%s: %s/%s is asked for its birth: %s", self.peer.name, topic.group, topic.node, why)
            command = rebirth_request(time.time_ns() // 1_000_000)
            self.session.publish(f"spBv1.0/{topic.group}/NCMD/{topic.node}", command, "application/octet-stream")

    def _count_bad(self, code: str, count: int, of: str) -> None:
        if self.state.mark_bad(code, count):
            logger.warning("%s: %s: %s, not stored; more of it are counted", self.peer.name, of, code)
