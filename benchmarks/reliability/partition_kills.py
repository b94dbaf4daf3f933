"""Kill workers, sessions and the database of a partitioned fleet at random; writes reports/scale_faults.json.

    python -m benchmarks.reliability.partition_kills [TRIALS]

The same readings go into two databases: one undisturbed, with one partition and one loop; one with four partitions and
three `foretwin watch`, where something is killed at random. A tick is a reading of each pump, and the next comes once
all are scored, so that both see the same windows. In the end readings, scores and cases must be equal, and each window
scored once: a trigger counts every score that is written, be it the same again. A contract's limit of new cases in an
hour must not be reached: which of them it lets through depends on who is scored first.
"""

import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from signal import SIGKILL, SIGQUIT
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.reliability.accounts import BEHIND, count
from benchmarks.servers import Postgres
from foretwin.contract.twin import Twin
from foretwin.errors import ForetwinError, StoreAway
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.project.paths import Paths
from foretwin.training.ensemble import environment
from foretwin.twin.ingest.ingest import ingest
from foretwin.twin.scoring.loop import score_once
from foretwin.twin.scoring.watched import Watching, WatchSettings
from foretwin.twin.simulator.processes import Process, start_foretwin
from foretwin.twin.simulator.sending import fleet
from foretwin.twin.store import Store, open_store
from foretwin.twin.store.ownership.partitioning import rebalance
from foretwin.wire.decoder import decode_table

TRIALS, PUMPS, WORKERS, PARTITIONS = 100, 60, 3, 4
CALLS = 4  # of a tick, one after the other
PATIENCE = 120.0  # s until a tick is scored
COUNT_WRITES = (
    "CREATE TABLE written (asset int, run int, time float8)",
    "CREATE FUNCTION count_written() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN INSERT INTO written VALUES (NEW.asset, NEW.run, NEW.time); RETURN NEW; END'",
    "CREATE TRIGGER count_written BEFORE INSERT ON scores FOR EACH ROW EXECUTE FUNCTION count_written()",
)
DOUBLED = "SELECT count(*) FROM (SELECT FROM written GROUP BY asset, run, time HAVING count(*) > 1) AS twice"
CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
READINGS = "SELECT name, readings.run, readings.time, channels FROM readings JOIN assets ON assets.id = asset"
SCORES = (
    "SELECT name, scores.run, scores.time, rul, rul_low, rul_high, probabilities FROM scores"
    " JOIN assets ON assets.id = asset"
)
CASES = (
    "SELECT name, cases.run, fault, state, severity, opened_time, closed_because, cases.time FROM cases"
    " JOIN assets ON assets.id = asset"
)


@dataclass
class Plant:
    """The disturbed side: its database, its workers, and what was done to them."""

    server: Postgres
    url: str
    log: Path
    workers: list[Process] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    def start_worker(self) -> Process:
        """Start one `foretwin watch` in the working folder."""
        told = {**os.environ, "FORETWIN_STORE": self.url, "OMP_NUM_THREADS": "1"}
        return start_foretwin(["watch", "--memory", "64"], told, self.log)

    def disturb(self, generator: np.random.Generator) -> None:
        """Kill a worker, which is started again; or cut all sessions; or crash the database."""
        kind = str(generator.choice(["kill a worker", "cut the sessions", "crash the database"], p=[0.7, 0.2, 0.1]))
        self.done[kind] += 1
        if kind == "kill a worker":
            place = int(generator.integers(len(self.workers)))
            self.workers[place].send_signal(SIGKILL)
            self.workers[place].wait()
            self.workers[place] = self.start_worker()
        elif kind == "cut the sessions":
            with closing(open_store(self.url)) as store, store.write() as connection:
                connection.exec_driver_sql(CUT)
        else:
            self.server.stop(SIGQUIT)
            with suppress(ForetwinError):  # not there within 20 s on a busy machine: who needs it waits longer
                self.server.start()

    def end(self) -> None:
        """End the workers."""
        for worker in self.workers:
            worker.kill()
            worker.wait()


