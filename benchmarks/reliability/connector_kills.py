"""Kill an OPC UA server and our process at random, and count what was lost, for reports/connectors.json.

    python -m benchmarks.reliability.connector_kills [KILLS]

A real server whose history is in SQLite measures two pumps ten times a second. It and `foretwin ingest` are killed with
SIGKILL, the server twice as often, and started again. In the end every value that the server's history holds must be
stored once, with its source's time. Of each loss of the server it is measured when the log tells it.

Then the same of a server without a history: the log must tell each gap, and nothing may lack but what lies in one.
"""

import json
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
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
CONNECTED = (": connected", ": listening")  # the second when it was never lost
LOST = ": connection lost"
GAP = re.compile(r"what came since (\S+ \S+) UTC is lost of \d+ tags without history")
NEAR = 10  # ticks that the last value of one tag may lie after that of another
STARTED = "-- started"


def main(kills: int) -> None:
    """Run it, write the figures; ForetwinError where a value was lost or stands twice."""
    for connector in ("opcua", "opcua_without_history"):
        with tempfile.TemporaryDirectory(prefix="foretwin-connectors-") as folder:
            found = _disturbed(Path(folder), kills, has_history=connector == "opcua")
        keep_kills(connector, found)


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

    def is_connected(self) -> bool:
        """Whether it has told of a connection since it was started, and lost its connection, last."""
        text = self.log.read_text()
        return max(map(text.rfind, CONNECTED)) > max(text.rfind(LOST), text.rfind(STARTED))

    def gaps(self) -> list[float]:
        """Return since when it has told that values are lost, in s since 1970."""
        told = GAP.findall(self.log.read_text())
        return [datetime.strptime(moment, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp() for moment in told]

    def told(self, what: str) -> int:
        """Return how often it has said this."""
        return self.log.read_text().count(what) if self.log.exists() else 0


@dataclass
class Kills:
    """When each was, in s since 1970; of each of the server the s until the log told of it, 20 at most."""

    moments: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def kill_in_turns(kills: int, server: Killable, ingest: IngestProcess, chance: random.Random) -> Kills:
    """Kill the server, and each third time our process, and start it again."""
    done = Kills()
    for number in range(kills):
        time.sleep(chance.uniform(*APART))
        if number % OURS == OURS - 1:
            done.moments.append(time.time())
            ingest.kill()
            time.sleep(chance.uniform(0, 2))
            ingest.start()
            continue
        wait_for(ingest.is_connected, "connection", PATIENCE)
        lines = ingest.told(LOST)
        done.moments.append(time.time())
        server.kill()
        begin = time.monotonic()
        while ingest.told(LOST) == lines and time.monotonic() - begin < 20:
            time.sleep(0.05)
        done.seconds.append(time.monotonic() - begin)
        server.start()
    return done


def _disturbed(folder: Path, kills: int, has_history: bool) -> dict[str, Any]:
    contract, chance = tagged_pump(), random.Random(1)
    plant = OpcPlant(str(folder), history=has_history)
    write_connection(folder, plant.url, '{at: "Plant/{asset}/{channel}"}')
    plant.start()
    ingest = IngestProcess(folder)
    ingest.start()
    try:
        with closing(open_store(f"sqlite:///{folder}/twins.db")) as store:
            wait_for(lambda: len(stored_seconds(store, contract)) > 0, "first readings", PATIENCE)
            done = kill_in_turns(kills, plant, ingest, chance)
            wait_for(ingest.is_connected, "connection", PATIENCE)
            plant.be_quiet()
            begin = time.monotonic()
            while (found := _lost(store, contract, plant, ingest))["lost"] and time.monotonic() - begin < PATIENCE:
                time.sleep(1)
            told = {"doubled": count_set_aside(folder), "seconds_to_tell": round(max(done.seconds), 2)}
            return {"kills": kills, **found, **told}
    finally:
        ingest.kill()
        plant.kill()


def write_connection(folder: Path, url: str, tags: str, more: str = "") -> None:
    """Write a project whose one connection is this server; `more` of it, ended by a comma."""
    (folder / "data/pump").mkdir(parents=True)
    (folder / "data/pump/twin.yaml").write_text(tagged_pump().model_dump_json())
    (folder / "connections.yaml").write_text(f'hall: {{url: "{url}", twin: pump, {more} tags: [{tags}]}}\n')


def stored_seconds(store: Store, contract: Twin) -> dict[str, dict[float, np.ndarray[Any, Any]]]:
    """Return pump -> second of its run -> the values of its channels."""
    found: dict[str, dict[float, np.ndarray[Any, Any]]] = {}
    with store.read() as connection:
        for name, asset in assets.find_all(connection, [f"P-{number:03d}" for number in range(2)]).items():
            for part in history.all_readings(connection, "pump", contract.channel_names, asset.id):
                values = part[list(contract.channel_names)].to_numpy()
                found.setdefault(name, {}).update(zip(part["time"].tolist(), values, strict=True))
    return found


def _lost(store: Store, contract: Twin, plant: OpcPlant, ingest: IngestProcess) -> dict[str, int]:
    """Count the values that the server measured since the first that is stored, and those of them that are lost.

    With a history all that it holds must be stored. Without one what lies in a gap that the log told is counted apart.
    """
    rows = stored_seconds(store, contract)
    first = {pump: float(values[0.0][0]) for pump, values in rows.items()}
    gaps = [] if plant.history else [moment - plant.began for moment in ingest.gaps()]
    found = {"values": 0, "lost": 0} | ({} if plant.history else {"gaps_told": len(gaps), "lost_in_them": 0})
    for (pump, tag), values in plant.remembered().items():
        place, newest = contract.channel_names.index(tag), max(values)
        last = first[pump]  # the second of the last value that is stored
        for second, value in sorted(values.items()):
            if first[pump] <= second < newest:
                stored = rows[pump].get(second - first[pump])
                is_stored = stored is not None and float(stored[place]) == value
                last = second if is_stored else last
                is_told = any(last - NEAR <= gap <= last for gap in gaps)
                found["values"] += 1
                found["lost_in_them" if is_told else "lost"] += not is_stored
    return found


def count_set_aside(folder: Path) -> int:
    """Count what went to quarantine: a value that came twice with a step that was made already would."""
    with sqlite3.connect(f"{folder}/twins.db") as connection:
        return int(connection.execute("SELECT count(*) FROM quarantine").fetchone()[0])


if __name__ == "__main__":
    with exit_on_error():
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
