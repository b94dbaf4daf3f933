"""Throw random faults at the living twin under load, for reports/faults.json.

    python -m benchmarks.reliability.faults.run [--faults 200] [--minutes 60] [--seed 1]

A thousand simulated pumps send by MQTT and HTTP. `foretwin live`, `watch` and `ingest` run as the shipped systemd units
start them, against a real PostgreSQL, Mosquitto and receiver of webhooks, and nobody but the units' restart rule starts
them again. In the end every acknowledged reading must be there once, every case opened once, and no backlog left
within a minute. The champion is the pump's of this project.
"""

import json
import os
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

from benchmarks.reliability.accounts import BEHIND, count, examine
from benchmarks.reliability.draws import draw
from benchmarks.reliability.faults.kinds import KINDS, Running, possible_kinds
from benchmarks.reliability.faults.load import Load, spread_out
from benchmarks.reliability.faults.plant import PROGRAM, Plant, built_plant
from benchmarks.reliability.faults.receiver import Receiver
from benchmarks.reliability.faults.supervisor import UNITS, Supervised, read_rule
from foretwin.contract.twin import Twin
from foretwin.errors import ForetwinError
from foretwin.project.entrypoint import TELEMETRY_OFF, exit_on_error
from foretwin.project.files import fresh_file
from foretwin.project.paths import Paths
from foretwin.serving.access.keys import KeyRequest, make_key
from foretwin.training.ensemble import environment
from foretwin.twin.simulator.processes import free_port
from foretwin.twin.simulator.sending import fleet
from foretwin.twin.store import open_store

ASSETS, PER_SECOND = 1000, 200.0
RATE = 1e6  # calls per second that the key allows
COMMANDS = ("live", "watch", "ingest")
PATIENCE = 300  # s until the backlog is gone
WAITING = """SELECT (SELECT count(*) FROM deliveries WHERE state = 'waiting')
    + (SELECT count(*) FROM events WHERE id NOT IN (SELECT event FROM deliveries))"""
SECRET = "c" * 32
DATABASE = {"freeze the database", "restart the database", "fill the disk"}  # never two of them at once


@dataclass(frozen=True)
class Campaign:
    """How many faults, over how many seconds, drawn from which seed, at how many readings a second."""

    faults: int = 200
    seconds: float = 3600.0
    seed: int = 1
    per_second: float = PER_SECOND