def compare(
    root: Path, contract: Twin, rows: pd.DataFrame, trials: int, folder: Path, workers: int = WORKERS
) -> dict[str, Any]:
    """Feed both sides, with so many faults on one of them; return what differs. The working folder is the project."""
    ticks = [part for _, part in rows.groupby("time", sort=True)]
    with ExitStack() as ending:
        server = Postgres().start()
        ending.callback(server.remove)
        calm = open_store(server.new_database("calm"))
        ending.callback(calm.close)
        watching = Watching(calm, root, WatchSettings(twins=(contract.name,)))
        for tick in ticks:
            send(calm, contract, tick)
            score_once(watching, lambda: datetime.now(UTC))
        plant = Plant(server, server.new_database("disturbed"), folder / "workers.log")
        ending.callback(plant.end)
        store = open_store(plant.url)
        ending.callback(store.close)
        with store.write() as connection:
            rebalance(connection, PARTITIONS)
            for statement in COUNT_WRITES:
                connection.exec_driver_sql(statement)
        plant.workers += [plant.start_worker() for _ in range(workers)]
        feed(plant, store, contract, ticks, trials)
        differing = {name: different(calm, store, query) for name, query in EQUAL.items()}
        doubled, cases = count(store, DOUBLED), count(store, "SELECT count(*) FROM cases WHERE asset IS NOT NULL")
    return {
        "trials": sum(plant.done.values()),
        "kinds": dict(sorted(plant.done.items())),
        "readings": len(rows),
        "lost": differing["readings"],
        "doubled": doubled,
        "cases": cases,
        "scores_that_differ": differing["scores"],
        "cases_that_differ": differing["cases"],
    }


EQUAL = {"readings": READINGS, "scores": SCORES, "cases": CASES}


def feed(plant: Plant, store: Store, contract: Twin, ticks: Sequence[pd.DataFrame], trials: int) -> None:
    """Send tick after tick, with the faults spread over them, each at a random moment of its tick."""
    generator = np.random.default_rng(1)
    faults = np.bincount(generator.integers(0, len(ticks), trials), minlength=len(ticks))
    for tick, several in zip(ticks, faults.tolist(), strict=True):
        for number, part in enumerate(np.array_split(np.arange(len(tick)), CALLS)):
            for _ in range(several // CALLS + (number < several % CALLS)):
                plant.disturb(generator)
            persist(partial(send, store, contract, tick.iloc[part]))
            time.sleep(float(generator.uniform(0, 0.1)))
        wait_scored(store)


def wait_scored(store: Store) -> None:
    """Wait until no asset has readings that nobody has scored."""
    end = time.monotonic() + PATIENCE
    while persist(lambda: count(store, BEHIND)):
        if time.monotonic() > end:
            raise ForetwinError(f"not scored after {PATIENCE:g} s")
        time.sleep(0.05)


def persist(work: Callable[[], Any]) -> Any:
    """Do it until the store was there for it: who is not told that a call was stored sends it again."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return work()
        except StoreAway:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def send(store: Store, contract: Twin, rows: pd.DataFrame) -> None:
    """Store the readings of some rows as one call."""
    table = pa.Table.from_pandas(rows[["asset", "run", "time", *contract.channel_names]], preserve_index=False)
    ingest(store, {contract.name: contract}, [decode_table(table, contract, None)], "http", datetime.now(UTC))


def different(one: Store, other: Store, query: str) -> int:
    """Return how many rows of the query only one of the two stores has."""
    found = [Counter(map(as_key, rows_of(store, query))) for store in (one, other)]
    return sum(((found[0] - found[1]) + (found[1] - found[0])).values())


def as_key(row: Sequence[Any]) -> tuple[Any, ...]:
    """Return a row as it is compared: numbers to single precision, since a batch's size may change the last digits."""
    return tuple(np.float32(round(cell, 3)).item() if isinstance(cell, float) else cell for cell in row[:6])


def rows_of(store: Store, query: str) -> list[Any]:
    """Return all rows of a query."""
    with store.read() as connection:
        return list(connection.exec_driver_sql(query))


def main(trials: int) -> None:
    """Run it on this project's champion, write the figures; ForetwinError where anything differs."""
    contract = Paths(Path(), "pump").load_contract()
    rows = fleet(contract, Path(), PUMPS)
    rows = rows[rows["time"].rank(method="dense") <= trials]
    with tempfile.TemporaryDirectory(prefix="foretwin-partitions-") as folder:
        found = compare(Path(), contract, rows, trials, Path(folder))
    report = {"machine": environment(), "workers": WORKERS, "partitions": PARTITIONS, **found}
    out = Path("reports") / "scale_faults.json"
    with fresh_file(out) as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))
    if any(found[name] for name in ("lost", "doubled", "scores_that_differ", "cases_that_differ")):
        raise ForetwinError(f"{out}: the disturbed fleet differs from the undisturbed one")


if __name__ == "__main__":
    with exit_on_error():
        main(int(sys.argv[1]) if len(sys.argv) > 1 else TRIALS)
