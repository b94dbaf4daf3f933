"""A reference of drift without any training: simulated pumps, a tiny network, and a fleet with one known shift."""

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from benchmarks.accuracy.drift_power import Values
from foretwin.contract.twin import Twin
from foretwin.dataset.splits import Development, prepare
from foretwin.dataset.table import read_rows
from foretwin.drift import DriftReference
from foretwin.predictor.bundle import Bundle, save_bundle
from foretwin.predictor.fault_calibration import FaultCalibration
from foretwin.predictor.healthy_baseline import HealthyBaseline, RegimeCentres
from foretwin.predictor.rul_intervals import RulIntervals
from foretwin.sources import pump
from support.pump_lives import PREPARE, pump_twin
from support.tiny_bundle import tiny_network

SPEEDS = RegimeCentres((0,), np.array([[3240], [3456], [3672]], np.float32), np.ones(1, np.float32))


def pump_project(root: Path, pumps: int | None = None) -> tuple[Bundle, Path]:
    """The shipped fleet, or so many of its pumps, as `prepare` leaves it, with a bundle that calls all healthy."""
    twin, windows, folder = pump_twin(pumps), root / "data" / "pump" / "windows", root / "models" / "pump" / "bundle"
    for one in (windows, folder):
        one.mkdir(parents=True)
    (root / "data" / "pump" / "twin.yaml").write_text((Path(__file__).parents[2] / "data/pump/twin.yaml").read_text())
    pump.fetch_pump(twin, root)
    prepare(pump.adapt_pump(twin, root), twin, PREPARE.model_copy(update={"test_share": 0.25}), windows)
    save_pump_bundle(folder, twin, Development.load(windows, twin, PREPARE))
    return Bundle.load(folder), windows


def save_pump_bundle(folder: Path, twin: Twin, development: Development) -> None:
    reference = HealthyBaseline.fit(development.histories, twin, SPEEDS)
    calibration = RulIntervals(0.9, (0.0, 125.0), (0.0, 0.0), (200.0, 200.0))
    faults = {axis: FaultCalibration(0.25, 1.0, 0.9) for axis in twin.axes}  # no answer is certain enough
    save_bundle(folder, twin, _network(twin), calibration, reference, faults)


def _network(twin: Twin) -> bytes:
    """A life of 100 h, less for an older pump and more on a warm day; every fault is as probable as the others."""
    model = onnx.load_from_string(tiny_network(twin, bias=100))
    for weights in model.graph.initializer:
        if weights.name.startswith("w_"):
            values = np.zeros(tuple(weights.dims), np.float32)
            values[1] = 0.5 if weights.name == "w_rul" else 0
            weights.CopyFrom(numpy_helper.from_array(values, weights.name))
    return model.SerializeToString()


def reference_of(bundle: Bundle, windows: Path) -> DriftReference:
    rows = (read_rows(windows / f"{name}.parquet", bundle.contract) for name in ("development", "test"))
    return DriftReference.fit(bundle, *rows)


def shifted(values: Values, channel: int, by: float) -> Values:
    moved = values.copy()
    moved[:, channel] += np.float32(by)
    return moved
