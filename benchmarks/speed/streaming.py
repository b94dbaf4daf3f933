"""Measure memory, time and disk of the commands that read a user's whole table, small and ten times as large.

    python -m benchmarks.speed.streaming            300,000 and 3 million rows
    python -m benchmarks.speed.streaming --full     3 and 30 million rows, of 20 channels; minutes, 30 GB of disk

The table is a Parquet file whose rows come hour by hour, so that those of a machine lie scattered over all of it: the
worst order for memory. The ratio of the peaks of the two sizes is what counts; reports/streaming.json.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from foretwin.project.entrypoint import TELEMETRY_OFF, exit_on_error
from foretwin.project.files import fresh_file
from foretwin.training.ensemble import environment

ROOT = Path(__file__).parents[2]
SHORT, FULL = (300_000, 3_000_000), (3_000_000, 30_000_000)
CHANNELS, LIFE, LIVES = 20, 1000, 3  # hours of a life, and lives of a machine
GROUP = 1 << 18  # rows written at once
BOUND = 1.3
STAGES = ("adapt", "validate", "prepare")
MB = 1e6


def write_fleet(path: Path, rows: int) -> None:
    """Write the readings of a fleet, hour by hour, in which a machine fails every LIFE hours."""
    machines = rows // (LIFE * LIVES)
    names = np.array([f"machine-{number:05}" for number in range(machines)])
    generator = np.random.default_rng(1)
    hours = max(1, GROUP // machines)
    with pyarrow.parquet.ParquetWriter(path, _table(names, np.arange(1), generator).schema) as out:
        for begin in range(0, LIFE * LIVES, hours):
            out.write_table(_table(names, np.arange(begin, min(begin + hours, LIFE * LIVES)), generator))


def _table(names: "np.ndarray", hours: NDArray[np.int64], generator: np.random.Generator) -> pa.Table:
    count = len(names) * len(hours)
    hour = np.repeat(hours, len(names))
    age = hour % LIFE
    columns: dict[str, Any] = {"machine": np.tile(names, len(hours)), "hour": hour, "failed": age == LIFE - 1}
    for number in range(CHANNELS):
        noise = generator.standard_normal(count, dtype=np.float32)
        columns[f"sensor_{number}"] = np.round(50 + (age / LIFE) ** 2 * number + noise, 2)
    return pa.table(columns)


def contract_of(path: Path) -> str:
    """Return the contract of the fleet."""
    channels = "".join(
        f"  sensor_{number}: {{unit: bar, role: sensor, min: 0, max: 200}}\n" for number in range(CHANNELS)
    )
    return (
        "name: fleet\ntitle: Fleet\n"
        f"source: {{kind: table, path: {path}, asset: machine, time: hour, failure: failed}}\n"
        "clock: {unit: h, step: 1, counts_from_start: false}\n"
        f"channels:\n{channels}"
        "rul: {cap: 500, remedy: {part: seal, instruction: replace it, lead_time: 1}}\n"
        "cases: {open_below: 100, close_above: 200}\n"
        "window: {length: 30}\n"
        "quality: {min_known_rul: 0.1}\n"
    )


def measure(command: list[str], root: Path) -> dict[str, float]:
    """Run a command in the project: its peak memory, its seconds, and the most that its temporary files took, in MB."""
    with tempfile.TemporaryDirectory(dir=root) as scratch:
        begin = time.perf_counter()
        environ = os.environ | TELEMETRY_OFF | {"TMPDIR": scratch}
        with (root / "output.txt").open("wb") as output:
            child = subprocess.Popen(command, cwd=root, env=environ, stdout=output, stderr=subprocess.STDOUT)
        most = {"peak_mb": 0.0, "temporary_mb": 0.0}
        watch = threading.Thread(target=_watch, args=(child, Path(scratch), most))
        watch.start()
        child.wait()
        watch.join()
    if child.returncode:
        raise SystemExit((root / "output.txt").read_text()[-2000:])
    return {name: round(value / MB) for name, value in most.items()} | {
        "seconds": round(time.perf_counter() - begin, 1),
    }


def _watch(child: subprocess.Popen[bytes], scratch: Path, most: dict[str, float]) -> None:
    """Look at a process again and again: the kernel keeps its own peak, of which that of its parent is no part."""
    while child.returncode is None:
        status = Path(f"/proc/{child.pid}/status").read_text()
        peak = re.search(r"VmHWM:\s*(\d+) kB", status)  # absent of a process that has ended
        most["peak_mb"] = max(most["peak_mb"], int(peak[1]) * 1024 if peak else 0)
        most["temporary_mb"] = max(most["temporary_mb"], size_of(scratch))
        time.sleep(0.05)


def size_of(folder: Path) -> int:
    """Return the bytes of all files in a folder, of which some may vanish meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


def run_fleet(root: Path, rows: int) -> dict[str, dict[str, float]]:
    """Measure `foretwin new` and each stage on a fleet of so many rows."""
    table = root / "fleet.parquet"
    write_fleet(table, rows)
    (root / "data" / "fleet").mkdir(parents=True)
    (root / "data" / "fleet" / "twin.yaml").write_text(contract_of(table))
    shutil.copy(ROOT / "params.yaml", root / "params.yaml")
    foretwin = str(Path(sys.executable).parent / "foretwin")
    found = {"new": measure([foretwin, "new", "drafted", str(table)], root)}
    stage = [sys.executable, str(ROOT / "pipelines" / "fetch.py"), "fleet"]
    measure(stage, root)
    for name in STAGES:
        found[name] = measure([sys.executable, str(ROOT / "pipelines" / f"{name}.py"), "fleet"], root)
    out = {"adapt": "rows", "validate": "validation", "prepare": "windows", "new": "drafted"}
    for name, folder in out.items():
        data = root / "data"
        found[name]["written_mb"] = round(size_of(data / "fleet" / folder if name != "new" else data / folder) / MB)
    return found


def main() -> None:
    """Run both sizes, and write reports/streaming.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="3 and 30 million rows")
    sizes = FULL if parser.parse_args().full else SHORT
    runs = []
    for rows in sizes:
        with tempfile.TemporaryDirectory(prefix="foretwin-streaming-") as folder:
            runs.append(run_fleet(Path(folder), rows))
            print(rows, runs[-1], flush=True)
    small, large = runs
    commands = {name: {key: [small[name][key], large[name][key]] for key in small[name]} for name in small}
    ratios = {name: round(large[name]["peak_mb"] / small[name]["peak_mb"], 2) for name in small}
    report: dict[str, Any] = {
        "rows": sizes,
        "channels": CHANNELS,
        "bound": BOUND,
        "commands": commands,
        "ratios": ratios,
        "machine": environment() | {"cores": str(os.cpu_count())},
    }
    with fresh_file(ROOT / "reports" / "streaming.json") as path:
        path.write_text(json.dumps(report, indent=1) + "\n")
    beyond = [name for name, ratio in ratios.items() if ratio > BOUND]
    if beyond:
        raise SystemExit(f"streaming: peak memory of {', '.join(beyond)} grows by more than {BOUND}")


if __name__ == "__main__":
    with exit_on_error():
        main()
