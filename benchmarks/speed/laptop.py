"""Measure how far behind one machine is that does everything for 10,000 pumps, a reading a minute each.

    python -m benchmarks.speed.laptop [--short] [STORE_URL]

Mosquitto and the commands as users type them, each a process: `foretwin ingest`, `watch`, `live`, `serve`, over a
SQLite file unless a new store is named. 10,000 pumps that are simulated before, at any age, have a window of readings
in the store already, of a file, and send one more each minute for half an hour (`--short`: five minutes), evenly
spread; an hour of their clock is a minute here. Meanwhile somebody looks at the console and asks for scores. The lag of
a reading is from its publication until its machine has no reading without a score, as is seen once a second. Needs the
pumps' champion, which `dvc repro` makes.
"""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from signal import SIGTERM
from typing import Any

import httpx
import numpy as np
import psutil
from numpy.typing import NDArray
from sqlalchemy import select

from benchmarks.speed.laptop_pumps import Pumps, publish, simulated
from benchmarks.speed.twin_scoring import TWIN
from foretwin.champion.champion import load_champion
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.paths import Paths
from foretwin.twin.simulator.broker import Broker
from foretwin.twin.simulator.processes import Process, check, end, free_port, started, wait_for
from foretwin.twin.store import Store, open_store
from foretwin.twin.store.summaries import unscored
from foretwin.twin.store.tables import assets

FORETWIN = str(Path(sys.executable).with_name("foretwin"))
LOOK, VISIT = 1.0, 5.0  # s between two looks at the store, and between two visits of the console
READY = 600.0  # s until all that was there before is scored
NEWEST = select(assets.c.name, assets.c.time).outerjoin(unscored, unscored.c.asset == assets.c.id)
NEWEST = NEWEST.where(unscored.c.asset.is_(None))


@dataclass(frozen=True)
class Extent:
    """How many pumps, how often each sends, and how many seconds pass from one reading to the next."""

    pumps: int = 10_000
    ticks: int = 30
    tick: float = 60.0


FULL, SHORT = Extent(), Extent(ticks=5)


@dataclass
class Scored:
    """When each reading of N pumps was first seen as scored: `seen` (ticks, N) s since 1970, NaN where it was not."""

    pumps: Pumps
    seen: NDArray[np.float64]
    numbers: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.numbers = {name: number for number, name in enumerate(self.pumps.names)}

    def look(self, store: Store) -> None:
        """Note the machines of which every reading is scored."""
        with store.read() as connection:
            newest = {self.numbers[name]: at for name, at in connection.execute(NEWEST)}
        self.note(np.array([*newest], np.int64), np.array([*newest.values()]), time.time())

    def note(self, pump: NDArray[np.int64], newest: NDArray[np.float64], now: float) -> None:
        """Note that pumps (M,) have scores up to their readings of the times `newest` (M,)."""
        last = np.full(len(self.pumps.names), -1)  # tick
        last[pump] = np.round(newest - self.pumps.first[pump]).astype(np.int64) - self.pumps.before
        self.seen[(np.arange(len(self.seen))[:, None] <= last) & np.isnan(self.seen)] = now


@dataclass
class Used:
    """What processes have used since the beginning, by name: of the machine's processors, and the most memory in MB."""

    processes: dict[str, Process]
    begin: float = field(default_factory=time.time)
    before: dict[str, float] = field(default_factory=dict)  # s of the processors
    seconds: dict[str, float] = field(default_factory=dict)
    megabytes: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.look()
        self.before |= self.seconds

    def look(self) -> None:
        """Count anew; of each with its children."""
        for name, process in self.processes.items():
            one = psutil.Process(process.pid)
            family = [one, *one.children(recursive=True)]
            times = [each.cpu_times() for each in family]
            self.seconds[name] = sum(each.user + each.system for each in times)
            memory = sum(each.memory_info().rss for each in family) / 1024**2
            self.megabytes[name] = max(self.megabytes.get(name, 0.0), memory)
        self.end = time.time()

    def share(self, name: str) -> float:
        """Return which share of all processors a process had between the first look and the last."""
        return (self.seconds[name] - self.before[name]) / (self.end - self.begin) / (os.cpu_count() or 1)


def make_project(root: Path, source: Path) -> None:
    """Put a project with the pumps' champion into `root`."""
    here, there = Paths(source, TWIN), Paths(root, TWIN)
    there.data.mkdir(parents=True)
    shutil.copy(here.contract, there.contract)
    shutil.copytree(here.models / "champion", there.models / "champion")
    shutil.copytree(source / "serving", root / "serving")
    (root / "params.yaml").write_text(f"twins: [{TWIN}]\n")


@contextmanager
def everything(root: Path, ports: tuple[int, int]) -> Iterator[tuple[Broker, dict[str, Process]]]:
    """Start the broker and all processes in the project; end them in the end."""
    broker = Broker(root / "broker").start()
    api, service = (["--open", "--port", str(port)] for port in ports)
    commands = {"ingest": [broker.url], "watch": [], "live": api, "serve": service}
    processes = {
        name: started([FORETWIN, name, *more], root / f"{name}.txt", cwd=root) for name, more in commands.items()
    }
    try:
        brokers = {"mosquitto": broker.process} if broker.process else {}
        yield broker, brokers | processes
        for name, process in processes.items():
            check([process], root / f"{name}.txt")
    finally:
        for process in processes.values():
            end(process, SIGTERM)
        broker.stop()


