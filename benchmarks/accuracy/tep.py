"""Health without labels on the Tennessee Eastman process: detection and delay by fault, for all methods in one run.

    python -m benchmarks.accuracy.tep

`FORETWIN_DATASETS` is the folder of the files, which are never part of the project. The fault-free training run becomes
a twin by `foretwin new`, whose window is then shortened to an hour; its stages train the network on departures that
were put into copies, and make the served answer; the candidates learn the same windows. Fault-free test data give each
method the limit that 1 % of them exceed; then each of the 21 test runs, whose fault begins at row 161, is told by row.
Writes reports/health/tep.json.
"""

import io
import json
import os
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.accuracy.autoencoder import fit_autoencoder
from benchmarks.accuracy.intervals import share_interval
from benchmarks.accuracy.sensor_share import sensor_figures
from benchmarks.worked_examples import start_project, typed
from foretwin.contract.twin import DEPARTED, HEALTH, Twin
from foretwin.dataset.splits import Development
from foretwin.dataset.table import canonical
from foretwin.dataset.windows import Histories
from foretwin.evaluation.baselines import Features
from foretwin.evaluation.candidates import read_blend_record
from foretwin.evaluation.health_candidates import health_distances, judge_candidates
from foretwin.predictor.bundle import Bundle
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.project.params import load_params
from foretwin.project.paths import Paths
from foretwin.training.candidates.distances import PrincipalComponents

FILES = Path("tep") / "TE_process_data.zip"
CHANNELS = [*(f"xmeas_{i}" for i in range(1, 42)), *(f"xmv_{i}" for i in range(1, 12))]
FAULTS, FIRST_FAULTY, MINUTES = range(1, 22), 160, 3
WINDOW = 20  # rows, an hour
PAGE = Path("data") / "tep" / "twin.yaml"
BUDGET = ("windows: 10000", "windows: 100000")  # drawn for one member
SHARE = 0.01  # of fault-free rows that may exceed a limit
PERSISTENT = 3  # rows beyond the limit in a row count as a detection, for the delay
UNDETECTABLE = (3, 9, 15)  # known to be nearly so
LAGS = 2  # of the dynamic principal components

Values = NDArray[np.float64]
Method = Callable[[Values], Values]  # rows (T, 52) -> how far each row is from normal, (T,)


def main(root: Path = Path()) -> None:
    """Read the files of the process, write reports/health/tep.json."""
    begin = time.perf_counter()
    with zipfile.ZipFile(Path(os.environ["FORETWIN_DATASETS"]) / FILES) as archive:
        runs = {name[:-4]: np.loadtxt(io.BytesIO(archive.read(name))) for name in archive.namelist() if name[0] == "d"}
    normal = runs["d00"].T
    with tempfile.TemporaryDirectory() as folder:
        build_twin(Path(folder), normal)
        methods, told = methods_of_twin(Path(folder))
        faulty = {str(fault): runs[f"d{fault:02}_te"][FIRST_FAULTY:] for fault in FAULTS}
        served = Bundle.load(Paths(Path(folder), "tep").models / "bundle")
        told["sensors"] = sensor_figures(served, normal, runs["d00_te"], faulty)
    methods |= row_methods(normal) | {"floor: autoencoder": fit_autoencoder(normal, WINDOW)}
    report = measure(methods, runs) | told | {"seconds": round(time.perf_counter() - begin, 1)}
    (root / "reports" / "health").mkdir(parents=True, exist_ok=True)
    with fresh_file(root / "reports" / "health" / "tep.json") as out:
        out.write_text(json.dumps(report, indent=1) + "\n")
    for name, one in report["candidates"].items():
        print(f"{name:>24}: {one['detection_rate']:.1%} of faulty rows, {one['false_alarm_rate']:.1%} false alarms")


def build_twin(folder: Path, normal: Values) -> None:
    """Make a project with the twin of the fault-free run, trained."""
    start_project(folder)
    frame = pd.DataFrame(normal, columns=CHANNELS)
    frame.insert(0, "time", pd.date_range("2000-01-01", periods=len(frame), freq=f"{MINUTES}min"))
    frame.to_csv(folder / "tep.csv", index=False)
    typed("foretwin new tep tep.csv && foretwin add tep", folder)
    for path, old, new in ((PAGE, "length: 60", f"length: {WINDOW}"), (Path("params.yaml"), *BUDGET)):
        (folder / path).write_text((folder / path).read_text().replace(old, new))
    for stage in ("fetch", "adapt", "prepare", "tune", "train"):
        typed(f"python pipelines/{stage}.py tep", folder)


def methods_of_twin(folder: Path) -> tuple[dict[str, Method], dict[str, Any]]:
    """Return the methods of the twin, what is served, and figures on departures in copies."""
    paths = Paths(folder, "tep")
    contract, params = paths.load_contract(), load_params(paths.params, "tep")
    development = Development.load(paths.windows, contract, params.prepare)
    network, served = (Bundle.load(paths.models / one) for one in ("candidates/network", "bundle"))
    recorded = np.flatnonzero(~development.made)
    ends = recorded[development.histories.rows_so_far()[recorded] >= contract.window.length]
    features = Features(development, contract, 1)
    x = features.at(development.histories, ends).astype(np.float64)
    found: dict[str, Method] = {"served": _told_by(served), "network": _told_by(network)}
    for name, distance in health_distances(1).items():
        found[name] = _windowed(features, contract, distance.fit(x))
    blend = read_blend_record(paths.models / "candidates")
    of = {"weights": blend["weights"][HEALTH], "beside": blend["beside"].get(HEALTH, {})}
    return found, {"served": of, "injected": judge_candidates(development, contract, 1)}


