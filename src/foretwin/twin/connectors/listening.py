"""One way in for every connector: listen to all connections at once, each in a thread of its own, until told to stop.

Each connector is a function `listen_...(peer, contracts, sink, stop, state)` that keeps its connection, makes it anew
whenever it breaks, and acknowledges to its source only what `sink.take` has stored.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from foretwin.contract.twin import Twin
from foretwin.errors import ForetwinError, StoreError
from foretwin.project.loops import Backoff, Heartbeat
from foretwin.twin.connectors.connection_state import ConnectionState
from foretwin.twin.connectors.connections.connections_file import KAFKA, NATS, Peer
from foretwin.twin.connectors.connections.proposal import ListedTag
from foretwin.twin.connectors.extras import needing_extra
from foretwin.twin.connectors.mqtt.receiving import listen_mqtt
from foretwin.twin.connectors.mqtt.session import BACKOFF
from foretwin.twin.connectors.sink import Sink
from foretwin.twin.connectors.sparkplug.listening_sparkplug import listen_sparkplug
from foretwin.twin.connectors.sparkplug.overheard_births import list_sparkplug_tags
from foretwin.twin.ingest.receipt import Receipt
from foretwin.twin.store import Store

logger = logging.getLogger("foretwin.listening")

LOOK = 1.0  # s between two looks for values that have waited long enough, and at the connections
JOIN = 20.0  # s that a connection may take to end


@dataclass
class Listening:
    """What the listening process says of itself; its loop writes, others may read."""

    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    connections: dict[str, ConnectionState] = field(default_factory=dict)

    @property
    def not_connected(self) -> list[str]:
        """Return the names of the connections that do not stand."""
        return [name for name, state in dict(self.connections).items() if state.connected_since is None]

    @property
    def is_connected(self) -> bool:
        """Whether there are connections, and all of them stand."""
        return bool(self.connections) and not self.not_connected


def listen(  # noqa: PLR0913, PLR0917 - who listens to whom, and who hears of it
    store: Store,
    contracts: Mapping[str, Twin],
    peers: Sequence[Peer],
    stop: threading.Event,
    told: Callable[[Receipt], None] | None = None,
    backoff: Backoff = BACKOFF,
    state: Listening | None = None,
    root: Path = Path(),
    newcomers: Callable[[], Sequence[Peer]] = tuple,
) -> None:
    """Store what the connections say until `stop` is set.

    `told` hears of each transaction after its commit, `state` shows how it goes; snapshots of waveforms that are kept
    lie below the project's folder `root`; `newcomers`, asked every second, gives connections that are set up meanwhile.
    A peer or a store that is away is waited for. Where a peer refuses, the only
    one ends it with BrokerError; of several it is logged and tried again. StoreError where the store refuses. Whatever
    ends it, what is not stored has not been acknowledged.
    """
    state = state or Listening()
    ended = threading.Event()  # of this call: `stop` is its owner's
    sink = Sink(store, contracts, ended, told, root, state.heartbeat)
    lines: list[_Line] = []

    def begin(more: Sequence[Peer]) -> None:
        new = [_Line(peer, sink, ended, backoff) for peer in more]
        lines.extend(new)
        for line in lines:
            line.alone = len(lines) == 1
        sink.states = [line.state for line in lines]
        state.connections |= {line.peer.name: line.state for line in new}
        for line in new:
            line.start()

    begin(peers)
    state.heartbeat.beat()
    try:
        while not stop.wait(LOOK if all(line.is_alive() for line in lines) else 0):
            begin(newcomers())
            failures = [line.failure for line in lines if line.failure is not None]
            if failures:
                raise failures[0]
            sink.settle()
            if all(line.state.heartbeat.hangs_for is None for line in lines):
                state.heartbeat.done()
    finally:
        ended.set()
        for line in lines:
            line.join(JOIN)


class _Line(threading.Thread):
    """The thread of one connection."""

    def __init__(self, peer: Peer, sink: Sink, stop: threading.Event, backoff: Backoff) -> None:
        super().__init__(name=f"listen-{peer.name}", daemon=True)
        self.peer, self.sink, self.ended, self.backoff, self.alone = peer, sink, stop, backoff, True
        self.state = ConnectionState(peer.name)
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Listen until the end; of several connections one that is refused is tried again."""
        try:
            while not self.ended.is_set():
                try:
                    _connector(self.peer)(self.peer, self.sink, self.ended, self.state, self.backoff)
                except StoreError:
                    raise
                except ForetwinError as error:
                    if self.alone:
                        raise
                    self.state.mark_lost(str(error))
                    pause = self.backoff.longest
                    logger.error("%s: %s; the other connections go on, next attempt in %g s", self.name, error, pause)
                    self.state.heartbeat.beat(pause)
                    self.ended.wait(pause)
        except BaseException as error:  # the main thread raises it
            self.failure = error


def listed_tags(url: str) -> list[ListedTag]:
    """Return the tags that a server, or the births at a broker list; SourceError where there are none."""
    if url.startswith("mqtt"):
        return list_sparkplug_tags(url)
    with needing_extra(url, "opcua"):
        from foretwin.twin.connectors.opcua.listed_tags import list_opcua_tags
    return list_opcua_tags(url)


def _connector(peer: Peer) -> Callable[[Peer, Sink, threading.Event, ConnectionState, Backoff], None]:
    """Return the function that listens to a peer; ConnectionsError where what it needs is not installed."""
    if peer.settings.format == "sparkplug":
        return listen_sparkplug
    if peer.scheme in NATS:
        with needing_extra(peer.name, "nats"):
            from foretwin.twin.connectors.jetstream.listening_jetstream import listen_jetstream
        return listen_jetstream
    if peer.scheme in KAFKA:
        with needing_extra(peer.name, "kafka"):
            from foretwin.twin.connectors.kafka.listening_kafka import listen_kafka
        return listen_kafka
    if peer.scheme != "opc.tcp":
        return listen_mqtt
    with needing_extra(peer.name, "opcua"):
        from foretwin.twin.connectors.opcua.listening_opcua import listen_opcua
    return listen_opcua
