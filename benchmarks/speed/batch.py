"""Measure batch scoring of Parquet folders as a ratio to the bare network in one run, and its memory.

    python -m benchmarks.speed.batch [ROWS]

A score for each of ROWS simulated readings of pumps (ten million), and for a tenth of them, as `foretwin score
--every` makes them, in a process of its own whose largest memory is taken. The bare network scores windows that lie in
memory before and after it; the mean of both, in seconds of the processor, is what the command is held against. Needs
the pumps' champion and rows, which `dvc repro` makes.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.speed.twin_scoring import TWIN, bare_rate, histories
from foretwin.champion.champion import Champion, load_champion
from foretwin.project.entrypoint import exit_on_error

ROWS, FEWER, FILES, LIFE = 10_000_000, 10, 8, 200  # LIFE: readings of each pump
BARE = 1024  # windows in one call of the network


def write_folder(champion: Champion, folder: Path, rows: int, root: Path) -> None:
    """Write the rows of rows / LIFE pumps into some files, each pump in one of them."""
    contract = champion.bundle.contract
    values = histories(root, champion, LIFE)
    for number, part in enumerate(np.array_split(np.arange(rows // LIFE), FILES)):
        chosen = values[part % len(values)]
        columns: dict[str, Any] = {
            "asset": np.repeat([f"B-{i:07d}" for i in part.tolist()], LIFE),
            "time": np.tile(np.arange(LIFE, dtype=np.float64), len(part)),
        }
        columns |= {name: chosen[:, :, i].ravel() for i, name in enumerate(contract.channel_names)}
        pq.write_table(pa.table(columns), folder / f"{number}.parquet")


def scored_by_command(folder: Path, out: Path, root: Path) -> tuple[float, float, float]:
    """Score the folder; return scores, seconds of the processor without the start, and the largest memory in MB."""
    code = (
        "import sys, time; from pathlib import Path;"
        "from foretwin.cli.models.scored_file import load_scorer;"
        "from foretwin.cli.batch.scored_folder import list_parquet, score_folder;"
        "bundle = load_scorer(Path(sys.argv[3]), sys.argv[4], False); begin = time.process_time();"
        "count = score_folder(bundle, list_parquet([Path(sys.argv[1])]), Path(sys.argv[2]), True);"
        # Not getrusage's, which counts the memory of whoever started it too.
        "status = Path('/proc/self/status').read_text().split();"
        "print(count, time.process_time() - begin, int(status[status.index('VmHWM:') + 1]) / 1024)"
    )
    command = [sys.executable, "-c", code, str(folder), str(out), str(root), TWIN]
    told = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=told)
    scores, seconds, megabytes = map(float, done.stdout.split())
    return scores, seconds, megabytes


def bare_seconds(champion: Champion, root: Path) -> float:
    """Return the processor's seconds for one window of the network alone."""
    length = champion.bundle.contract.window.length
    values = histories(root, champion, length)
    begin, used = time.perf_counter(), time.process_time()
    rate = bare_rate(champion, values, BARE)
    return (time.process_time() - used) / (time.perf_counter() - begin) / rate


def measure(rows: int = ROWS, root: Path = Path()) -> dict[str, Any]:
    """Ratio and memory of both sizes, with the machine's load."""
    champion = load_champion(root, TWIN)
    found: dict[str, Any] = {"rows": [], "ratio": [], "megabytes": []}
    with tempfile.TemporaryDirectory() as place:
        for count in (rows // FEWER, rows):
            folder = Path(place) / str(count)
            folder.mkdir()
            write_folder(champion, folder, count, root)
            before = bare_seconds(champion, root)
            scores, seconds, megabytes = scored_by_command(folder, Path(place) / f"{count}.parquet", root)
            bare = (before + bare_seconds(champion, root)) / 2
            found["rows"].append(count)
            found["ratio"].append(round(bare * scores / seconds, 2))
            found["megabytes"].append(round(megabytes))
    return found | {"load": round(os.getloadavg()[0], 1)}


if __name__ == "__main__":
    with exit_on_error():
        print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS), indent=1))
