"""Kill an OPC UA server and our process at random, and count what was lost, for reports/connectors.json.

    python -m benchmarks.reliability.connector_kills [KILLS]

A real server whose history is in SQLite measures two pumps ten times a second. It and `foretwin ingest` are killed with
SIGKILL, the server twice as often, and started again. In the end every value that the server's history holds must be
stored once, with its source's time. Of each loss of the server it is measured when the log tells it.
"""

import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.reliability.opcua_plant import OpcPlant
from foretwin.contract.twin import Twin
from foretwin.errors import ForetwinError
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.training.ensemble import environment
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import Store, assets, open_store
from foretwin.twin.store.telemetry import history

REPORT = Path("reports/connectors.json")
OURS = 3  # each third kill is of our process
WAIT = 1  # s that a step waits for its values: far shorter than an outage, during which nothing settles
PATIENCE = 180  # s that anything may take
APART = (1.0, 6.0)  # s between two kills
CONNECTED = "hall: connected"
LOST = "hall: connection lost"
STARTED = "-- started"


def main(kills: int) -> None:
    """Run it, write the figures; ForetwinError where a value was lost or stands twice."""
    with tempfile.TemporaryDirectory(prefix="foretwin-connectors-") as folder:
        found = _disturbed(Path(folder), kills)
    keep_kills("opcua", found)


def keep_kills(connector: str, found: dict[str, Any]) -> None:
    """Keep the figures of kills; ForetwinError where a value was lost or stands twice."""
    keep_figures(connector, found)
    if found["lost"] or found["doubled"]:
        raise ForetwinError(f"{found['lost']} values were lost, {found['doubled']} stand twice or were set aside")


def keep_figures(connector: str, found: dict[str, Any]) -> None:
    """Write what was found of a connector beside its other figures and those of the others."""
    report: dict[str, Any] = json.loads(REPORT.read_text()) if REPORT.exists() else {}
    report |= {"machine": environment(), connector: report.get(connector, {}) | found}
    with fresh_file(REPORT) as out:
        out.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(found))


def tagged_pump() -> Twin:
    """A pump of two tags, with a clock of seconds."""
    channel = {"unit": "degC", "role": "sensor", "min": -1e6, "max": 1e6, "grid": {"take": "last"}}
    remedy = {"part": "none", "instruction": "none", "lead_time": 1}
    return Twin.model_validate(
        {
            "name": "pump",
            "title": "Pump",
            "source": {"kind": "store"},
            "clock": {"unit": "s", "step": 1, "wait": WAIT, "longest_gap": 100_000},
            "channels": {"flow": channel, "speed": channel},
            "health": {"remedy": remedy},
            "window": {"length": 8},
        }
    )


class Killable(Protocol):
    """A server that can be killed and started again."""

    def start(self) -> object:
        """Start it, or start it again."""

    def kill(self) -> None:
        """Kill it at whatever it is."""


