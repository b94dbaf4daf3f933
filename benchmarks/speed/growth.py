"""Measure what work costs per item in a small fleet and in a large one; writes reports/growth.json.

    python -m benchmarks.speed.growth [--quick]

Both stores take turns, and the quickest of several rounds counts, so that whatever else the machine does slows both.
The time of the processors, which others on the machine change least, is given beside that on the clock.
Scoring and the monitor need the pumps' champion, which `dvc repro` makes. `--quick` compares smaller fleets and writes
nothing.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import count, repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.servers import Postgres
from benchmarks.speed.grown_store import NOW, add_scores, fill, live_long, mark_scored, names, parts, score_fleet, send
from benchmarks.speed.in_turns import Work, cpu_shown, each, shown, timed
from benchmarks.speed.pipeline import contract
from foretwin.champion.champion import load_champion
from foretwin.contract.twin import Twin
from foretwin.project.contracts import load_contracts
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.serving.access.bounds import UNBOUND
from foretwin.training.ensemble import environment
from foretwin.twin.cases.apply import review
from foretwin.twin.kpis import kpis
from foretwin.twin.kpis.counts import keep_counts
from foretwin.twin.kpis.periods import PeriodRequest
from foretwin.twin.monitoring.run import MonitorSettings, monitor
from foretwin.twin.scoring.loop import score_once
from foretwin.twin.scoring.watched import Watching, WatchSettings
from foretwin.twin.store import Store, assets, health, listing, open_store
from foretwin.twin.store.casework import events as outbox
from foretwin.twin.store.casework.outbox import emit
from foretwin.twin.store.casework.waiting import WaitingFault, replace_waiting
from foretwin.twin.store.scoring.scores import Score
from foretwin.twin.timeline import thread

FLEETS, LIVES = (1_000, 100_000), (1_000, 1_000_000)
QUICK_FLEETS, QUICK_LIVES = (200, 4_000), (1_000, 8_000)
SENT = 2  # readings of each asset before: the first of many changes of a page costs PostgreSQL a copy of it in its log
SENDERS = 500  # assets whose readings come in one transaction
MEMORY = 4 * 1024**3  # bytes: windows of all assets
TARGET = "http://127.0.0.1:9/away"


def ingesting(twin: Twin, senders: int, apart: timedelta) -> Work:
    """A reading of each of some assets of the fleet, all scored before, in one transaction; these lie `apart`.

    Where that is an hour, each reading begins an hour of receipt, and the one before becomes a row of its own. Of a
    machine that sends each minute 1 reading in 60 does.
    """

    def work(store: Store, size: int) -> Iterator[Callable[[], object]]:
        chance, fleet, last = np.random.default_rng(1), names(size), NOW + timedelta(hours=SENT - 1)
        for number in count(1):
            chosen, at = chance.choice(size, senders, replace=False).tolist(), last + number * apart
            hours = 1 + (at - NOW) / timedelta(hours=1)
            yield partial(send, store, twin, [fleet[i] for i in chosen], hours, at)
            mark_scored(store, [i + 1 for i in chosen])

    return work


def digesting(twin: Twin) -> Work:
    """Ten faults more for the digest while the whole fleet waits in it."""

    def work(store: Store, size: int) -> Iterator[Callable[[], object]]:
        policy = twin.model_copy(update={"cases": twin.cases.model_copy(update={"new_per_hour": 1})})
        fault = f"{twin.axes[0]}.{twin.classes(twin.axes[0])[1]}" if twin.axes else "end_of_life"
        add_scores(store, twin, [1])
        with store.write() as connection:
            known = assets.by_id(connection, range(1, size + 1))
            waiting = [WaitingFault(one, 1, fault, "planned", NOW) for one in known]
            replace_waiting(connection, twin.name, [], waiting)
        hours = iter(range(1, 1000))

        def go() -> None:
            at = NOW + timedelta(hours=next(hours))
            ill: dict[str, dict[str, float]] = {axis: dict.fromkeys(twin.classes(axis), 0.0) for axis in twin.axes}
            one = Score(0, 1, 1.0, 1, at, 1.0, 60, 1.0, 0.5, 1.5, ill, {}, [])
            said = [replace(one, asset=number) for number in range(1, 11)]
            with store.write() as connection:
                review(connection, policy, said, {number: known[number] for number in range(1, 11)}, at)

        return repeat(go)

    return work


def delivering(store: Store, size: int) -> Iterator[Callable[[], object]]:
    """A look into the outbox while a target is away for which an event of each asset waits."""
    with store.write() as connection:
        for number, asset in assets.by_id(connection, range(1, size + 1)).items():
            emit(connection, "case.opened", asset.twin, asset, f"cases/{number}", {}, NOW)
        seen = outbox.assign(connection, TARGET, NOW)

    def go() -> None:
        with store.write() as connection:
            outbox.assign(connection, TARGET, NOW, seen)
            (found,) = outbox.due(connection, TARGET, NOW, 1)
            outbox.claim(connection, found, replace(found, attempts=found.attempts + 1))

    return repeat(go)


def listing_fleet(store: Store, size: int) -> Iterator[Callable[[], object]]:
    """The page in the middle of the fleet, with what a list shows of each asset."""
    page = listing.Page(100, 0, "name", False, (names(size)[size // 2],))

    def go() -> None:
        with store.read() as connection:
            listing.list_fleet(connection, page, {}, None, {})

    return repeat(go)


def listing_urgent(store: Store, size: int) -> Iterator[Callable[[], object]]:  # noqa: ARG001
    """Two pages of the fleet by urgency, the second after the first."""
    first = listing.Page(50, 0, "urgency", False)

    def go() -> None:
        with store.read() as connection:
            rows = listing.list_fleet(connection, first, {}, None, {})
            listing.list_fleet(connection, replace(first, after=rows.cursors[-1]), {}, None, {})

    return repeat(go)


def counting(store: Store, size: int) -> Iterator[Callable[[], object]]:
    """What the fleet's page asks of all machines: their counts by health, open cases, whether scoring is behind."""
    since = {"pump": NOW - timedelta(hours=1)}

    def go() -> None:
        with store.read() as connection:
            counted = health.count_health(connection, since, UNBOUND)
            health.count_open_cases(connection, UNBOUND)
            health.scoring_backlog(connection, NOW, UNBOUND)
            health.newest_receipt(connection, UNBOUND)
        if sum(one["assets"] for one in counted) != size:
            raise AssertionError(f"{counted} are not {size} machines")

    return repeat(go)


