"""Measure what partitions cost and what two workers gain by them, as ratios within one run.

    python -m benchmarks.speed.partitions [--short]

Ingestion and steady scoring on one PostgreSQL: one worker with one partition, one with two, two workers with a
partition each, and two workers with a database each, which is the ceiling. The kinds take turns, so that whatever else
the machine does slows all of them; of each the best round counts. Readings are prepared before, BLAS and network have
one thread. Needs the pumps' champion and rows, which `dvc repro` makes. The short form does a quarter of it, once.
"""

import json
import multiprocessing
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import orjson
import psutil

from benchmarks.servers import Postgres
from benchmarks.speed.pipeline import contract
from benchmarks.speed.twin_scoring import TWIN, histories, now, store_hours
from foretwin.champion.champion import load_champion
from foretwin.dataset.machine_names import slot_of
from foretwin.project.entrypoint import exit_on_error
from foretwin.twin.ingest.ingest import ingest
from foretwin.twin.scoring.loop import score_once
from foretwin.twin.scoring.watched import Watching, WatchSettings
from foretwin.twin.store import open_store
from foretwin.twin.store.ownership.partitioning import rebalance
from foretwin.wire.decoder import decode
from foretwin.wire.tables import JSON

MACHINES, CHANNELS, TICKS = 500, 9, 3  # of one ingesting worker; passes of the scoring loops
ALIVE = 10.0  # s between two words of a worker that waits
SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Extent:
    """How often all is done, calls of one ingesting worker, machines of the scoring loops together."""

    rounds: int = 3
    calls: int = 60
    fleet: int = 8_000


FULL, SHORT = Extent(), Extent(1, 15, 2_000)


@dataclass(frozen=True)
class Kind:
    """How many workers, on how many databases, with how many partitions each."""

    workers: int
    databases: int = 1
    partitions: int = 1


KINDS = {
    "one": Kind(1),
    "one, two partitions": Kind(1, partitions=2),
    "two": Kind(2, partitions=2),
    "two databases": Kind(2, databases=2),
}


@dataclass(frozen=True)
class Found:
    """Work done a second, and seconds of the processor for each piece of it: of workers, of the database."""

    rate: float
    worker_seconds: float
    database_seconds: float


def ingest_worker(url: str, names: list[str], count: int, gate: Barrier, out: Any) -> None:
    """Store so many calls about these machines; put how long that took, and seconds of the processor."""
    store, twin = open_store(url), contract(CHANNELS)
    contracts, channels = {twin.name: twin}, {f"c{i}": 1.25 for i in range(CHANNELS)}
    bodies = [orjson.dumps({"time": float(i), "channels": channels}) for i in range(count + 1)]
    calls = [[decode(body, JSON, contracts, twin.name, name) for name in names] for body in bodies]
    ingest(store, contracts, calls[0], "http", datetime.now(UTC))  # registers them
    gate.wait()
    begin, used = time.perf_counter(), time.process_time()
    for call in calls[1:]:
        ingest(store, contracts, call, "http", datetime.now(UTC))
    out.put((time.perf_counter() - begin, time.process_time() - used))
    gate.wait()
    store.close()


def scoring_worker(url: str, share: int, root: str, gate: Barrier, out: Any) -> None:
    """Score all machines that it owns once for each tick; put the best time of a tick, and seconds of the processor."""
    store = open_store(url)
    watching = Watching(store, Path(root), WatchSettings(twins=(TWIN,)))
    end = time.monotonic() + 600
    while score_once(watching, now) or len(watching.owned or ()) != share:  # cold, until the others have their share
        if time.monotonic() > end:
            raise AssertionError(f"owns {watching.owned} after ten minutes, not {share} partitions")
    best = (float("inf"), float("inf"))
    for _ in range(TICKS):
        gate.wait()  # the readings come
        wait_as_owner(gate, watching)
        begin, used = time.perf_counter(), time.process_time()
        while not score_once(watching, now):
            continue
        best = min(best, (time.perf_counter() - begin, time.process_time() - used))
        gate.wait()
    out.put(best)
    gate.wait()
    watching.owner.close()
    store.close()


def wait_as_owner(gate: Barrier, watching: Watching) -> None:
    """Wait at the gate, and say meanwhile that one lives, as the loop does: a silent worker loses its partitions."""
    waiting = threading.Thread(target=gate.wait)
    waiting.start()
    while waiting.is_alive():
        waiting.join(ALIVE)
        watching.owner.renew()


def machine_names(partition: int, of: int) -> list[str]:
    """Return MACHINES names of a partition."""
    every = (f"M-{i:06d}" for i in range(10**6))
    return list(islice((name for name in every if slot_of(name) % of == partition), MACHINES))


