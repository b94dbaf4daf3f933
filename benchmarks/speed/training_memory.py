"""Measure how much memory a table takes from `prepare` to `evaluate`, by its rows.

    python -m benchmarks.speed.training_memory [--within GB] [ROWS ...]

For each number of rows a synthetic table of nine channels goes through the stages themselves, `prepare`, `tune`,
`train` and `evaluate`, each a process, with small budgets of windows and two held-out cuts of a run. Two figures of
each count: the most memory of its own (RssAnon), which cannot be dropped, and the most that was resident, of which
pages of mapped files are the system's to drop. Two sizes give the bytes that a row takes; from them follows what 50
million rows would take, where they were not gone through; `benchmarks.speed.scale training_memory` puts that into
reports/scale.json. `--within` goes through them in a control group that may hold so much of both, and adds that to
what is there; it takes root on Linux.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.speed.pipeline import contract
from foretwin.errors import BadInput
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.project.paths import Paths

LARGE = 50_000_000
ROWS = (5_000_000, LARGE)
SHORT = (5_000_000, 10_000_000)  # whose smaller arrays are in memory yet: the slope tells too much, not too little
LIFE = 500  # rows of a run
LOOK = 0.05  # s between two looks at a stage's memory
FIGURES = ("own", "resident", "seconds")
STAGES = ("prepare", "tune", "train", "evaluate")
PARAMS = """
twins: [bench]
prepare: {test_share: 0.1, folds: 2, cuts: 2, seed: 1}
tune: {trials: 1, windows: 2048, seed: 1}
train: {windows: 2048, batch: 128, level: 0.9, confidence: 0.9, seeds: [1]}
promote: {allowed_loss: 0.02}
"""


def write_project(root: Path, rows: int) -> None:
    """Write a project whose table has labelled runs of LIFE rows, a piece of them at a time."""
    import pandas as pd

    from foretwin.dataset.pieces import RowsWriter

    twin, generator = contract(9), np.random.default_rng(1)
    paths = Paths(root, twin.name)
    paths.rows.mkdir(parents=True)
    paths.contract.write_text(twin.model_dump_json())
    paths.params.write_text(PARAMS)
    with RowsWriter(paths.rows / "rows.parquet", twin) as out:
        for first in range(0, rows // LIFE, 200):
            runs = np.arange(first, min(first + 200, rows // LIFE))
            values = generator.normal(size=(len(runs) * LIFE, len(twin.channel_names))).clip(-8, 8).astype(np.float32)
            key = {"asset": np.repeat([f"T-{i:06d}" for i in runs.tolist()], LIFE), "run": 1}
            time_ = np.tile(np.arange(LIFE, dtype=np.float64), len(runs))
            labels = {"rul": LIFE - 1 - time_, "fixed_split": "", "subset": ""}
            out.write(
                pd.DataFrame(key | {"time": time_} | dict(zip(twin.channel_names, values.T, strict=True)) | labels)
            )


def run_stage_of(root: Path, stage: str, scripts: Path, group: Path | None = None) -> dict[str, float]:
    """Run a stage in the project; return its most memory, its own and resident, in MB, and its seconds.

    `group` is the folder of a control group that it runs in.
    """
    told = {**os.environ, "OMP_NUM_THREADS": "1", "CI": "1", "PYTHONPATH": str(scripts.parent.resolve())}
    command = [sys.executable, str((scripts / f"{stage}.py").resolve()), "bench"]
    if group is not None:
        command = ["sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh", *command]
    own, resident, begin = 0.0, 0.0, time.monotonic()
    with (root / f"{stage}.txt").open("wb") as log:
        process = subprocess.Popen(command, cwd=root, env=told, stdout=log, stderr=log)
        while process.poll() is None:
            now = memory_of(process.pid)
            own, resident = max(own, now[0]), max(resident, now[1])
            time.sleep(LOOK)
    if process.returncode:
        raise AssertionError(f"{stage} failed: {(root / f'{stage}.txt').read_text()[-2000:]}")
    return {"own": round(own), "resident": round(resident), "seconds": round(time.monotonic() - begin)}


def memory_of(number: int) -> tuple[float, float]:
    """Return what a process and its children hold of their own, and what of them is resident, in MB."""
    own, resident = 0, 0
    try:
        for process in (one := psutil.Process(number), *one.children(recursive=True)):
            lines = dict(line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
            own += int(lines.get("RssAnon", "0").split()[0])
            resident += int(lines.get("VmRSS", "0").split()[0])
    except (psutil.NoSuchProcess, OSError):
        pass  # it has just ended
    return own / 1024, resident / 1024


@contextmanager
def control_group(gigabytes: float) -> Iterator[Path]:
    """Make a control group of Linux, version 1 or 2, that holds so much memory; BadInput where none can be made."""
    v1 = Path("/sys/fs/cgroup/memory")
    group, limit = (v1, "memory.limit_in_bytes") if v1.is_dir() else (v1.parent, "memory.max")
    group /= "foretwin-bench"
    try:
        group.mkdir(exist_ok=True)
        (group / limit).write_text(str(round(gigabytes * 1024**3)))
    except OSError as error:
        raise BadInput("--within", f"no control group can be made here: {error}; run it as root") from None
    try:
        yield group
    finally:
        group.rmdir()


def measure_within(gigabytes: float, rows: int = LARGE, scripts: Path = Path("pipelines")) -> dict[str, Any]:
    """Go through all stages with so much memory for what is their own and for pages of files."""
    with tempfile.TemporaryDirectory() as place, control_group(gigabytes) as group:
        write_project(Path(place), rows)
        found = {stage: run_stage_of(Path(place), stage, scripts, group) for stage in STAGES}
    return {"gigabytes": gigabytes, "rows": rows, "stages": found}


def measure(sizes: tuple[int, ...] = ROWS, scripts: Path = Path("pipelines")) -> dict[str, Any]:
    """Memory by stage and size, bytes a row between the smallest and the largest, and gigabytes of LARGE rows."""
    found: dict[str, dict[str, list[float]]] = {name: {stage: [] for stage in STAGES} for name in FIGURES}
    for rows in sizes:
        with tempfile.TemporaryDirectory() as place:
            write_project(Path(place), rows)
            for stage in STAGES:
                for name, value in run_stage_of(Path(place), stage, scripts).items():
                    found[name][stage].append(value)
    grown = {stage: max(all_[-1] - all_[0], 0.0) for stage, all_ in found["own"].items()}  # less: it lies in files now
    slope = {stage: 1024**2 * one / (sizes[-1] - sizes[0]) for stage, one in grown.items()}
    at_large = {
        stage: round((found["own"][stage][-1] * 1024**2 + slope[stage] * (LARGE - sizes[-1])) / 1024**3, 1)
        for stage in STAGES
    }
    return {
        "rows": list(sizes),
        "megabytes": found["own"],
        "resident_megabytes": found["resident"],
        "seconds": found["seconds"],
        "bytes_per_row": {stage: round(one, 1) for stage, one in slope.items()},
        "gigabytes_at_50_million": at_large,
    }


def main(words: list[str]) -> None:
    """Measure what is asked for; what was gone through within a limit is put into the report."""
    if words[:1] != ["--within"]:
        print(json.dumps(measure(tuple(map(int, words)) or ROWS), indent=1))
        return
    found, path = measure_within(float(words[1]), int(words[2]) if words[2:] else LARGE), Path("reports") / "scale.json"
    report = json.loads(path.read_text())
    report["training_memory"]["within"] = found
    with fresh_file(path) as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    with exit_on_error():
        main(sys.argv[1:])
