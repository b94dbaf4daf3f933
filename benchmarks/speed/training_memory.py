"""Measure how much memory the training of a table takes by its rows, for reports/training_memory.json.

    python -m benchmarks.speed.training_memory [ROWS ...]

For each number of rows a synthetic table of nine channels is prepared, and one member is trained for a few windows,
each in a process of its own. What counts is the memory that is the process's own (RssAnon): pages of files are the
system's to drop. Two sizes give the bytes that a row takes; from them follows what 50 million rows would take.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file

ROWS = (2_000_000, 4_000_000)  # whose arrays all lie in files: smaller ones are in memory, and grow more steeply
LARGE = 50_000_000
LIFE = 500  # rows of a run
STEPS = {
    "prepare": "prepare(RowPieces.open(table, twin), twin, params, fresh)",
    "load": "development = Development.load(windows, twin, params)",
    "train": "development = Development.load(windows, twin, params);"
    " fit(development.hold_out(0), twin, CHOICE, Budget(windows=2048, batch=256, seed=1), None)",
}
PRELUDE = """
import sys, threading, time
from pathlib import Path
from benchmarks.speed.training_memory import twin_of
from foretwin.dataset.pieces import RowPieces
from foretwin.dataset.splits import Development, prepare
from foretwin.project.params import PrepareParams
from foretwin.training.trainer import Budget, Choice, fit
folder = Path(sys.argv[1]); table, windows, fresh = folder / "rows.parquet", folder / "windows", folder / "fresh"
fresh.mkdir(exist_ok=True)
twin, params = twin_of(), PrepareParams(test_share=0.1, folds=2, cuts=2, seed=1)
CHOICE = Choice(trunk="convolution", width=8, depth=1, dropout=0.0, jitter=0.0, lr=0.001, weight_decay=0.0)
def anonymous():
    return int(next(x for x in open("/proc/self/status") if x.startswith("RssAnon")).split()[1]) / 1024
start, most, going = anonymous(), [0.0], [True]
def look():
    while going[0]:
        most[0] = max(most[0], anonymous()); time.sleep(0.005)
thread = threading.Thread(target=look, daemon=True); thread.start()
"""
FINALE = "\ngoing[0] = False; thread.join(); print(most[0] - start)"


def twin_of() -> Any:
    """Return the contract of the table: nine channels, an RUL."""
    from benchmarks.speed.pipeline import contract

    return contract(9)


def write_table(path: Path, rows: int) -> None:
    """Write labelled runs of LIFE rows, a piece of them at a time."""
    import pandas as pd

    from foretwin.dataset.pieces import RowsWriter

    twin, generator = twin_of(), np.random.default_rng(1)
    with RowsWriter(path, twin) as out:
        for first in range(0, rows // LIFE, 200):
            runs = np.arange(first, min(first + 200, rows // LIFE))
            values = generator.normal(size=(len(runs) * LIFE, len(twin.channel_names))).astype(np.float32)
            key = {"asset": np.repeat([f"T-{i:06d}" for i in runs.tolist()], LIFE), "run": 1}
            time = np.tile(np.arange(LIFE, dtype=np.float64), len(runs))
            labels = {"rul": LIFE - 1 - time, "fixed_split": "", "subset": ""}
            out.write(
                pd.DataFrame(key | {"time": time} | dict(zip(twin.channel_names, values.T, strict=True)) | labels)
            )


def megabytes(step: str, folder: Path) -> float:
    """Return the largest memory that a step adds to its process."""
    code = PRELUDE + STEPS[step] + FINALE
    told = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=told)
    return float(done.stdout.split()[-1])


def measure(sizes: tuple[int, ...] = ROWS) -> dict[str, Any]:
    """Memory by step and size, bytes a row between the smallest and the largest, and gigabytes of LARGE rows."""
    found: dict[str, list[float]] = {step: [] for step in STEPS}
    for rows in sizes:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            write_table(folder / "rows.parquet", rows)
            for step in STEPS:
                found[step].append(round(megabytes(step, folder)))
                if step == "prepare":
                    (folder / "fresh").rename(folder / "windows")
    slope = {step: 1024**2 * (several[-1] - several[0]) / (sizes[-1] - sizes[0]) for step, several in found.items()}
    at_large = {
        step: round((found[step][-1] * 1024**2 + slope[step] * (LARGE - sizes[-1])) / 1024**3, 1) for step in STEPS
    }
    each = {step: round(one, 1) for step, one in slope.items()}
    return {"rows": list(sizes), "megabytes": found, "bytes_per_row": each, "gigabytes_at_50_million": at_large}


if __name__ == "__main__":
    with exit_on_error():
        report = measure(tuple(map(int, sys.argv[1:])) or ROWS)
        with fresh_file(Path("reports") / "training_memory.json") as temporary:
            temporary.write_text(json.dumps(report, indent=1) + "\n")
        print(json.dumps(report, indent=1))
