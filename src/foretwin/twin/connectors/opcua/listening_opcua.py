"""Listen to an OPC UA server: changes of its tags, and from its history what came while nobody listened.

After each connection the address space is browsed, the tags are subscribed to, and what lies between the last value
that was taken and now is read from the history, before the first change is taken: so readings are made in the order of
time. The server's messages are acknowledged after the commit.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from asyncua import Client, ua

from foretwin.project.loops import Backoff
from foretwin.twin.connectors.connection_state import ConnectionState
from foretwin.twin.connectors.connections.connections_file import Peer
from foretwin.twin.connectors.connections.mapping import CollectedValues, MappedTag, TagMap
from foretwin.twin.connectors.opcua.address_space import find_variables
from foretwin.twin.connectors.opcua.client_session import opened_session
from foretwin.twin.connectors.opcua.data_values import TagValue, read_data_value
from foretwin.twin.connectors.opcua.gap_history import has_history_of, keep_history, read_gap
from foretwin.twin.connectors.opcua.monitoring_items import PUBLISH_EVERY, Changes, TagSubscription
from foretwin.twin.connectors.reconnecting import LOOK, keep_connected
from foretwin.twin.connectors.sink import Sink
from foretwin.twin.ingest.single_values.positions import taken_until

logger = logging.getLogger("foretwin.opcua")

LONGEST_STORING = 5.0  # s: beyond it the server's queues may have run over, and the history is asked
OVERLAP = 10.0  # s after the history in which the server may tell what that had told
SETTLING = 1.0  # s that a server has until its history is asked
LONGEST_SETTLING = 30.0  # s that its history may lag behind what it tells of its tags
TOLD_TAGS = 5  # that a line of the log names
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
AWAY = (OSError, asyncio.TimeoutError, ua.UaError)


def listen_opcua(peer: Peer, sink: Sink, stop: threading.Event, state: ConnectionState, backoff: Backoff) -> None:
    """Store what a server says of its tags until `stop` is set; the connection is made anew whenever it breaks.

    BrokerError where the server refuses for good, StoreError where the store does.
    """
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)  # this module tells what matters, in its own words
    asyncio.run(_listen(peer, sink, stop, state, backoff))


async def _listen(peer: Peer, sink: Sink, stop: threading.Event, state: ConnectionState, backoff: Backoff) -> None:
    async def listen_once() -> str:
        async with opened_session(peer) as (client, lost):
            return await _Listener(peer, sink, stop, state, client).listen(lost)

    await keep_connected(listen_once, AWAY, stop, state, backoff)


class _Listener:
    """One connection to a server, from browsing to its end."""

    def __init__(self, peer: Peer, sink: Sink, stop: threading.Event, state: ConnectionState, client: Client) -> None:
        self.peer, self.sink, self.stop, self.state, self.client = peer, sink, stop, state, client
        self.contract = sink.contracts[str(peer.settings.twin)]
        self.nodes: list[ua.NodeId] = []
        self.tags: list[MappedTag] = []
        self.newest: list[float] = []  # microseconds since 1970 of each tag's last value
        self.first: dict[ua.NodeId, datetime] = {}  # when what the subscription tells first of a tag was taken
        self.filled = asyncio.Event()  # the history has been taken, changes may follow
        self.overlap_ends = self.filled_at = float("inf")
        self.gap: str | None = None
        self.failure: BaseException | None = None

    async def listen(self, lost: asyncio.Event) -> str:
        """Listen until the connection is lost; return why it was."""
        await self._find_tags()
        subscription = TagSubscription(self.client, self._changed)
        every = self.peer.settings.publish_every or PUBLISH_EVERY
        refused = await subscription.begin(every, self.nodes, [tag.tag.dead_band for tag in self.tags])
        self._tell("the server refuses %d tags: %s", [t.tag.at for t, r in zip(self.tags, refused, strict=True) if r])
        self.state.completeness.is_filling = True
        await self._fill()
        self.filled.set()
        self.filled_at = time.monotonic()
        self.overlap_ends = self.filled_at + OVERLAP
        logger.warning("%s: connected, %d tags", self.peer.name, len(self.tags))
        self.state.mark_connected()
        while not self.stop.is_set():
            self.state.heartbeat.beat()
            if self.failure is not None:
                raise self.failure
            why = "the connection broke" if lost.is_set() else subscription.ended or self.gap
            if why or subscription.is_silent:
                return why or "the server says nothing any more"
            if subscription.stored_until > self.filled_at:  # it has what the history had of one tag and not of another
                self.state.completeness.mark_complete(subscription.stored_until)
            await asyncio.sleep(LOOK)
        return "stopped"

    async def _find_tags(self) -> None:
        tags, found = TagMap(self.peer, self.contract), set[str]()
        for variable in await find_variables(self.client):
            for address in variable.addresses:
                tag = tags.find(address)
                if tag is not None:
                    self.nodes.append(variable.node)
                    self.tags.append(tag)
                    found.add(tag.tag.at)
                    break
        self._tell("%d tags are not there: %s", [t.at for t in self.peer.settings.tags if t.at not in found])
        positions = taken_until(self.sink.store, self.contract, {tag.asset for tag in self.tags})
        self.newest = [positions.get((tag.asset, tag.channel), float("-inf")) for tag in self.tags]
        self.sink.expect(self.state, self.contract.name, {asset for asset, _ in positions})

    async def _fill(self) -> None:
        """Read what lies between the last value of each tag and now; tell the gap where the server has no history."""
        since = {node: newest for node, newest in zip(self.nodes, self.newest, strict=True) if newest > float("-inf")}
        if not since:
            return
        kept = await keep_history(self.client, list(since))
        begin = EPOCH + timedelta(microseconds=min(since.values()))
        if len(kept) < len(since):
            lacking = [
                tag.tag.at for tag, node in zip(self.tags, self.nodes, strict=True) if node in since.keys() - kept
            ]
            self._tell(f"what came since {begin:%Y-%m-%d %H:%M:%S} UTC is lost of %d tags without history: %s", lacking)
        if not kept:
            return
        moments = {node: EPOCH + timedelta(microseconds=since[node]) for node in kept}
        place = {node: i for i, node in enumerate(self.nodes)}
        try:
            await self._settle(kept)
            async for window in read_gap(self.client, moments, datetime.now(UTC)):
                await self._take((place[node], value) for node, value in window)
                self.state.heartbeat.beat()
                if self.stop.is_set() or self.failure is not None:
                    return
        except ua.UaStatusCodeError as error:  # the present goes on without the past
            self._tell(
                f"what came since {begin:%Y-%m-%d %H:%M:%S} UTC may be lost, the history answers {error}: %d tags: %s",
                [self.tags[place[node]].tag.at for node in kept],
            )

    async def _settle(self, kept: set[ua.NodeId]) -> None:
        """Wait until the history has what the subscription tells first: it then has what came before it, too."""
        ends = time.monotonic() + LONGEST_SETTLING
        while time.monotonic() < ends and not self.stop.is_set() and self.failure is None:
            await asyncio.sleep(SETTLING)
            told = {node: moment for node, moment in self.first.items() if node in kept}
            if told and await has_history_of(self.client, told):
                return
            self.state.heartbeat.beat()
        if time.monotonic() >= ends:
            lagging = [tag.tag.at for tag, node in zip(self.tags, self.nodes, strict=True) if node in kept]
            self._tell(f"the history of %d tags lags {LONGEST_SETTLING:g} s, values may be lost: %s", lagging)

    async def _changed(self, changes: Changes) -> None:
        """Take the changes of one message; the next is asked for when this returns."""
        read = [(place, read_data_value(value)) for place, value in changes]
        for place, value in read if not self.filled.is_set() else ():
            if value is not None:
                self.first.setdefault(self.nodes[place], EPOCH + timedelta(microseconds=value.time))
        await self.filled.wait()
        values = sorted(((p, v) for p, v in read if v is not None), key=lambda one: one[1].time)
        if any(value.after_loss for _, value in values):
            self.gap = "the server's queue ran over, its history is asked"
            return
        begin = time.monotonic()
        await self._take(values)
        if time.monotonic() - begin > LONGEST_STORING:
            self.gap = "storing took so long that the server's queues may have run over, its history is asked"

    async def _take(self, values: Iterable[tuple[int, TagValue]]) -> None:
        collected = CollectedValues(self.contract)
        newest = list(self.newest)
        for place, value in values:
            tag = self.tags[place]
            # Later on an earlier time is that of a clock that went back: the store judges it, and tells.
            overlaps = value.time <= newest[place] and time.monotonic() < self.overlap_ends
            if overlaps or value.time == newest[place]:
                self.state.repeated += 1
                continue
            newest[place] = value.time
            if value.code is not None and self.state.mark_bad(value.code):
                logger.warning(
                    "%s: %s is %s and not stored; more of it are counted", self.peer.name, tag.tag.at, value.code
                )
            elif value.code is None:
                collected.add(tag, value.time, value.raw)
        if len(collected) == 0 or self.failure is not None:
            return
        try:
            if not await asyncio.to_thread(self.sink.take, [collected.decode()], "opcua", self.state):
                return
        except Exception as error:  # `listen` raises it: the library that calls us would only log it
            self.failure = error
            return
        self.newest = newest

    def _tell(self, text: str, tags: list[str]) -> None:
        if tags:
            more = ", ..." if len(tags) > TOLD_TAGS else ""
            logger.warning(f"%s: {text}", self.peer.name, len(tags), ", ".join(tags[:TOLD_TAGS]) + more)
