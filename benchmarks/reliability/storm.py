"""Let a hundred clients lose their connection at once, and count how they come back, for reports/connectors.json.

    python -m benchmarks.reliability.storm [CLIENTS]

Clients of MQTT are sessions as `foretwin ingest` has them; those of NATS run the loop of OPC UA and JetStream. A gate
in front of a real Mosquitto and a real NATS server counts who comes; it breaks all connections off, lets nobody in for
`AWAY` seconds, and opens again. Beside the back-off as it is stands the same one without chance.
"""

import asyncio
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.reliability.connector_kills import keep_figures
from benchmarks.reliability.nats_plant import NatsServer
from foretwin.errors import ForetwinError
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.loops import Backoff
from foretwin.twin.connectors.connection_state import ConnectionState
from foretwin.twin.connectors.connections.connections_file import plain_peer
from foretwin.twin.connectors.jetstream.listening_jetstream import AWAY as AWAY_ERRORS
from foretwin.twin.connectors.jetstream.server_session import opened_server
from foretwin.twin.connectors.mqtt.session import BACKOFF, Session, connect_broker
from foretwin.twin.connectors.mqtt.subscription import Subscription
from foretwin.twin.connectors.reconnecting import keep_connected
from foretwin.twin.simulator.broker import Broker
from foretwin.twin.simulator.processes import free_port, wait_for

CLIENTS, AWAY = 100, 5.0  # s that nobody is let in
SLICE = 0.1  # s in which attempts count as one herd
MOST_SHARE = 0.5  # of the clients that may come in one slice
PATIENCE = 120.0  # s that all may take


@dataclass
class Gate:
    """What stands in front of a server; `attempts` are the moments at which somebody came since it was closed."""

    behind: int
    port: int = field(default_factory=free_port)
    attempts: list[float] = field(default_factory=list)
    is_open: bool = True

    def __post_init__(self) -> None:
        """Open it, on a loop of its own."""
        self._lines: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        opening = asyncio.start_server(self._come, "127.0.0.1", self.port, backlog=4 * CLIENTS)
        self._server = asyncio.run_coroutine_threadsafe(opening, self._loop).result(10)

    def close(self) -> None:
        """Break all connections off, and let nobody in."""
        self.attempts, self.is_open = [], False
        self._loop.call_soon_threadsafe(self._break_off)

    def end(self) -> None:
        """End it."""
        asyncio.run_coroutine_threadsafe(self._leave(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _break_off(self) -> None:
        for line in list(self._lines):
            line.transport.abort()

    async def _leave(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _come(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.attempts.append(time.monotonic())
        if not self.is_open:
            writer.transport.abort()
            return
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.behind)
        self._lines |= {writer, inner_writer}
        await asyncio.gather(_pass_on(reader, inner_writer), _pass_on(inner_reader, writer))
        self._lines -= {writer, inner_writer}


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    writer.close()


@contextmanager
def mqtt_clients(port: int, count: int, backoff: Backoff) -> Iterator[list[ConnectionState]]:
    """Sessions with a subscription each, which connect without an end; their states."""
    states = [ConnectionState(f"storm-{number}") for number in range(count)]
    sessions: list[Session] = []
    for state in states:
        topic, url = Subscription(f"storm/{state.name}", lambda _: None), f"mqtt://127.0.0.1:{port}"
        sessions.append(connect_broker(url, state.name, threading.Event(), topic, backoff, state))
    try:
        yield states
    finally:
        closing = [threading.Thread(target=session.close) for session in sessions]
        for one in closing:
            one.start()
        for one in closing:
            one.join()


@contextmanager
def nats_clients(port: int, count: int, backoff: Backoff) -> Iterator[list[ConnectionState]]:
    """Clients in the loop of the connectors that have one of asyncio; their states."""
    states, stop = [ConnectionState(f"storm-{number}") for number in range(count)], threading.Event()
    peer = plain_peer(f"nats://127.0.0.1:{port}")

    async def stay(state: ConnectionState) -> str:
        async with opened_server(peer) as (_, lost):
            state.mark_connected()
            while not lost.is_set() and not stop.is_set():
                await asyncio.sleep(0.05)
        return "the connection broke"

    async def all_of_them() -> None:
        each = [keep_connected(lambda one=one: stay(one), AWAY_ERRORS, stop, one, backoff) for one in states]  # type: ignore[misc]
        await asyncio.gather(*each)

    thread = threading.Thread(target=asyncio.run, args=(all_of_them(),))
    thread.start()
    try:
        yield states
    finally:
        stop.set()
        thread.join()


def storm(behind: int, clients: Callable[..., Any], count: int, backoff: Backoff) -> dict[str, float]:
    """Close the gate on connected clients and open it again; how they came, and when the last one stood."""
    gate = Gate(behind)
    try:
        with clients(gate.port, count, backoff) as states:
            wait_for(lambda: all(one.connected_since for one in states), "all clients", PATIENCE)
            begin = time.monotonic()
            gate.close()
            wait_for(lambda: not any(one.connected_since for one in states), "the loss", PATIENCE)
            time.sleep(max(0.0, begin + AWAY - time.monotonic()))
            opened, gate.is_open = time.monotonic(), True
            wait_for(lambda: all(one.connected_since for one in states), "all clients again", PATIENCE)
            settled = time.monotonic()
    finally:
        gate.end()
    slices = Counter(int((moment - begin) / SLICE) for moment in gate.attempts)
    seconds = Counter(int(moment - begin) for moment in gate.attempts)
    return {
        "attempts": len(gate.attempts),
        "most_in_100_ms": max(slices.values()),
        "most_in_1_s": max(seconds.values()),
        "settled_seconds": round(settled - opened, 1),
    }


def main(count: int) -> None:
    """Run it, write the figures; ForetwinError where half of the clients come together."""
    with tempfile.TemporaryDirectory(prefix="foretwin-storm-") as name:
        broker, server = Broker(Path(name) / "mqtt").start(), NatsServer(Path(name) / "nats").start()
        found: dict[str, Any] = {"clients": count, "away_seconds": AWAY}
        try:
            for kind, port, clients in (("mqtt", broker.port, mqtt_clients), ("nats", server.port, nats_clients)):
                found[kind] = storm(port, clients, count, BACKOFF)
                found[kind]["most_in_100_ms_without_chance"] = storm(
                    port, clients, count, replace(BACKOFF, jitter=0.0)
                )["most_in_100_ms"]
        finally:
            broker.stop()
            server.kill()
    keep_figures("storm", found)
    herds = {kind: found[kind]["most_in_100_ms"] for kind in ("mqtt", "nats")}
    if max(herds.values()) > MOST_SHARE * count:
        raise ForetwinError(f"of {count} clients came within {SLICE:g} s: {herds}")


if __name__ == "__main__":
    with exit_on_error():
        main(int(sys.argv[1]) if len(sys.argv) > 1 else CLIENTS)