def visit(ports: tuple[int, int], pumps: Pumps, stop: threading.Event) -> dict[str, list[float]]:
    """Look at the console's list of the fleet and at a machine, and ask for a score, now and again; s of each."""
    api, service = (
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60, headers=headers)
        for port, headers in zip(ports, ({"Accept": "text/html"}, {}), strict=True)
    )
    steps = pumps.first[0] + np.arange(pumps.before)
    channels = {name: pumps.shown[0, : pumps.before, i].tolist() for i, name in enumerate(pumps.twin.channel_names)}
    call = {"twin": TWIN, "assets": [{"asset": pumps.names[0], "time": steps.tolist(), "channels": channels}]}
    visits: dict[str, Callable[[str], httpx.Response]] = {
        "fleet": lambda _: api.get("/"),
        "machine": lambda name: api.get(f"/machines/{name}"),
        "score": lambda _: service.post("/v1/score", json=call),
    }
    machines, taken = cycle(pumps.names), {name: list[float]() for name in visits}
    with api, service:
        while not stop.wait(VISIT):
            machine = next(machines)
            for name, ask in visits.items():
                begin = time.perf_counter()
                ask(machine).raise_for_status()
                taken[name].append(time.perf_counter() - begin)
    return {name: each for name, each in taken.items() if each}


def run(root: Path, url: str | None, pumps: Pumps, extent: Extent) -> dict[str, Any]:
    """Run all of it in the project; return the figures."""
    store = open_store(url or f"sqlite:///{root}/twins.db")
    pumps.history().to_parquet(root / "history.parquet", index=False)
    subprocess.run([FORETWIN, "ingest", "history.parquet", "--twin", TWIN], cwd=root, check=True)
    ports, stop = (free_port(), free_port()), threading.Event()
    scored, spawn = Scored(pumps, np.full((extent.ticks, extent.pumps), np.nan)), multiprocessing.get_context("spawn")
    with everything(root, ports) as (broker, processes), ThreadPoolExecutor(1) as visitor:
        wait_for(lambda: _is_idle(store), f"scores of what was there: see {root}/watch.txt", READY)
        ours, theirs = spawn.Pipe()
        spawn.Process(target=publish, args=(pumps, broker.url, extent.tick, theirs)).start()
        ours.recv()
        used, begin = Used(processes), time.time() + 1
        visits = visitor.submit(visit, ports, pumps, stop)
        ours.send(begin)
        try:
            behind = follow(store, scored, used, begin + extent.ticks * extent.tick)
        finally:
            stop.set()
        published: NDArray[np.float64] = ours.recv()
        late = time.time() + extent.tick
        while np.isnan(scored.seen).any() and time.time() < late:
            time.sleep(LOOK)
            scored.look(store)
    store.close()
    return lag(scored.seen, published, extent.tick) | {
        "behind_at_the_end": behind,
        "cpu_share": round(sum(map(used.share, processes)), 3),
        "megabytes": round(sum(used.megabytes.values())),
        "processes": {
            name: {"cpu_share": round(used.share(name), 3), "megabytes": round(used.megabytes[name])}
            for name in processes
        },
        "visits_ms": {name: round(1000 * float(np.median(each))) for name, each in visits.result().items()},
    }


def follow(store: Store, scored: Scored, used: Used, until: float) -> int:
    """Look at store and processes once a second until that moment; return how many readings have no score then."""
    while time.time() < until:
        time.sleep(LOOK)
        scored.look(store)
        used.look()
    return int(np.isnan(scored.seen).sum())


def _is_idle(store: Store) -> bool:
    with store.read() as connection:
        return connection.execute(select(unscored.c.asset).limit(1)).first() is None


def lag(seen: NDArray[np.float64], published: NDArray[np.float64], tick: float) -> dict[str, Any]:
    """Return the lag in ticks, of 99 in a hundred readings, of half of them and of all; what has no score is told."""
    ticks = (seen - published) / tick
    found = ticks[~np.isnan(ticks)]
    most, half, every = (round(float(np.quantile(found, share)), 3) for share in (0.99, 0.5, 1))
    return {
        "lag_ticks": most,
        "median_lag_ticks": half,
        "largest_lag_ticks": every,
        "readings": int(seen.size),
        "without_a_score": int(np.isnan(seen).sum()),
    }


def measure(extent: Extent = FULL, url: str | None = None, root: Path = Path()) -> dict[str, Any]:
    """Run everything on a project of its own, with the machine's load before."""
    contract = load_champion(root, TWIN).bundle.contract
    load = round(os.getloadavg()[0], 1)
    pumps = simulated(contract, extent.pumps, contract.window.length, extent.ticks)
    if url is not None:
        os.environ["FORETWIN_STORE"] = url
    with tempfile.TemporaryDirectory() as folder:
        make_project(Path(folder), root)
        found = run(Path(folder), url, pumps, extent)
    of = {"assets": extent.pumps, "minutes": round(extent.ticks * extent.tick / 60, 1), "tick_s": extent.tick}
    return of | {"store": (url or "sqlite").partition(":")[0]} | found | {"load": load}


if __name__ == "__main__":
    with exit_on_error():
        given = [word for word in sys.argv[1:] if word != "--short"]
        print(json.dumps(measure(SHORT if "--short" in sys.argv[1:] else FULL, next(iter(given), None)), indent=1))
