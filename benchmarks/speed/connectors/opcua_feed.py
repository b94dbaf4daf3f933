"""A real OPC UA server that changes its tags when it is told to: `python opcua_feed.py PORT`, commands on its input.

`now TICK` writes the values of a tick as of now; `flood TICKS` writes so many further ticks as fast as it can, each of
them a second of the pumps' time.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from benchmarks.speed.connectors.drains import Heard, Teller
from benchmarks.speed.connectors.workload import CHANNELS, NAMES, PlantValue, tick_values
from foretwin.twin.simulator.processes import free_port, listens, wait_for

PERIOD, QUEUE = 0.5, 10_000  # s between two messages of the server, and values of a tag that it keeps: as we ask for
EPOCH = datetime(1970, 1, 1)
URI = "urn:plant"


def subscribe_to_tags(url: str, stop: Event, told: Connection) -> None:
    """A plain client with a subscription to all tags; the library decodes."""
    from asyncua import Client

    teller = Teller(told)

    class Handler:
        def datachange_notification(self, _: Any, value: Any, __: Any) -> None:
            teller.note(1 if value is not None else 0)

    async def subscribe() -> None:
        async with Client(url) as client:
            index = await client.get_namespace_index(URI)
            tags = [client.get_node(f"ns={index};s={name}.{channel}") for name in NAMES for channel in CHANNELS]
            subscription = await client.create_subscription(PERIOD * 1000, Handler())
            await subscription.subscribe_data_change(tags, queuesize=QUEUE)
            while not stop.is_set():
                await asyncio.sleep(0.2)
                teller.flush()

    asyncio.run(subscribe())


class OpcuaFeed:
    """The server, as a process."""

    ticks, batch = 60, 1000
    bare = staticmethod(subscribe_to_tags)

    def start(self, folder: Path) -> None:
        """Nothing to start yet: each round has a server of its own."""
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def prepare(self, store_url: str) -> None:
        """Start a server."""
        del store_url
        self.stop()
        port = free_port()
        self._url = f"opc.tcp://127.0.0.1:{port}/"
        self.connection = f'url: "{self._url}", tags: [{{at: "Plant/{{asset}}/{{channel}}"}}]'
        command = [sys.executable, "-m", "benchmarks.speed.connectors.opcua_feed", str(port)]
        with (self._folder / "opcua.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log, text=True)
        wait_for(lambda: listens(port), f"OPC UA server on port {port}", 90)

    def bare_arguments(self) -> tuple[object, ...]:
        """Its URL."""
        return (self._url,)

    def begin(self, heard: Heard) -> float | None:
        """Let it write, once what the tags show at first was taken."""
        wait_for(lambda: bool(heard.commits), "the first values", 90)
        begun = time.time()
        self._say(f"flood {self.ticks}")
        return begun

    def send(self, tick: int) -> None:
        """Let it write the values of a tick as of now."""
        self._say(f"now {tick}")

    def _say(self, what: str) -> None:
        if self._process is not None:
            print(what, file=self._process.stdin, flush=True)


async def serve(port: int) -> None:
    """Serve, and do what the input says."""
    from asyncua import Server, ua

    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/")
    index = await server.register_namespace(URI)
    plant = await server.nodes.objects.add_object(index, "Plant")
    nodes = {}
    for name in NAMES:
        pump = await plant.add_object(ua.NodeId(name, index), name)
        for channel in CHANNELS:
            node = ua.NodeId(f"{name}.{channel}", index)
            await pump.add_variable(node, channel, 0.0, ua.VariantType.Double)
            nodes[name, channel] = node

    async def write(values: Iterable[PlantValue]) -> None:
        for one in values:
            told = ua.DataValue(
                ua.Variant(one.value, ua.VariantType.Double),
                ua.StatusCode(0),
                SourceTimestamp=EPOCH + timedelta(microseconds=one.time),
                ServerTimestamp=datetime.now(UTC),
            )
            await server.write_attribute_value(nodes[one.pump, one.channel], told)

    following = 0
    await write(tick_values(-1))
    async with server:
        while line := await asyncio.to_thread(sys.stdin.readline):
            word, number = line.split()
            if word == "now":
                await write(tick_values(int(number), time.time_ns() // 1000))
            for _ in range(int(number) if word == "flood" else 0):
                await write(tick_values(following))
                following += 1
                await asyncio.sleep(0)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
