"""Measure what partitions cost and what two workers gain by them, as ratios within one run.

    python -m benchmarks.speed.partitions [--short]

Ingestion and steady scoring on one PostgreSQL: one worker with one partition, one with two, two workers with a
partition each, and two workers with a database each, which is the ceiling. The kinds take turns, so that whatever else
the machine does slows all of them; of each the best round counts. Calls and stores are prepared before, PostgreSQL does
nothing of its own accord meanwhile, BLAS and network have one thread. Needs the pumps' champion and rows, which `dvc
repro` makes. The short form does a quarter of it, once.
"""

import json
import os
import sys
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.servers import Postgres
from benchmarks.speed.partition_workers import (
    MACHINES,
    TICKS,
    Found,
    ingest_worker,
    machine_names,
    run_workers,
    scoring_worker,
)
from benchmarks.speed.twin_scoring import TWIN, histories, store_hours
from foretwin.champion.champion import Champion, load_champion
from foretwin.project.entrypoint import exit_on_error
from foretwin.twin.store import open_store
from foretwin.twin.store.ownership.partitioning import rebalance

# What PostgreSQL does when it likes, it would do in the round of one kind and not in that of another.
QUIET = ("autovacuum=off", "checkpoint_timeout=1h", "max_wal_size=16GB")


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
class Site:
    """A server, the project, and the prepared stores of which each kind takes copies, by partitions and machines."""

    server: Postgres
    root: Path
    stores: dict[tuple[int, int], str] = field(default_factory=dict)

    def prepare(self, machines: int) -> None:
        """Make what the kinds ask for, empty and with so many machines between them."""
        for kind in KINDS.values():
            for some in (0, machines // kind.databases):
                if (kind.partitions, some) not in self.stores:
                    self.stores[kind.partitions, some] = self._made(kind.partitions, some)

    def copies(self, kind: Kind, machines: int) -> list[str]:
        """Return the URLs of new stores of a kind, with these machines between them."""
        like = self.stores[kind.partitions, machines // kind.databases]
        return [self.server.new_database(f"b{uuid.uuid4().hex}", like) for _ in range(kind.databases)]

    def drop(self, urls: Iterable[str]) -> None:
        """Delete stores."""
        for url in urls:
            self.server.drop_database(url.rpartition("/")[2])

    def pumps(self) -> tuple[Champion, NDArray[np.float32]]:
        """Return the champion, and (runs, window + TICKS, C) what pumps show."""
        champion = load_champion(self.root, TWIN)
        return champion, histories(self.root, champion, champion.bundle.contract.window.length + TICKS)

    def _made(self, partitions: int, machines: int) -> str:
        """Return the name of a new store whose machines have the readings of a window."""
        name = f"t{partitions}_{machines}"
        store = open_store(self.server.new_database(name))
        with store.write() as connection:
            rebalance(connection, partitions)
        if machines:
            champion, values = self.pumps()
            length = champion.bundle.contract.window.length
            for begin in range(0, length, 10):
                store_hours(store, champion, values, machines, range(begin, min(begin + 10, length)))
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
        store.close()
        return name


def run_ingestion(site: Site, kind: Kind, calls: int) -> Found:
    """Run the workers of a kind on new stores."""
    urls = site.copies(kind, 0)
    names = [machine_names(i, 2) for i in range(2)]
    given = [(urls[i % len(urls)], names[i], calls) for i in range(kind.workers)]
    found = run_workers(site.server, ingest_worker, given, calls * MACHINES * kind.workers, [lambda: None])
    site.drop(urls)
    return found


def run_scoring(site: Site, kind: Kind, machines: int) -> Found:
    """Run the loops of a kind on new stores that hold the whole fleet between them."""
    (champion, values), urls = site.pumps(), site.copies(kind, machines)
    stores = [open_store(url) for url in urls]

    def come(hour: int) -> None:
        for store in stores:
            store_hours(store, champion, values, machines // kind.databases, range(hour, hour + 1))

    length = champion.bundle.contract.window.length
    ticks = [partial(come, hour) for hour in range(length, length + TICKS)]
    share = kind.partitions // (kind.workers // kind.databases)
    given = [(urls[i % len(urls)], share, str(site.root)) for i in range(kind.workers)]
    found = run_workers(site.server, scoring_worker, given, machines, ticks)
    for store in stores:
        store.close()
    site.drop(urls)
    return found


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
        "database_cpu_ratio": database["one, two partitions"] / database["one"],
        "cores_of_one": rate["one"] * (worker["one"] + database["one"]),
    }
    return {name: round(ratio, 2) for name, ratio in found.items()}


def measure(root: Path = Path(), extent: Extent = FULL) -> dict[str, Any]:
    """Run all kinds in turn, with the machine's load before and after."""
    rounds, server = range(extent.rounds), Postgres(settings=QUIET).start()
    try:
        site = Site(server, root)
        site.prepare(extent.fleet)
        loads = [os.getloadavg()[0]]
        ingestion = [{name: run_ingestion(site, kind, extent.calls) for name, kind in KINDS.items()} for _ in rounds]
        scoring = [{name: run_scoring(site, kind, extent.fleet) for name, kind in KINDS.items()} for _ in rounds]
        loads.append(os.getloadavg()[0])
    finally:
        server.remove()
    of = {"rounds": extent.rounds, "readings": extent.calls * MACHINES, "assets": extent.fleet}
    return {
        "ingestion": compared(ingestion),
        "scoring": compared(scoring),
        "load": [round(one, 1) for one in loads],
    } | of


if __name__ == "__main__":
    with exit_on_error():
        print(json.dumps(measure(extent=SHORT if "--short" in sys.argv[1:] else FULL), indent=1))
