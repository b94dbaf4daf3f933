"""Worker processes of the bench of partitions: each prepares itself, then does its work between the gates of all."""

import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from benchmarks.servers import Postgres
from benchmarks.speed.pipeline import contract
from benchmarks.speed.twin_scoring import TWIN, now
from foretwin.dataset.machine_names import slot_of
from foretwin.twin.ingest.ingest import ingest
from foretwin.twin.scoring.loop import score_once
from foretwin.twin.scoring.watched import Watching, WatchSettings
from foretwin.twin.store import open_store
from foretwin.wire.decoder import decode
from foretwin.wire.tables import JSON

MACHINES, CHANNELS, TICKS = 500, 9, 3  # of one ingesting worker; passes of the scoring loops
ALIVE = 10.0  # s between two words of a worker that waits
PATIENCE = 600  # s for all to come to a gate
SPAWN = multiprocessing.get_context("spawn")
Spent: TypeAlias = tuple[float, float]  # s by the clock and of the processor that a worker took


@dataclass(frozen=True)
class Found:
    """Work done a second, and seconds of the processor for each piece of it: of workers, of the database."""

    rate: float
    worker_seconds: float
    database_seconds: float


def ingest_worker(url: str, names: list[str], count: int, gate: Barrier, out: Any) -> None:
    """Store so many calls about these machines; put what that took."""
    store, twin = open_store(url), contract(CHANNELS)
    contracts, channels = {twin.name: twin}, {f"c{i}": 1.25 for i in range(CHANNELS)}
    bodies = [orjson.dumps({"time": float(i), "channels": channels}) for i in range(count + 1)]
    calls = [[decode(body, JSON, contracts, twin.name, name) for name in names] for body in bodies]
    ingest(store, contracts, calls[0], "http", datetime.now(UTC))  # registers them
    gate.wait()
    gate.wait()
    begin, used = time.perf_counter(), time.process_time()
    for call in calls[1:]:
        ingest(store, contracts, call, "http", datetime.now(UTC))
    spent = time.perf_counter() - begin, time.process_time() - used
    gate.wait()
    out.put([spent])
    gate.wait()
    store.close()


def scoring_worker(url: str, share: int, root: str, gate: Barrier, out: Any) -> None:
    """Score all machines that it owns once in each tick; put what each tick took."""
    store = open_store(url)
    watching = Watching(store, Path(root), WatchSettings(twins=(TWIN,)))
    end = time.monotonic() + PATIENCE
    while score_once(watching, now) or len(watching.owned or ()) != share:  # cold, until the others have their share
        if time.monotonic() > end:
            raise AssertionError(f"owns {watching.owned} after ten minutes, not {share} partitions")
    wait_as_owner(gate, watching)
    ticks: list[Spent] = []
    for _ in range(TICKS):
        wait_as_owner(gate, watching)  # the readings come
        begin, used = time.perf_counter(), time.process_time()
        while not score_once(watching, now):
            continue
        ticks.append((time.perf_counter() - begin, time.process_time() - used))
        gate.wait()
    out.put(ticks)
    gate.wait()
    watching.owner.close()
    store.close()


def wait_as_owner(gate: Barrier, watching: Watching) -> None:
    """Wait at the gate, and say meanwhile that one lives, as the loop does: a silent worker loses its partitions."""
    waiting = threading.Thread(target=gate.wait)
    waiting.start()
    waiting.join(ALIVE)
    while waiting.is_alive():
        watching.owner.renew()
        waiting.join(ALIVE)


def machine_names(partition: int, of: int) -> list[str]:
    """Return MACHINES names of a partition."""
    every = (f"M-{i:06d}" for i in range(10**6))
    return list(islice((name for name in every if slot_of(name) % of == partition), MACHINES))


def run_workers(
    server: Postgres,
    work: Callable[..., None],
    given: Sequence[tuple[Any, ...]],
    pieces: int,
    ticks: Sequence[Callable[[], None]],
) -> Found:
    """Run a process for each of these; return the `quickest` tick.

    What each tick begins with is done here, while all of them wait and nothing is measured.
    """
    gate, out = SPAWN.Barrier(len(given) + 1, timeout=PATIENCE), SPAWN.Queue()
    workers = [SPAWN.Process(target=work, args=(*one, gate, out)) for one in given]
    for worker in workers:
        worker.start()
    gate.wait()
    database = []
    for prepare in ticks:
        prepare()
        used = server.cpu_seconds()
        gate.wait()
        gate.wait()
        database.append(sum(spent - used.get(number, 0.0) for number, spent in server.cpu_seconds().items()))
    gate.wait()  # their sessions may end now, and what these have spent is forgotten with them
    each: list[list[Spent]] = [out.get(timeout=PATIENCE) for _ in workers]
    for worker in workers:
        worker.join()
    return quickest(each, database, pieces)


def quickest(each: Sequence[Sequence[Spent]], database: Sequence[float], pieces: int) -> Found:
    """Return the tick in which the slowest worker was quickest.

    `each` has the ticks of each worker, `database` the processor's seconds of the database in each tick.
    """
    together = [(max(wall for wall, _ in tick), sum(cpu for _, cpu in tick)) for tick in zip(*each, strict=True)]
    wall, cpu, spent = min((*tick, used) for tick, used in zip(together, database, strict=True))
    return Found(pieces / wall, cpu / pieces, spent / pieces)
