"""An OPC UA server of pumps in a process of its own, to be killed: `python opcua_plant.py SETTINGS.json`.

Each tick of its clock, `speed` times a second, is one second of the pumps' time: every tag of every pump gets the value
`tick + 1000 * tag` with that time at its source; where tags have rates of their own, each as many ticks as that says.
`quiet` is a file at which it stops to measure.
"""

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from foretwin.twin.simulator.processes import free_port, listens, wait_for

URI = "urn:plant"
DAY = 86400  # s before the plant began: since then tags that change seldom show their first value
SELDOM = 100  # ticks between two values, and more
MEASURED = "measured.txt"  # the ticks at which a server without a history has measured


@dataclass
class OpcPlant:
    """The server and its settings; `history` in SQLite, or none. `began` and `started` are s since 1970."""

    folder: str
    pumps: int = 2
    tags: tuple[str, ...] = ("flow", "speed")
    history: bool = True
    speed: float = 10.0
    began: float = field(default_factory=lambda: float(int(time.time()) - 7200))
    started: float = field(default_factory=time.time)
    port: int = field(default_factory=free_port)
    security: dict[str, str] = field(default_factory=dict)
    rates: tuple[int, ...] = (1,)  # ticks between two values of the first tags of each pump, and so forth again
    bad_every: int = 0  # ticks: of each of them the first tag is of bad quality
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Its URL."""
        return f"opc.tcp://127.0.0.1:{self.port}/"

    def start(self) -> "OpcPlant":
        """Start it, or start it again."""
        settings = Path(self.folder) / "plant.json"
        content = (
            {name: value for name, value in asdict(self).items() if name != "process"} if not self.process else None
        )
        if content is not None:
            settings.write_text(json.dumps(content))
        log = (Path(self.folder) / "plant.log").open("ab")
        self.process = subprocess.Popen([sys.executable, __file__, str(settings)], stdout=log, stderr=log)
        wait_for(lambda: listens(self.port), f"OPC UA server on port {self.port}", 90)
        return self

    def kill(self) -> None:
        """Kill it at whatever it is."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def be_quiet(self) -> None:
        """Let it measure no more; it goes on answering."""
        (Path(self.folder) / "quiet").touch()

    def remembered(self) -> dict[tuple[str, str], dict[float, float]]:
        """Pump and tag -> second since the plant began -> value, as the history on the disk, or the plant has them."""
        if not self.history:
            ticks = [int(line) for line in (Path(self.folder) / MEASURED).read_text().splitlines()]
            tags = [(f"P-{pump:03d}", *tag) for pump in range(self.pumps) for tag in enumerate(self.tags)]
            return {(pump, tag): {float(tick): value_of(tick, place) for tick in ticks} for pump, place, tag in tags}
        found = {}
        with sqlite3.connect(f"{self.folder}/history.db") as connection:
            for pump in range(self.pumps):
                for place, tag in enumerate(self.tags):
                    rows = connection.execute(
                        f'SELECT "SourceTimestamp", "Value" FROM "2_{number_of(pump, place)}"'  # noqa: S608
                    ).fetchall()
                    zero = datetime.fromtimestamp(self.began, UTC).replace(tzinfo=None)
                    moments = [datetime.fromisoformat(moment).replace(tzinfo=None) for moment, _ in rows]
                    found[f"P-{pump:03d}", tag] = {
                        (moment - zero).total_seconds(): float(value)
                        for moment, (_, value) in zip(moments, rows, strict=True)
                    }
        return found


def number_of(pump: int, tag: int) -> int:
    """The node id of a tag: the history of the server takes numbers alone."""
    return 1000 + 100 * pump + tag


def value_of(tick: int, tag: int) -> float:
    """What a tag shows at a tick."""
    return float(tick + 1000 * tag)


async def serve(settings: dict[str, Any]) -> None:
    """Serve and measure."""
    from asyncua import Server, ua
    from asyncua.server.history_sql import HistorySQLite

    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{settings['port']}/")
    if settings["security"]:
        from asyncua.server.user_managers import CertificateUserManager  # noqa: F401 - loads the policies

        await server.load_certificate(settings["security"]["certificate"])
        await server.load_private_key(settings["security"]["private_key"])
        server.set_security_policy([ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt])
    index = await server.register_namespace(URI)
    plant = await server.nodes.objects.add_object(index, "Plant")
    nodes = []
    for pump in range(settings["pumps"]):
        name = f"P-{pump:03d}"
        machine = await plant.add_object(ua.NodeId(name, index), name)
        for place, tag in enumerate(settings["tags"]):
            node = await machine.add_variable(ua.NodeId(number_of(pump, place), index), tag, 0.0, ua.VariantType.Double)
            await add_range(node, ua)
            nodes.append((place, node))
    if settings["history"]:
        history = HistorySQLite(Path(settings["folder"]) / "history.db")
        await history.init()
        server.iserver.history_manager.set_storage(history)
    tick = await measure(server, nodes, settings, None)  # before anybody sees the values that nodes are made with
    async with server:
        if settings["history"]:
            await server.historize_node_data_change([node for _, node in nodes], period=None, count=0)
        while not (Path(settings["folder"]) / "quiet").exists():
            tick = await measure(server, nodes, settings, tick)
            await asyncio.sleep(0.2 / settings["speed"])
        await asyncio.sleep(3600)


async def measure(server: Any, nodes: list[tuple[int, Any]], settings: dict[str, Any], last: int | None) -> int:
    """Write the values of the tags whose turn came since the last tick, if any: else all."""
    from asyncua import ua

    tick = int((time.time() - settings["started"]) * settings["speed"])
    for place, node in nodes if last is None or tick > last else ():
        rate = settings["rates"][place % len(settings["rates"])]
        turn = tick - tick % rate
        if last is not None and turn <= last:
            continue
        second = -DAY if rate >= SELDOM and turn == 0 else turn
        # without a zone: its history in SQLite cannot read a whole second with one
        moment = datetime.fromtimestamp(settings["began"], UTC).replace(tzinfo=None) + timedelta(seconds=second)
        is_bad = place == 0 and settings["bad_every"] and turn % settings["bad_every"] == 0
        status = ua.StatusCode(ua.StatusCodes.BadSensorFailure if is_bad else 0)
        value = ua.Variant(value_of(turn, place), ua.VariantType.Double)
        told = ua.DataValue(value, status, SourceTimestamp=moment, ServerTimestamp=datetime.now(UTC))
        await server.write_attribute_value(node.nodeid, told)
    if not settings["history"] and (last is None or tick > last):
        with (Path(settings["folder"]) / MEASURED).open("a") as out:
            out.write(f"{tick}\n")
    return tick


async def add_range(node: Any, ua: Any) -> None:
    """Engineering units and range, as a server of analogue items has them."""
    unit = ua.EUInformation(NamespaceUri="http://www.opcfoundation.org/UA/units/un/cefact", UnitId=4408652)
    unit.DisplayName, unit.Description = ua.LocalizedText("°C"), ua.LocalizedText("degree Celsius")
    await node.add_property(0, "EngineeringUnits", unit)
    await node.add_property(0, "EURange", ua.Range(Low=-50.0, High=250.0))


if __name__ == "__main__":
    asyncio.run(serve(json.loads(Path(sys.argv[1]).read_text())))
