"""Health without labels on simulated pumps: failures warned of, and false alarms, counted by lives.

    python -m benchmarks.accuracy.pump_health

A plant's history from the start of its pumps to a day before the first of them fails becomes a twin by `foretwin new`,
as on a customer's first day; its contract allows one false alarm a machine and year. Pumps of another seed are then
followed hour by hour, and cases open and close by the rules of the living twin. A failure is warned of where a case was
open a day before it and until it. A false alarm is a case that opened before any wear, by the simulation's own word;
what opened more than two lead times before the end is told apart. Followed are what is served, what it would say by the
fleet's judgement alone, without the pumps' own baselines, and all candidates; the floor is a case from the first hour
on. Writes reports/health/pump.json.
"""

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.accuracy.censoring import lives
from benchmarks.accuracy.followed_cases import YEAR, Alarms, followed
from benchmarks.accuracy.intervals import share_interval
from benchmarks.worked_examples import start_project, typed
from foretwin.contract.lead_times import longest_lead_time
from foretwin.contract.twin import Twin
from foretwin.predictor.bundle import Bundle
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.project.paths import Paths

Values = NDArray[np.float64]

NAME = "plant-pump"
SEED, JUDGE_SEED = 6007, 7007
LEAD = 24.0  # h
# What an owner puts right in the draft besides units, roles and limits: the speeds of the drives, budget and lead time.
EDITS = {"# regimes:": "regimes:", "false_alarms: 12 ": "false_alarms: 1 ", "lead_time: 0  #": "lead_time: 24  #"}
WINDOWS = ("windows: 10000", "windows: 60000")  # drawn for one member
STAGES = ("fetch", "adapt", "validate", "prepare", "tune", "train")


@dataclass(frozen=True)
class Size:
    """How many pumps the history has, and how many are followed."""

    pumps: int = 120
    judges: int = 300


FULL = Size()


def main(root: Path = Path(), size: Size = FULL) -> None:
    """Read the pump's contract, write reports/health/pump.json."""
    begin = time.perf_counter()
    pump = Paths(root, "pump").load_contract()
    truth = lives(size.judges, JUDGE_SEED, pump)
    with tempfile.TemporaryDirectory() as folder:
        paths = build_twin(Path(folder), before_failures(lives(size.pumps, SEED, pump)), pump)
        file = Path(folder) / "followed.csv"
        _without_labels(truth, pump).to_csv(file, index=False)
        served = Bundle.load(paths.models / "bundle")
        bundles = {"served": served, "served_by_fleet": replace(served, own=None)}
        bundles |= {one.name: Bundle.load(one) for one in _candidates(paths)}
        methods = {name: figures(followed(one, file), truth, pump) for name, one in bundles.items()}
        budget = paths.load_contract().health
    floor = figures({str(name): Alarms((0.0,), stands=True) for name in truth["asset"].unique()}, truth, pump)
    report = {"pumps": size.pumps, "judges": size.judges, "lead": LEAD, "unit": pump.clock.unit}
    report |= {"budget": budget.false_alarms if budget else None, "candidates": methods, "floors": {"always": floor}}
    report["seconds"] = round(time.perf_counter() - begin, 1)
    (root / "reports" / "health").mkdir(parents=True, exist_ok=True)
    with fresh_file(root / "reports" / "health" / "pump.json") as out:
        out.write_text(json.dumps(report, indent=1) + "\n")
    for name, one in methods.items():
        print(
            f"{name:>24}: {one['warned']:.1%} warned of, {one['false_alarms_per_machine_year']:.2f} false alarms a year"
        )


def before_failures(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the hours of all pumps until a day before the first of them fails."""
    shortest = float(rows.groupby("asset", sort=False)["time"].max().min())
    return rows[rows["time"] <= shortest - LEAD].reset_index(drop=True)


def build_twin(folder: Path, rows: pd.DataFrame, pump: Twin) -> Paths:
    """Make a project with the twin of these pumps, trained."""
    start_project(folder)
    _without_labels(rows, pump).to_csv(folder / "pumps.csv", index=False)
    typed(f"foretwin new {NAME} pumps.csv", folder)
    paths = Paths(folder, NAME)
    for path, edits in ((paths.contract, EDITS | _limits(paths, pump)), (folder / "params.yaml", dict([WINDOWS]))):
        text = path.read_text(encoding="utf-8")
        for old, new in edits.items():
            if old not in text:
                raise SystemExit(f"{path}: has no {old!r}")
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")
    typed(f"foretwin add {NAME}", folder)
    for stage in STAGES:
        typed(f"python pipelines/{stage}.py {NAME}", folder)
    return paths


def _limits(paths: Paths, pump: Twin) -> dict[str, str]:
    """The lines of the draft's channels, each as the pump's contract has it."""
    lines = paths.contract.read_text(encoding="utf-8").splitlines()
    drafted = {name: next(line for line in lines if line.startswith(f"  {name}: ")) for name in pump.channel_names}
    return {
        line: f"  {name}: {{unit: {one.unit}, role: {one.role}, min: {one.min:g}, max: {one.max:g}}}"
        for name, line in drafted.items()
        for one in [pump.channels[name]]
    }


def _without_labels(rows: pd.DataFrame, pump: Twin) -> pd.DataFrame:
    """What a historian has: the pump's name, the hour, and the channels."""
    return rows[["asset", "time", *pump.channel_names]].rename(columns={"asset": "pump", "time": "hour"})


def _candidates(paths: Paths) -> Iterator[Path]:
    yield from sorted(one.parent for one in (paths.models / "candidates").glob("*/manifest.json"))


def figures(alarms: Mapping[str, Alarms], truth: pd.DataFrame, pump: Twin) -> dict[str, Any]:
    """Return the figures of lives by their alarms; a life without any is left out of them."""
    warnings: list[float] = []  # of failures that were warned of
    failed, false, early, healthy, watched = 0, 0, 0, 0.0, 0.0
    for name, part in truth.groupby(truth["asset"].astype(str), sort=False):
        told = alarms.get(str(name), Alarms())
        end, worn = float(part["time"].iloc[-1]), part["fault_mode"].to_numpy() > 0
        onset = float(part["time"].to_numpy()[worn][0]) if worn.any() else np.inf
        healthy += min(onset, end)
        watched += end
        false += sum(bool(hour < onset) for hour in told.began)
        if part["rul"].notna().any():
            failed += 1
            early += sum(bool(hour < end - 2 * longest_lead_time(pump)) for hour in told.began)
            warnings += [told.warning(end)] if told.warning(end) >= LEAD else []
    warned = len(warnings)
    return {
        "failures": failed,
        "warned": round(warned / failed, 4),
        "warned_interval": share_interval(warned, failed),
        "median_warning": round(float(np.median(warnings)), 1) if warnings else None,
        "false_alarms": false,
        "false_alarms_per_machine_year": round(false / healthy * YEAR, 2),
        "opened_long_before": early,
        "machine_years": round(watched / YEAR, 2),
        "healthy_machine_years": round(healthy / YEAR, 2),
    }


if __name__ == "__main__":
    with exit_on_error():
        main()