def figuring(twin: Twin) -> Work:
    """The key figures of the fleet, nothing having changed but its readings."""

    def work(store: Store, size: int) -> Iterator[Callable[[], object]]:  # noqa: ARG001
        keep_counts(store, twin.name)

        def go() -> None:
            with store.read() as connection:
                kpis(connection, twin, PeriodRequest(), NOW + timedelta(days=30))

        return repeat(go)

    return work


def fleets(folder: str, postgres: Postgres, sizes: Sequence[int]) -> dict[str, Any]:
    """What grows with a fleet, without a model."""
    twin = contract(9)
    found: dict[str, Any] = {}
    senders = min(SENDERS, sizes[0])
    with ExitStack() as stack:
        for database in ("postgresql", "sqlite"):
            stores = [(open_store(_new(database, folder, postgres, size)), size) for size in sizes]
            for store, size in stores:
                stack.callback(store.close)
                fill(store, twin, names(size), SENT)
                score_fleet(store, twin, size)
                mark_scored(store, range(1, size + 1))
                if not store.is_sqlite:
                    with store.write() as connection:
                        connection.exec_driver_sql("ANALYZE")
            of_database: dict[str, tuple[Work, int]] = {
                f"overview_{database}": (counting, 1),  # before anything waits for its score
                f"ingest_{database}": (ingesting(twin, senders, timedelta(seconds=1)), senders),
                f"ingest_new_hour_{database}": (ingesting(twin, senders, timedelta(hours=1)), senders),
                f"urgency_{database}": (listing_urgent, 100),
            }
            found |= each(of_database, stores, postgres if database == "postgresql" else None)
        works: dict[str, tuple[Work, int]] = {
            "lists": (listing_fleet, 100),
            "kpis": (figuring(twin), 0),
            "digest": (digesting(twin), 10),
            "outbox": (delivering, 1),
        }
        return found | each(works, stores)


