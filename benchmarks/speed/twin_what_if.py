"""Measure how long a what-if question takes, for a pump in the middle of its life.

    python -m benchmarks.speed.twin_what_if

Needs the pumps' rows and forward model, which `dvc repro` makes. A figure holds on the machine and in the minute where
it was measured.
"""

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.speed.pipeline import best_of
from foretwin.dataset.table import read_rows
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.paths import Paths
from foretwin.twin.store import assets, open_store
from foretwin.twin.store.telemetry import readings
from foretwin.twin.what_if.what_if import Option, what_if
from foretwin.wire.readings import Readings

TWIN, SPEEDS = "pump", (3240.0, 3400.0, 3550.0, 3672.0)  # rpm
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def measure(root: Path = Path()) -> dict[str, float]:
    """Milliseconds for four options besides the present duty, 200 draws each, and for one; on a SQLite store."""
    contract = Paths(root, TWIN).load_contract()
    rows = read_rows(Paths(root, TWIN).rows / "rows.parquet", contract)
    run = rows[rows["asset"] == rows["asset"].iloc[0]]
    half = run.iloc[: len(run) // 2]
    options = [Option(name=f"{speed:g} rpm", settings={"commanded_speed": speed}) for speed in SPEEDS]
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/twins.db")
        with store.write() as connection:
            asset = assets.register_assets(connection, TWIN, ["P"], NOW)["P"]
            time, values = half["time"].to_numpy(), half[list(contract.channel_names)].to_numpy(np.float32)
            ids, runs = np.full(len(half), asset.id), np.ones(len(half), np.int64)
            readings.add_readings(
                connection, "file", Readings(TWIN, contract.channel_names, ids, runs, time, values), NOW
            )
        four = best_of(lambda: what_if(store, root, contract, "P", options, NOW))
        one = best_of(lambda: what_if(store, root, contract, "P", options[:1], NOW))
        store.close()
    return {"four_options_ms": round(1000 * four), "one_option_ms": round(1000 * one)}


if __name__ == "__main__":
    with exit_on_error():
        print(json.dumps(measure(), indent=1))