@click.command()
@click.option("--faults", default=200, show_default=True)
@click.option("--minutes", default=60.0, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(faults: int, minutes: float, seed: int) -> None:
    """Throw random faults at the living twin under load; the report goes to reports/faults.json."""
    contract = Paths(Path(), "pump").load_contract()
    campaign = Campaign(faults, 60 * minutes, seed)
    rows = last_rows(fleet(contract, Path(), ASSETS), int(campaign.seconds * PER_SECOND / ASSETS))
    report = run(Path(), contract, rows, campaign)
    out = Path("reports") / "faults.json"
    with fresh_file(out) as temporary:
        temporary.write_text(json.dumps({"machine": environment(), **report}, indent=1) + "\n")
    print(json.dumps(report, indent=1))
    if report["lost"] or report["doubled"] or report["cases_doubled"] or report["by_hand"]:
        raise ForetwinError(f"{out}: something was lost, doubled, or needed a hand")


def last_rows(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """The newest rows of each asset, as if it were new with them: many come to their end, and all send all the time."""
    newest = rows.groupby("asset", sort=False).tail(most).reset_index(drop=True)
    return newest.assign(time=newest["time"] - newest.groupby("asset")["time"].transform("min"))


def run(root: Path, contract: Twin, rows: pd.DataFrame, campaign: Campaign) -> dict[str, Any]:
    """Run a campaign on the project in `root` with the rows of a fleet; returns its report."""
    random = np.random.default_rng(campaign.seed)
    with built_plant() as plant, ExitStack() as ending:
        url = plant.database.new_database("plant")
        receiver = Receiver(plant.here).start()
        ending.callback(receiver.stop)
        request = KeyRequest("plant", ("ingest",), RATE)
        port, key = free_port(), make_key(plant.folder / "keys.json", request, "", datetime.now(UTC))
        running = Running(plant, _started(root, plant, receiver, (url, port), ending), receiver)
        doors = {"mqtt": plant.broker.url, "http": f"http://{plant.host}:{port}"}
        sent = spread_out(rows, contract.clock.step, random)
        load = Load(contract, sent, doors, key, campaign.per_second).start()
        befallen = _befall(running, load, campaign, random)
        plant.set_clock(0)
        late = _wait_for_senders(load)
        backlog = _settle(url, len(sent))
        with closing(open_store(url)) as store:
            found = examine(store, contract, sent)
            undelivered = count(store, WAITING)
        starts = {name: command.starts for name, command in running.commands.items()}
    return _report(campaign, befallen, found, receiver, (late, backlog), undelivered, starts)


def _started(
    root: Path, plant: Plant, receiver: Receiver, place: tuple[str, int], ending: ExitStack
) -> dict[str, Supervised]:
    """Start the commands by their units' rules."""
    url, port = place
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FORETWIN_", "MLFLOW_"))}
    told = kept | TELEMETRY_OFF | {"OMP_NUM_THREADS": "1", "FORETWIN_STORE": url, "FORETWIN_MQTT_URL": plant.broker.url}
    told |= {"FORETWIN_KEYS": str(plant.folder / "keys.json"), "FORETWIN_WEBHOOKS": receiver.url}
    told |= {"FORETWIN_WEBHOOK_SECRET": SECRET, **plant.clock_environment()}
    commands = {}
    for name in COMMANDS:
        rule = read_rule(UNITS / f"foretwin-{name}.service", (*plant.prefix, *PROGRAM), told)
        if name == "live":
            rule = rule.with_arguments("--host", plant.host, "--port", str(port))
        commands[name] = Supervised(name, rule, told, root, plant.folder / f"{name}.log").start()
        ending.callback(commands[name].end)
    return commands


def _befall(running: Running, load: Load, campaign: Campaign, random: np.random.Generator) -> Counter[str]:
    """Throw the faults, evenly over the time but at random moments; returns how many there were of each kind."""
    drawn = draw(possible_kinds(running.plant), campaign.faults, random)
    moments = np.sort(random.uniform(0, campaign.seconds, len(drawn)))
    begin, befallen, threads = time.monotonic(), Counter[str](), list[threading.Thread]()
    busy = {name: threading.Lock() for name in KINDS}  # one kind at a time; different ones may overlap

    def throw(name: str, seed: int) -> None:
        with busy["restart the database" if name in DATABASE else name]:
            KINDS[name][0](running, np.random.default_rng(seed))

    for number, (name, moment) in enumerate(zip(drawn, moments, strict=True)):
        time.sleep(max(0.0, begin + moment - time.monotonic()))
        load.check()
        threads.append(threading.Thread(target=throw, args=(name, campaign.seed * 100_000 + number), daemon=True))
        threads[-1].start()
        befallen[name] += 1
        print(f"{time.monotonic() - begin:7.0f} s  {number + 1} of {len(drawn)}  {name}", flush=True)
    for thread in threads:
        thread.join()
    return befallen


def _wait_for_senders(load: Load) -> float:
    """Wait until all is acknowledged; returns the seconds that the senders, one connection each, were late."""
    begin = time.monotonic()
    load.join()
    return time.monotonic() - begin


def _settle(url: str, readings: int) -> float:
    """Wait until all is stored, scored and delivered; returns the seconds that it took."""
    begin = time.monotonic()
    with closing(open_store(url)) as store:
        while time.monotonic() < begin + PATIENCE:
            stored = count(store, "SELECT count(*) FROM readings")
            if stored >= readings and not count(store, BEHIND) and not count(store, WAITING):
                break
            time.sleep(0.5)
    return time.monotonic() - begin


def _report(  # noqa: PLR0913, PLR0917 - what was thrown, and what was found
    campaign: Campaign,
    befallen: Counter[str],
    found: dict[str, int],
    receiver: Receiver,
    waited: tuple[float, float],
    undelivered: int,
    starts: dict[str, int],
) -> dict[str, Any]:
    doubled = found["readings that stand twice"] + found["readings that differ from what was sent"]
    openings = sum(times - 1 for times in receiver.openings.values() if times > 1)
    cases = found["open cases of one asset and fault beyond the first"]
    cases += found["cases whose opening was not audited once"] + openings
    return {
        "trials": befallen.total(),
        "seconds": campaign.seconds,
        "seed": campaign.seed,
        "readings_per_second": campaign.per_second,
        "kinds": dict(sorted(befallen.items())),
        "lost": found["acknowledged readings that are lost"],
        "doubled": doubled,
        "cases_doubled": cases,
        "by_hand": 0 if waited[1] < PATIENCE else 1,
        "senders_late_s": round(waited[0], 1),
        "longest_backlog_s": round(waited[1], 1),
        "undelivered_events": undelivered,
        "events_received": len(receiver.taken),
        "starts": starts,
        "found": found,
    }


if __name__ == "__main__":
    with exit_on_error():
        main(standalone_mode=False)