def run_ingestion(server: Postgres, kind: Kind, calls: int) -> Found:
    """Run the workers of a kind on new databases."""
    urls = new_databases(server, kind)
    names = [machine_names(i, 2) for i in range(2)]
    given = [(urls[i % len(urls)], names[i], calls) for i in range(kind.workers)]
    return run_workers(server, ingest_worker, given, calls * MACHINES * kind.workers)


def run_scoring(server: Postgres, kind: Kind, machines: int, root: Path) -> Found:
    """Run the loops of a kind on new databases that hold the whole fleet between them."""
    champion = load_champion(root, TWIN)
    length = champion.bundle.contract.window.length
    values, fleet = histories(root, champion, length + TICKS), machines // kind.databases
    urls = new_databases(server, kind)
    stores = [open_store(url) for url in urls]
    for store in stores:
        for begin in range(0, length, 10):
            store_hours(store, champion, values, fleet, range(begin, min(begin + 10, length)))
    hours = iter(range(length, length + TICKS))

    def tick(gate: Barrier) -> None:
        for hour in hours:
            gate.wait()
            for store in stores:
                store_hours(store, champion, values, fleet, range(hour, hour + 1))
            gate.wait()
            gate.wait()

    share = kind.partitions // (kind.workers // kind.databases)
    given = [(urls[i % len(urls)], share, str(root)) for i in range(kind.workers)]
    found = run_workers(server, scoring_worker, given, machines, tick)
    for store in stores:
        store.close()
    return found


def new_databases(server: Postgres, kind: Kind) -> list[str]:
    """Return the URLs of new stores of a kind."""
    urls = [server.new_database(f"b{uuid.uuid4().hex}") for _ in range(kind.databases)]
    for url in urls:
        store = open_store(url)
        with store.write() as connection:
            rebalance(connection, kind.partitions)
        store.close()
    return urls


def run_workers(
    server: Postgres,
    work: Callable[..., None],
    given: list[tuple[Any, ...]],
    pieces: int,
    meanwhile: Callable[[Barrier], None] | None = None,
) -> Found:
    """Run a process for each of these; the slowest counts. `meanwhile` is done here, beside them, at their gate."""
    gate, out = SPAWN.Barrier(len(given) + 1), SPAWN.Queue()
    workers = [SPAWN.Process(target=work, args=(*one, gate, out)) for one in given]
    for worker in workers:
        worker.start()
    if meanwhile:
        meanwhile(gate)
        used = 0.0
    else:
        gate.wait()
        used = database_seconds(server)
    found = [out.get(timeout=600) for _ in workers]
    spent = database_seconds(server) - used if used else 0.0
    gate.wait()
    for worker in workers:
        worker.join()
    return Found(pieces / max(wall for wall, _ in found), sum(cpu for _, cpu in found) / pieces, spent / pieces)


def database_seconds(server: Postgres) -> float:
    """Return the seconds of the processor of the server's present processes."""
    children = psutil.Process(server.process.pid).children() if server.process else []
    each = [one.cpu_times() for one in children]
    return float(sum(one.user + one.system for one in each))


def compared(rounds: list[dict[str, Found]]) -> dict[str, float]:
    """Return the ratios, each of the best rounds."""
    rate = {name: max(one[name].rate for one in rounds) for name in KINDS}
    worker = {name: min(one[name].worker_seconds for one in rounds) for name in KINDS}
    database = {name: min(one[name].database_seconds for one in rounds) for name in KINDS}
    found = {
        "of_one": rate["two"] / rate["one"],
        "of_two_databases": rate["two"] / rate["two databases"],
        "two_databases_of_one": rate["two databases"] / rate["one"],
        "cpu_ratio": worker["one, two partitions"] / worker["one"],
    }
    if database["one"]:
        found["database_cpu_ratio"] = database["one, two partitions"] / database["one"]
    return {name: round(ratio, 2) for name, ratio in found.items()}


def measure(root: Path = Path(), extent: Extent = FULL) -> dict[str, Any]:
    """Run all kinds in turn, with the machine's load before and after."""
    loads, rounds = [os.getloadavg()[0]], range(extent.rounds)
    server = Postgres().start()
    try:
        ingestion = [{name: run_ingestion(server, kind, extent.calls) for name, kind in KINDS.items()} for _ in rounds]
        scoring = [
            {name: run_scoring(server, kind, extent.fleet, root) for name, kind in KINDS.items()} for _ in rounds
        ]
    finally:
        server.remove()
    loads.append(os.getloadavg()[0])
    of = {"rounds": extent.rounds, "readings": extent.calls * MACHINES, "assets": extent.fleet}
    return {
        "ingestion": compared(ingestion),
        "scoring": compared(scoring),
        "load": [round(one, 1) for one in loads],
    } | of


if __name__ == "__main__":
    with exit_on_error():
        print(json.dumps(measure(extent=SHORT if "--short" in sys.argv[1:] else FULL), indent=1))
