"""Measure the scoring loop as ratios to the bare network, on a fleet of pumps and a SQLite store of its own.

    python -m benchmarks.speed.twin_scoring

Needs the pumps' champion and rows, which `dvc repro` makes. A ratio holds on the machine and in the minute where it was
measured.
"""

import json
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.pipeline import best_of
from foretwin.champion.champion import Champion, load_champion
from foretwin.dataset.table import read_rows
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.paths import Paths
from foretwin.twin.scoring.loop import score_once
from foretwin.twin.scoring.watched import Watching, WatchSettings
from foretwin.twin.store import Store, open_store
from foretwin.twin.store import assets as registered
from foretwin.twin.store.telemetry import readings
from foretwin.twin.store.telemetry.arrivals import Arrivals, count_arrivals
from foretwin.twin.store.telemetry.spans import RunArrivals
from foretwin.wire.readings import Readings

TWIN, PASSES = "pump", 5


def now() -> datetime:
    """The loop's clock."""
    return datetime.now(UTC)


def histories(root: Path, champion: Champion, count: int) -> NDArray[np.float32]:
    """(runs, count, C) what the simulated pumps show from the first hour on: a fleet of which few are ill."""
    contract = champion.bundle.contract
    rows = read_rows(Paths(root, TWIN).rows / "rows.parquet", contract)
    runs = [run for _, run in rows.groupby(["asset", "run"]) if len(run) >= count]
    return np.stack([run[list(contract.channel_names)].to_numpy(np.float32)[:count] for run in runs])


def store_hours(store: Store, champion: Champion, values: NDArray[np.float32], fleet: int, hours: range) -> None:
    """Each asset's readings of these hours, as ingest leaves them."""
    contract, hour = champion.bundle.contract, np.array(hours, np.float64)
    with store.write() as connection:
        known = registered.register_assets(connection, TWIN, (f"P-{i:05d}" for i in range(fleet)), now())
        ids = np.array([asset.id for asset in known.values()], np.int64)
        order = np.resize(np.arange(len(values)), fleet)
        rows = Readings(
            TWIN,
            contract.channel_names,
            np.tile(ids, len(hour)),
            np.ones(fleet * len(hour), np.int64),
            np.repeat(hour, fleet),
            np.concatenate([values[order, i] for i in hours]),
        )
        batches = readings.add_readings(connection, "file", rows, now()).batch[:fleet].tolist()  # of its partition
        last, count = float(hour[-1]), len(hour)
        each = zip(ids.tolist(), batches, strict=True)
        newest = [Arrivals(one, 1, last, now(), batch, count, 0, 0, 0) for one, batch in each]
        stored = [RunArrivals(one, 1, count, float(hour[0]), float(hour[-1])) for one in ids.tolist()]
        count_arrivals(connection, TWIN, newest, stored, {}, now())


def seconds_of(work: Callable[[], int], fleet: int) -> float:
    """How long a pass takes; every asset must be scored in it."""
    begin = time.perf_counter()
    scored = work()
    if scored != fleet:
        raise AssertionError(f"{scored} of {fleet} assets were scored")
    return time.perf_counter() - begin


def bare_rate(champion: Champion, values: NDArray[np.float32], at_once: int) -> float:
    """Windows a second of the network alone, `at_once` of them in one call."""
    length = champion.bundle.contract.window.length
    windows = {
        "x": np.resize(values[:, :length], (at_once, length, values.shape[2])),
        "mask": np.ones((at_once, length), np.float32),
        "age": np.full(at_once, length, np.float32),
    }
    inputs = {node.name: windows[node.name] for node in champion.bundle.session.get_inputs()}
    return at_once / best_of(lambda: champion.bundle.session.run(None, inputs))


def measure(assets: int = 10_000, root: Path = Path()) -> dict[str, float]:
    """Assets scored a second, each figure also as a share of the bare network's windows a second.

    Cold: nothing is in memory and nobody has been scored. Steady: each asset has one new reading.
    """
    champion, settings = load_champion(root, TWIN), WatchSettings(twins=(TWIN,))
    length = champion.bundle.contract.window.length
    values = histories(root, champion, length + PASSES)
    bare = bare_rate(champion, values, settings.assets_per_call)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/twins.db")
        for begin in range(0, length, 10):
            store_hours(store, champion, values, assets, range(begin, min(begin + 10, length)))
        watching = Watching(store, root, settings)
        cold = assets / seconds_of(lambda: score_once(watching, now), assets)
        steady = 0.0
        for hour in range(length, length + PASSES):
            store_hours(store, champion, values, assets, range(hour, hour + 1))
            steady = max(steady, assets / seconds_of(lambda: score_once(watching, now), assets))
        store.close()
    return {
        "bare_windows_per_second": round(bare),
        "cold_assets_per_second": round(cold),
        "cold_share_of_bare": round(cold / bare, 2),
        "steady_assets_per_second": round(steady),
        "steady_share_of_bare": round(steady / bare, 2),
    }


if __name__ == "__main__":
    with exit_on_error():
        print(json.dumps(measure(), indent=1))
