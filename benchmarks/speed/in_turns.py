"""What work costs per item on a small store and on a large one, in turns."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.servers import Postgres
from foretwin.twin.store import Store

ROUNDS = 7
BOUNDS = {"ingest_sqlite": 2.5, "ingest_new_hour_sqlite": 2.5, "thread": 1.5, "newest_readings": 1.5}
BOUNDS |= {"urgency_postgresql": 1.5, "urgency_sqlite": 1.5, "overview_postgresql": 1.5, "overview_sqlite": 1.5}
USUAL = 1.3  # of the others

# Of a store and the size of its fleet: the rounds. What a round needs is made as it is asked for, and not timed.
Work = Callable[[Store, int], Iterator[Callable[[], object]]]


def each(
    works: Mapping[str, tuple[Work, int]], stores: Sequence[tuple[Store, int]], server: Postgres | None = None
) -> dict[str, Any]:
    """The seconds per item of each work on each store; `works` name how many items a round has, 0: the whole fleet.

    Beside the time on the clock that of the processors, ours and that of the server where there is one.
    """
    found = {}
    for name, (work, items) in works.items():
        rounds = [work(store, size) for store, size in stores]
        taken = np.array([[timed(next(one), server) for one in rounds] for _ in range(ROUNDS)]).min(axis=0)
        costs = taken / [[items or size] for _, size in stores]
        sizes = [size for _, size in stores]
        found[name] = shown(sizes, costs[:, 0].tolist(), name) | cpu_shown(costs[:, 1].tolist())
    return found


def timed(work: Callable[[], object], server: Postgres | None = None) -> tuple[float, float]:
    """The seconds of a round, and those that processors spent on it."""
    begun, spent, before = time.perf_counter(), time.process_time(), server.cpu_seconds() if server else {}
    work()
    seconds, own = time.perf_counter() - begun, time.process_time() - spent
    after = server.cpu_seconds() if server else {}
    return seconds, own + sum(after[pid] - before[pid] for pid in before.keys() & after.keys())


def shown(sizes: Sequence[int], costs: Sequence[float], name: str) -> dict[str, Any]:
    """The figures of one work, costs in µs."""
    kept = [round(cost * 1e6, 2) for cost in costs]
    return {"assets": list(sizes), "cost_per_item": kept, "ratio": round(costs[-1] / costs[0], 2)} | {
        "bound": BOUNDS.get(name, USUAL)
    }


def cpu_shown(costs: Sequence[float]) -> dict[str, Any]:
    """What processors spent on one work, in µs."""
    return {"cpu_per_item": [round(cost * 1e6, 2) for cost in costs], "cpu_ratio": round(costs[-1] / costs[0], 2)}