@dataclass
class IngestProcess:
    """`foretwin ingest` in a project of its own, with its log."""

    root: Path
    process: "subprocess.Popen[bytes] | None" = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.root / "ingest.log"

    def start(self) -> None:
        """Start it, or start it again."""
        command = [str(Path(sys.executable).with_name("foretwin")), "ingest"]
        with self.log.open("ab") as out:
            out.write(f"{STARTED}\n".encode())
            out.flush()
            self.process = subprocess.Popen(command, cwd=self.root, stdout=out, stderr=out)

    def kill(self) -> None:
        """Kill it at whatever it is."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def says_last(self, what: str) -> bool:
        """Whether it has said this since it was started, and lost its connection, last."""
        text = self.log.read_text()
        return text.rfind(what) > max(text.rfind(LOST), text.rfind(STARTED))

    def told(self, what: str) -> int:
        """Return how often it has said this."""
        return self.log.read_text().count(what) if self.log.exists() else 0


def kill_in_turns(kills: int, server: Killable, ingest: IngestProcess, chance: random.Random) -> list[float]:
    """Kill the server, and each third time our process, and start it again.

    Returns of each loss of the server the s until the log told of it, 20 at most.
    """
    seconds = []
    for number in range(kills):
        time.sleep(chance.uniform(*APART))
        if number % OURS == OURS - 1:
            ingest.kill()
            time.sleep(chance.uniform(0, 2))
            ingest.start()
            continue
        wait_for(lambda: ingest.says_last(CONNECTED), "connection", PATIENCE)
        lines = ingest.told(LOST)
        server.kill()
        begin = time.monotonic()
        while ingest.told(LOST) == lines and time.monotonic() - begin < 20:
            time.sleep(0.05)
        seconds.append(time.monotonic() - begin)
        server.start()
    return seconds


def _disturbed(folder: Path, kills: int) -> dict[str, Any]:
    contract, chance = tagged_pump(), random.Random(1)
    (folder / "data/pump").mkdir(parents=True)
    (folder / "data/pump/twin.yaml").write_text(contract.model_dump_json())
    plant = OpcPlant(str(folder)).start()
    tags = '[{at: "Plant/{asset}/{channel}"}]'
    (folder / "connections.yaml").write_text(f'hall: {{url: "{plant.url}", twin: pump, tags: {tags}}}\n')
    ingest = IngestProcess(folder)
    ingest.start()
    try:
        with closing(open_store(f"sqlite:///{folder}/twins.db")) as store:
            wait_for(lambda: len(stored_seconds(store, contract)) > 0, "first readings", PATIENCE)
            seconds = kill_in_turns(kills, plant, ingest, chance)
            plant.be_quiet()
            begin = time.monotonic()
            while (lost := _lost(store, contract, plant)) and time.monotonic() - begin < PATIENCE:
                time.sleep(1)
            return {
                "kills": kills,
                "lost": lost,
                "doubled": count_set_aside(folder),
                "values": sum(len(one) for one in plant.remembered().values()),
                "seconds_to_tell": round(max(seconds), 2),
            }
    finally:
        ingest.kill()
        plant.kill()


def stored_seconds(store: Store, contract: Twin) -> dict[str, dict[float, np.ndarray[Any, Any]]]:
    """Return pump -> second of its run -> the values of its channels."""
    found: dict[str, dict[float, np.ndarray[Any, Any]]] = {}
    with store.read() as connection:
        for name, asset in assets.find_all(connection, [f"P-{number:03d}" for number in range(2)]).items():
            for part in history.all_readings(connection, "pump", contract.channel_names, asset.id):
                values = part[list(contract.channel_names)].to_numpy()
                found.setdefault(name, {}).update(zip(part["time"].tolist(), values, strict=True))
    return found


def _lost(store: Store, contract: Twin, plant: OpcPlant) -> int:
    """Count the values of the server's history that are not stored, since the first one that is."""
    rows = stored_seconds(store, contract)
    first = {pump: float(values[0.0][0]) for pump, values in rows.items()}
    lost = 0
    for (pump, tag), values in plant.remembered().items():
        place, newest = contract.channel_names.index(tag), max(values)
        for second, value in values.items():
            if first[pump] <= second < newest:
                stored = rows[pump].get(second - first[pump])
                lost += stored is None or float(stored[place]) != value
    return lost


class CountingPumps(Protocol):
    """Pumps whose channels are, at each tick, its number and what each adds; `published` ticks have arrived."""

    names: list[str]
    published: int


def count_lost(stored: dict[str, dict[float, Any]], pumps: CountingPumps, added: Iterable[float]) -> int:
    """Count the values that the other side has acknowledged and that are not stored."""
    more, lost = list(added), 0
    for name in pumps.names:
        rows = stored.get(name, {})
        for tick in range(pumps.published):
            row = rows.get(float(tick))
            lost += sum(row is None or float(row[place]) != tick + one for place, one in enumerate(more))
    return lost


def count_set_aside(folder: Path) -> int:
    """Count what went to quarantine: a value that came twice with a step that was made already would."""
    with sqlite3.connect(f"{folder}/twins.db") as connection:
        return int(connection.execute("SELECT count(*) FROM quarantine").fetchone()[0])


if __name__ == "__main__":
    with exit_on_error():
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
