"""Machines that differ among themselves ten times as much as within themselves, and a bundle that knows them apart."""

from pathlib import Path

import numpy as np
import pandas as pd

from foretwin.contract.twin import Twin
from foretwin.dataset.table import canonical
from foretwin.project.params import PrepareParams
from foretwin.training.candidates.blend import make_blend, save_blend
from foretwin.training.candidates.classical import fit_classical
from support.small_fleet import REMEDY, TRAIN, prepared

LENGTH, WINDOWS = 8, 2
WARM_UP = LENGTH * WINDOWS
PREPARE = PrepareParams(test_share=0.1, folds=2, cuts=8, seed=1)


def differing_twin(windows: int = WINDOWS) -> Twin:
    """A machine with a load and two sensors, whose baseline is that of its first windows."""
    sensor = {"unit": "bar", "role": "sensor", "min": -1000, "max": 1000}
    return Twin.model_validate(
        {
            "name": "press",
            "title": "Press",
            "source": {"kind": "pump", "assets": 40, "seed": 1},
            "clock": {"unit": "h", "step": 1},
            "channels": {"load": {**sensor, "role": "setting"}, "heat": sensor, "flow": sensor},
            "health": {"remedy": {**REMEDY, "lead_time": 50}, "false_alarms": 20, "baseline": windows},
            "window": {"length": LENGTH},
        }
    )


def differing_rows(twin: Twin, machines: int, seed: int, hours: int = 80) -> pd.DataFrame:
    """Canonical rows of machines m<seed>-00, ...: heat follows the load, and each has offsets of its own."""
    generator, parts = np.random.default_rng(seed), []
    for number in range(machines):
        load = np.clip(np.cumsum(generator.normal(0, 0.5, hours)), -3, 3)
        heat = 2 * load + generator.normal(0, 1) + generator.normal(0, 0.1, hours)
        flow = generator.normal(0, 1) + generator.normal(0, 0.1, hours)
        columns = {"load": load, "heat": heat, "flow": flow, "time": np.arange(1.0, hours + 1), "rul": np.nan}
        parts.append(pd.DataFrame({"asset": f"m{seed}-{number:02}", "run": 1, **columns, "fault_health": 0}))
    return canonical(pd.concat(parts, ignore_index=True), twin)


def save_differing_bundle(folder: Path, twin: Twin, machines: int = 40) -> str:
    """Train on so many machines and write the bundle to `folder`/bundle; return its digest."""
    return save_bundle_of(folder, twin, differing_rows(twin, machines, 1))


def save_bundle_of(folder: Path, twin: Twin, rows: pd.DataFrame) -> str:
    """Train on canonical rows without a network, and write the bundle to `folder`/bundle; return its digest."""
    development = prepared(folder / "windows", twin, rows, PREPARE)
    blended = make_blend({}, list(fit_classical(development, twin, [], TRAIN)), development, twin, TRAIN)
    for name in ("bundle", "candidates"):
        (folder / name).mkdir()
    record = save_blend(blended, development, twin, TRAIN, folder / "bundle", folder / "candidates")
    return str(record["bundle"])