def _new(database: str, folder: str, postgres: Postgres, size: int) -> str:
    return postgres.new_database(f"n{size}") if database == "postgresql" else f"sqlite:///{folder}/{size}.db"


def watched(folder: str, root: Path, sizes: Sequence[int]) -> dict[str, Any]:
    """What grows with a fleet that a model scores: a pass with a new reading of each asset, and the monitor."""
    twin, policy = load_champion(root, "pump").bundle.contract, load_contracts(root)["pump"]
    found: dict[str, list[NDArray[np.float64]]] = {"scoring": [], "monitor": []}
    for size in sizes:
        store = open_store(f"sqlite:///{folder}/watched-{size}.db")
        fill(store, twin, names(size), twin.window.shortest)
        watching = Watching(store, root, WatchSettings(twins=("pump",), memory_bytes=MEMORY))
        pass_over = partial(score_once, watching, lambda: NOW)
        pass_over()
        passes = []
        for hour in range(3):
            for part in parts(names(size)):
                send(store, twin, part, float(twin.window.shortest + hour + 1), NOW)
            passes.append(timed(pass_over))
        found["scoring"].append(np.min(passes, axis=0) / size)
        with tempfile.TemporaryDirectory() as kept:
            (Path(kept) / "models").symlink_to((root / "models").resolve())
            look = partial(monitor, store, Path(kept), policy, MonitorSettings(), NOW)
            found["monitor"].append(np.min([timed(look) for _ in range(3)], axis=0) / size)
        store.close()
    return {
        name: shown(sizes, [float(one[0]) for one in costs], name) | cpu_shown([float(one[1]) for one in costs])
        for name, costs in found.items()
    }


def lives(folder: str, sizes: Sequence[int]) -> dict[str, Any]:
    """What grows with the life of one asset: the first page of its thread, and its newest readings."""
    twin = contract(9)
    stores = []
    for size in sizes:
        store = open_store(f"sqlite:///{folder}/life-{size}.db")
        live_long(store, twin, "P-000000", size)
        stores.append((store, size))

    def first_page(store: Store, size: int) -> Iterator[Callable[[], object]]:  # noqa: ARG001
        def go() -> None:
            with store.read() as connection:
                thread(connection, twin, assets.find_asset(connection, "P-000000"), None, None, 200)

        return repeat(go)

    def newest(store: Store, size: int) -> Iterator[Callable[[], object]]:  # noqa: ARG001
        def go() -> None:
            with store.read() as connection:
                listing.list_readings(connection, 1, listing.Page(100, 0, "time", True), None, (None, None))

        return repeat(go)

    found = each({"thread": (first_page, 1), "newest_readings": (newest, 1)}, stores)
    for store, _ in stores:
        store.close()
    for one in found.values():
        one["readings"] = one.pop("assets")
    return found


def measure(root: Path, quick: bool) -> dict[str, Any]:
    """All works at both sizes."""
    sizes, histories = (QUICK_FLEETS, QUICK_LIVES) if quick else (FLEETS, LIVES)
    with tempfile.TemporaryDirectory() as folder:
        postgres = Postgres().start()
        try:
            result = fleets(folder, postgres, sizes)
        finally:
            postgres.remove()
        result |= lives(folder, histories)
        if (root / "models" / "pump" / "champion").exists():
            result |= watched(folder, root, sizes)
    return {"machine": environment() | {"cores": str(os.cpu_count())}, "works": result}


def main(quick: bool, root: Path = Path()) -> None:
    """Measure and, unless `quick`, write the figures."""
    result = measure(root, quick)
    print(json.dumps(result, indent=1))
    if not quick:
        with fresh_file(root / "reports" / "growth.json") as out:
            out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    with exit_on_error():
        main(quick="--quick" in sys.argv[1:])
