"""Measure what a scoring worker holds and does for each asset, from a thousand to a million of them in one process.

    python -m benchmarks.speed.held_windows ASSETS [SCORED]

The windows of all assets lie in the worker's cache; then one reading of each comes, and SCORED of them, all by default,
are scored in calls as the loop makes them. The database is left out: benchmarks.speed.growth has it. Needs the pumps'
champion and rows, which `dvc repro` makes.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.twin_scoring import TWIN, histories
from foretwin.champion.champion import Champion, load_champion
from foretwin.project.entrypoint import exit_on_error
from foretwin.twin.scoring.scores import score_assets
from foretwin.twin.scoring.watched import WatchSettings
from foretwin.twin.scoring.window_cache import WindowCache
from foretwin.wire.readings import Readings

AT_ONCE = 5_000  # assets whose windows are put into the cache together
SIZES, SIXTEENTH = (1_000, 100_000, 1_000_000), 625_000
LEAST_SCORED = 20_000  # so that a thousand assets are scored often enough to be timed


def readings_of(champion: Champion, values: NDArray[np.float32], ids: NDArray[np.int64], hours: range) -> Readings:
    """Return the readings of these assets (N,) at these hours, in order of asset and time."""
    chosen = values[ids % len(values)][:, hours.start : hours.stop]  # (N, H, C)
    count, names = len(hours), champion.bundle.contract.channel_names
    times = np.tile(np.array(hours, np.float64), len(ids))
    ones = np.ones(len(ids) * count, np.int64)
    return Readings(TWIN, names, np.repeat(ids, count), ones, times, chosen.reshape(-1, len(names)))


def held(champion: Champion, values: NDArray[np.float32], count: int) -> WindowCache:
    """Return a cache that holds the windows of so many assets, and has room for no more."""
    contract = champion.bundle.contract
    recent = WindowCache(contract, count * WindowCache(contract, 1).window_bytes)
    for ids in np.array_split(np.arange(count), -(-count // AT_ONCE)):
        ones = np.ones(len(ids), np.int64)
        recent.put(ids, ones, readings_of(champion, values, ids, range(contract.window.length)))
    return recent


def tick(count: int, scored: int, root: Path = Path()) -> dict[str, float]:
    """Hold so many assets, take a reading of each and score some, drawn from all.

    Return seconds of the processor for each asset, and bytes that the process holds for each.
    """
    champion = load_champion(root, TWIN)
    length, at_once = champion.bundle.contract.window.length, WatchSettings(twins=()).assets_per_call
    values = histories(root, champion, length + 1)
    small = held(champion, values, AT_ONCE)
    score_assets(champion.bundle, small, np.arange(at_once), {})  # so that what work takes by itself counts before
    before = memory("RssAnon")
    recent = held(champion, values, count)
    begin = time.process_time()
    for ids in np.array_split(np.arange(count), -(-count // AT_ONCE)):
        recent.append(readings_of(champion, values, ids, range(length, length + 1)))
    taken, held_bytes = time.process_time() - begin, memory("RssAnon") - before
    generator = np.random.default_rng(1)
    chosen = np.concatenate([generator.permutation(count) for _ in range(-(-scored // count))])[:scored]
    begin = time.process_time()
    for ids in np.array_split(chosen, -(-scored // at_once)):
        if len(score_assets(champion.bundle, recent, ids, {}).scored) != 1:
            raise AssertionError("not all assets were scored")
    spent = time.process_time() - begin
    each = {"seconds": taken / count + spent / scored, "bytes": held_bytes / count}
    return each | {"scored": scored, "peak": memory("VmHWM")}


def memory(name: str) -> int:
    """Return bytes of this process, as the kernel counts them by this name."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])


def alone(count: int, scored: int) -> dict[str, float]:
    """Run `tick` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.speed.held_windows", str(count), str(scored)]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def grown(sizes: Sequence[int] = SIZES, most_scored: int | None = None) -> dict[str, Any]:
    """Return cost in µs of the processor, and bytes, of each asset by how many there are."""
    found = [alone(count, min(max(count, LEAST_SCORED), most_scored or sizes[-1])) for count in sizes]
    return {
        "assets": list(sizes),
        "scored": [one["scored"] for one in found],
        "cost_per_asset": [round(1e6 * one["seconds"], 1) for one in found],
        "bytes_per_asset": [round(one["bytes"]) for one in found],
        "load": round(os.getloadavg()[0], 1),
    }


def sixteenth(most_scored: int | None = None) -> dict[str, Any]:
    """Return the largest memory of a worker of one sixteenth of ten million assets."""
    found = alone(SIXTEENTH, min(SIXTEENTH, most_scored or SIXTEENTH))
    return {"assets": SIXTEENTH, "scored": found["scored"], "gigabytes": round(found["peak"] / 1024**3, 2)}


if __name__ == "__main__":
    with exit_on_error():
        assets, *some = map(int, sys.argv[1:])
        print(json.dumps(tick(assets, some[0] if some else assets)))
