"""Measure how long readings wait while others read; writes reports/mixed_load.json.

    python -m benchmarks.speed.mixed_load [--quick]

`foretwin live` in a process of its own over PostgreSQL, with a large fleet. One sender posts a reading at a steady
pace, first alone, then beside eight readers that ask for key figures, lists, threads and exports without a pause. The
figure is the p99 of the sender's calls then, as a multiple of that alone; both take turns. `--quick` has a small fleet
and writes nothing.
"""

import json
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.servers import Postgres
from benchmarks.speed.grown_store import fill, names
from benchmarks.speed.pipeline import contract
from foretwin.contract.twin import Twin
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.training.ensemble import environment
from foretwin.twin.simulator.processes import end, free_port, started, wait_for
from foretwin.twin.store import open_store

ASSETS, READERS, PACE, SECONDS, TURNS = 100_000, 8, 0.04, 20.0, 3
QUICK_ASSETS, QUICK_SECONDS, QUICK_TURNS = 2_000, 5.0, 1
READ = ("/v1/kpis", "/v1/twins", "/v1/twins/{asset}/thread", "/v1/twins/{asset}/export")


@contextmanager
def live(root: Path, url: str) -> Iterator[str]:
    """The URL of a `foretwin live` over that store."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("foretwin")), "live", "--open", "--port", str(port)]
    os.environ["FORETWIN_STORE"] = url
    process = started(command, root / "live.txt", cwd=root)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(lambda: _answers(address), f"foretwin live: see {root}/live.txt", 60)
        yield address
    finally:
        end(process, signal.SIGTERM)


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def post_readings(address: str, twin: Twin, times: Iterator[int], seconds: float) -> list[float]:
    """Seconds that each call took, from the moment at which it was due."""
    channels, taken = {name: [0.5] for name in twin.channel_names}, list[float]()
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
        begin = time.perf_counter()
        for i in range(int(seconds / PACE)):
            due = begin + i * PACE
            time.sleep(max(0.0, due - time.perf_counter()))
            body = {"time": [float(next(times))], "channels": channels}
            client.post("/v1/twins/P-000000/readings", json=body).raise_for_status()
            taken.append(time.perf_counter() - due)
    return taken


def read_on(address: str, assets: int, ready: Event, stop: Event, answers: "Queue[dict[str, int]]") -> None:
    """Eight callers that read one thing after the other until told to stop; then count their answers by status."""
    fleet, counts = names(assets), dict[str, int]()

    def read(number: int) -> None:
        chance = np.random.default_rng(number)
        with httpx.Client(base_url=address, trust_env=False, timeout=120) as client:
            turn = number
            while not stop.is_set():
                path = READ[turn % len(READ)].format(asset=fleet[chance.integers(1, assets)])
                status = str(client.get(path).status_code)
                counts[status] = counts.get(status, 0) + 1
                turn += 1
                ready.set()

    threads = [threading.Thread(target=read, args=(number,)) for number in range(READERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers.put(counts)


@contextmanager
def readers(address: str, assets: int) -> Iterator[dict[str, int]]:
    """The readers in a process of their own, so that the sender need not wait for them; their answers by status."""
    spawn, counts = multiprocessing.get_context("spawn"), dict[str, int]()
    ready, stop, answers = spawn.Event(), spawn.Event(), spawn.Queue()
    process = spawn.Process(target=read_on, args=(address, assets, ready, stop, answers))
    process.start()
    ready.wait()
    try:
        yield counts
    finally:
        stop.set()
        counts |= answers.get(timeout=180)
        process.join()


def measure(quick: bool) -> dict[str, Any]:
    """The p99 alone and beside the readers, in ms."""
    assets, seconds, turns = (QUICK_ASSETS, QUICK_SECONDS, QUICK_TURNS) if quick else (ASSETS, SECONDS, TURNS)
    twin = contract(9)
    alone, beside, answers = list[float](), list[float](), dict[str, int]()
    with tempfile.TemporaryDirectory() as folder:
        root, postgres = Path(folder), Postgres().start()
        (root / "data" / twin.name).mkdir(parents=True)
        (root / "data" / twin.name / "twin.yaml").write_text(twin.model_dump_json())
        (root / "params.yaml").write_text(f"twins: [{twin.name}]\n")
        try:
            url = postgres.new_database("mixed")
            store = open_store(url)
            fill(store, twin, names(assets))
            with store.write() as connection:
                connection.exec_driver_sql("ANALYZE")
            store.close()
            times = iter(range(2, 10**6))
            with live(root, url) as address:
                post_readings(address, twin, times, 2.0)
                httpx.get(f"{address}/v1/kpis", trust_env=False, timeout=300)  # counts the new fleet
                for _ in range(turns):
                    alone += post_readings(address, twin, times, seconds)
                    with readers(address, assets) as counts:
                        beside += post_readings(address, twin, times, seconds)
                    answers = {status: answers.get(status, 0) + count for status, count in counts.items()}
        finally:
            postgres.remove()
    median = {name: round(float(np.median(some)) * 1000, 1) for name, some in (("alone", alone), ("beside", beside))}
    p99 = {name: float(np.quantile(some, 0.99)) * 1000 for name, some in (("alone", alone), ("beside", beside))}
    return {
        "machine": environment() | {"cores": str(os.cpu_count())},
        "assets": assets,
        "readers": READERS,
        "mixed_load": {
            "p99_ratio": round(p99["beside"] / p99["alone"], 2),
            "p99_ms": {name: round(value, 1) for name, value in p99.items()},
            "median_ms": median,
            "longest_ms": {"alone": round(max(alone) * 1000, 1), "beside": round(max(beside) * 1000, 1)},
            "calls": len(alone),
            "reads": answers,
        },
    }


def main(quick: bool, root: Path = Path()) -> None:
    """Measure and, unless `quick`, write the figures."""
    result = measure(quick)
    print(json.dumps(result, indent=1))
    if not quick:
        with fresh_file(root / "reports" / "mixed_load.json") as out:
            out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    with exit_on_error():
        main(quick="--quick" in sys.argv[1:])