def _histories(rows: Values, contract: Twin) -> Histories:
    frame = pd.DataFrame(rows, columns=CHANNELS).assign(asset="tep", run=1, time=np.arange(len(rows)) * float(MINUTES))
    return Histories.from_rows(canonical(frame, contract), contract)


def _windowed(features: Features, contract: Twin, distance: Method) -> Method:
    """A candidate's distance at each row, of the window that ends there."""

    def method(rows: Values) -> Values:
        return distance(features.at(_histories(rows, contract), np.arange(len(rows))).astype(np.float64))

    return method


def _told_by(bundle: Bundle) -> Method:
    """The logit of the served probability of a departure; faults lie outside of the limits, which are not asked."""

    def method(rows: Values) -> Values:
        windows = _histories(rows, bundle.contract).cut(np.arange(len(rows)), bundle.contract.window.length)
        chance = bundle.predict_windows(windows)[f"p_{HEALTH}_{DEPARTED}"]
        clipped = np.clip(chance, 1e-12, 1 - 1e-12)
        return np.asarray(np.log(clipped / (1 - clipped)), np.float64)

    return method


def row_methods(normal: Values) -> dict[str, Method]:
    """The classic floors: T2 and Q of rows, those of rows with their predecessors, and a channel's hourly mean."""
    space, dynamic = PrincipalComponents().fit(normal), PrincipalComponents().fit(_lagged(normal))
    centre, spread = normal.mean(axis=0), _hourly(normal).std(axis=0)
    return {
        "floor: always": lambda rows: np.zeros(len(rows)),
        "floor: three_sigma": lambda rows: np.abs((_hourly(rows) - centre) / spread).max(axis=1),
        "floor: T2": lambda rows: space.statistics(rows)[:, 0],
        "floor: Q": lambda rows: space.statistics(rows)[:, 1],
        "floor: dynamic T2": lambda rows: dynamic.statistics(_lagged(rows))[:, 0],
        "floor: dynamic Q": lambda rows: dynamic.statistics(_lagged(rows))[:, 1],
    }


def _lagged(rows: Values) -> Values:
    """Each row with the LAGS before it; the first ones repeat."""
    return np.hstack([rows[np.maximum(np.arange(len(rows)) - lag, 0)] for lag in range(LAGS + 1)])


def _hourly(rows: Values) -> Values:
    """The mean of the last hour at each row."""
    return pd.DataFrame(rows).rolling(WINDOW, min_periods=1).mean().to_numpy()


def measure(methods: Mapping[str, Method], runs: Mapping[str, Values]) -> dict[str, Any]:
    """Figures of each method at the limit that SHARE of the fault-free test rows exceed, or of all without a fault."""
    candidates: dict[str, Any] = {}
    floors: dict[str, Any] = {}
    for name, method in methods.items():
        calm, away = method(runs["d00_te"])[WINDOW - 1 :], {fault: method(runs[f"d{fault:02}_te"]) for fault in FAULTS}
        every = np.concatenate([calm, *(one[WINDOW - 1 : FIRST_FAULTY] for one in away.values())])
        limit, strict = (
            -1.0 if name == "floor: always" else float(np.quantile(rows, 1 - SHARE, method="higher"))
            for rows in (calm, every)
        )
        told = {fault: one > limit for fault, one in away.items()}
        found = _figures(told, int((calm > limit).sum()), len(calm))
        beyond = [float((one[FIRST_FAULTY:] > strict).mean()) for one in away.values()]
        found["detection_rate_at_share_of_all_calm_rows"] = round(float(np.mean(beyond)), 4)
        (floors if name.startswith("floor: ") else candidates)[name.removeprefix("floor: ")] = found
    return {"share": SHARE, "candidates": candidates, "floors": floors}


def _figures(told: Mapping[int, NDArray[np.bool_]], alarms: int, calm: int) -> dict[str, Any]:
    rates = {str(fault): round(float(one[FIRST_FAULTY:].mean()), 4) for fault, one in told.items()}
    easier = [rate for fault, rate in rates.items() if int(fault) not in UNDETECTABLE]
    before = np.concatenate([one[WINDOW - 1 : FIRST_FAULTY] for one in told.values()])
    return {
        "detection_rate": round(float(np.mean(list(rates.values()))), 4),
        "detection_rate_without_3_9_15": round(float(np.mean(easier)), 4),
        "false_alarm_rate": round(alarms / calm, 4),
        "false_alarm_rate_interval": share_interval(alarms, calm),
        "false_alarm_rate_before_faults": round(float(before.mean()), 4),
        "by_fault": rates,
        "delay": {str(fault): delay(one[FIRST_FAULTY:]) for fault, one in told.items()},
    }


def delay(told: NDArray[np.bool_]) -> float | None:
    """Minutes from the fault's first row (T,) until PERSISTENT rows in a row are told; None where none are."""
    runs = np.lib.stride_tricks.sliding_window_view(told, PERSISTENT).all(axis=1)
    return float(MINUTES * (np.argmax(runs) + PERSISTENT - 1)) if runs.any() else None


if __name__ == "__main__":
    with exit_on_error():
        main()
