"""A real bundle without any training: a linear network over the mean of the window, as an ONNX graph."""

import atexit
import os
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto, helper, numpy_helper

from foretwin.champion.champion import keep_champion
from foretwin.champion.identity import ModelIdentity
from foretwin.champion.signature import SIGNERS
from foretwin.contract.twin import Twin
from foretwin.predictor.bundle import save_bundle
from foretwin.predictor.failure_chances import FailureChances
from foretwin.predictor.fault_calibration import FaultCalibration
from foretwin.predictor.healthy_baseline import HealthyBaseline, RegimeCentres
from foretwin.predictor.rul_intervals import RulIntervals
from foretwin.project.paths import Paths

REPOSITORY = Path(__file__).parents[2]
REMEDY = {"part": "P-1", "instruction": "replace it", "lead_time": 2}
RUL = {"cap": 100, "remedy": REMEDY}
FAULTS = {
    "mode": {"title": "Mode", "classes": {"healthy": None, "wear": REMEDY, "leak": REMEDY}},
    "bearing": {"title": "Bearing", "classes": {"good": None, "worn": REMEDY}},
}


def tiny_twin(name: str = "pump", channels: int = 3, rul: bool = True, faults: bool = True, length: int = 8) -> Twin:
    """A contract with the channels speed, c1, c2, ...; windows of `length` rows, two of them at least."""
    names = ["speed", *(f"c{i}" for i in range(1, channels))]
    return Twin.model_validate(
        {
            "name": name,
            "title": f"Tiny {name}",
            "source": {"kind": "pump", "assets": 3, "seed": 1},
            "clock": {"unit": "h", "step": 1},
            "channels": {n: {"unit": "bar", "role": "sensor", "min": -1000, "max": 1000} for n in names},
            "rul": RUL if rul else None,
            "faults": FAULTS if faults else {},
            "window": {"length": length, "shortest": 2},
        }
    )


def tiny_network(twin: Twin, seed: int = 1, bias: float = 60) -> bytes:
    """x (N, T, C), mask (N, T), age (N,) -> rul (N,) = bias + w.mean(x) - 0.1 age, p_<axis> (N, K) softmax."""
    generator = np.random.default_rng(seed)
    channels = len(twin.channels)
    nodes = [
        helper.make_node("Unsqueeze", ["mask", "last_axis"], ["rows"]),
        helper.make_node("Mul", ["x", "rows"], ["inside"]),
        helper.make_node("ReduceSum", ["inside", "time_axis"], ["total"], keepdims=0),
        helper.make_node("ReduceSum", ["rows", "time_axis"], ["count"], keepdims=0),
        helper.make_node("Div", ["total", "count"], ["mean"]),
    ]
    constants = {"last_axis": np.array([2], np.int64), "time_axis": np.array([1], np.int64)}
    outputs = []
    if twin.rul:
        constants |= {
            "w_rul": generator.normal(0, 3, (channels, 1)).astype(np.float32),
            "b_rul": np.array([bias], np.float32),
            "one": np.array([1], np.int64),
            "decay": np.array(0.1, np.float32),
        }
        nodes += [
            helper.make_node("Gemm", ["mean", "w_rul", "b_rul"], ["rul_column"]),
            helper.make_node("Squeeze", ["rul_column", "one"], ["rul_new"]),
            helper.make_node("Mul", ["age", "decay"], ["spent"]),
            helper.make_node("Sub", ["rul_new", "spent"], ["rul"]),
        ]
        outputs.append(helper.make_tensor_value_info("rul", TensorProto.FLOAT, ["N"]))
    for axis in twin.axes:
        count = len(twin.classes(axis))
        constants[f"w_{axis}"] = generator.normal(0, 0.3, (channels, count)).astype(np.float32)
        nodes += [
            helper.make_node("MatMul", ["mean", f"w_{axis}"], [f"logits_{axis}"]),
            helper.make_node("Softmax", [f"logits_{axis}"], [f"p_{axis}"], axis=1),
        ]
        outputs.append(helper.make_tensor_value_info(f"p_{axis}", TensorProto.FLOAT, ["N", count]))
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", "T", channels]),
        helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["N", "T"]),
        helper.make_tensor_value_info("age", TensorProto.FLOAT, ["N"]),
    ]
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def tiny_reference(twin: Twin, limit: float = 3) -> HealthyBaseline:
    """Each channel within -limit and limit; a healthy machine, 20 h old, shows levels from -0.5 to 0.5."""
    count = len(twin.channels)
    ranges = np.array([[-limit] * count, [limit] * count], np.float32)
    one_regime = RegimeCentres((), np.zeros((1, 0), np.float32), np.zeros(0, np.float32))
    return HealthyBaseline(ranges, one_regime, np.linspace(-0.5, 0.5, count, dtype=np.float32)[None, None], 20.0)


def save_tiny_bundle(folder: Path, twin: Twin, seed: int = 1, bias: float = 60) -> str:
    """Write the bundle to an empty folder and return its digest."""
    intervals = RulIntervals(0.9, (0.0, 100.0), (1.0, 5.0), (2.0, 6.0), tiny_chances(twin))
    calibration = intervals if twin.rul else None
    faults = {axis: FaultCalibration(0.25, 0.5, 0.9) for axis in twin.axes}
    return save_bundle(folder, twin, tiny_network(twin, seed, bias), calibration, tiny_reference(twin), faults)


def tiny_chances(twin: Twin) -> FailureChances | None:
    """Chances of a failure that fall with the predicted RUL; at 0 it is certain, at the horizon even."""
    if twin.rul is None or not twin.rul.horizons:
        return None
    grid = tuple(np.linspace(0, twin.rul.cap, 11).tolist())
    curves = tuple(tuple(float(np.exp(-np.log(2) * rul / one)) for rul in grid) for one in twin.rul.horizons)
    return FailureChances(twin.rul.horizons, grid, curves)


def asks_chances(twin: Twin, *horizons: float) -> Twin:
    """The contract with horizons of chances of a failure."""
    return Twin.model_validate(twin.model_dump() | {"rul": twin.rul.model_dump() | {"horizons": horizons}})


def random_rows(twin: Twin, lengths: dict[str, int], seed: int = 1) -> pd.DataFrame:
    """asset -> number of rows; every asset's rows end together, drawn from a standard normal."""
    generator = np.random.default_rng(seed)
    parts = []
    for asset, length in lengths.items():
        columns = {"asset": asset, "run": 1, "time": np.arange(1, length + 1, dtype=np.float64)}
        values = generator.normal(size=(length, len(twin.channels))).astype(np.float32).astype(np.float64)
        parts.append(pd.DataFrame(columns | dict(zip(twin.channel_names, values.T, strict=True))))
    return pd.concat(parts, ignore_index=True)


def shipped_params() -> str:
    """The project's params.yaml with its default list of twins: a developer may have put others on it."""
    text = (REPOSITORY / "params.yaml").read_text()
    return re.sub(r"^twins:\n(  - .*\n)+", "twins:\n  - pump\n", text, flags=re.MULTILINE)


def call_of(twin: Twin, rows: pd.DataFrame) -> dict:
    """The body of a scoring call for these rows, with the channels in reverse order."""
    assets = []
    for asset, part in rows.groupby("asset", sort=False):
        channels = {name: part[name].tolist() for name in reversed(twin.channel_names)}
        assets.append({"channels": channels, "time": part["time"].tolist(), "asset": asset})
    return {"assets": assets, "twin": twin.name}


def tiny_project(root: Path, *twins: Twin, bias: float = 60) -> None:
    """A project's folder with the service and one kept champion per twin."""
    shutil.copytree(REPOSITORY / "serving", root / "serving", dirs_exist_ok=True)
    for twin in twins:
        keep_tiny_champion(root, twin, bias)


def keep_tiny_champion(root: Path, twin: Twin, bias: float = 60) -> Path:
    """A kept champion, version 3, under models/ of the project's folder; returns its bundle's folder.

    Of the same contract it is the same files, which are made once: tests want hundreds, and a copy takes a tenth.
    """
    paths = Paths(root, twin.name)
    if paths.models.exists() or paths.data.exists() or SIGNERS in os.environ:  # a champion is made of what is there too
        _make_champion(root, twin, bias)
    else:
        shutil.copytree(_champion_of(twin.model_dump_json(), bias), root, copy_function=shutil.copy, dirs_exist_ok=True)
    return paths.models / "champion" / "bundle"


@cache
def _champion_of(contract: str, bias: float) -> Path:
    """A folder with nothing but this champion and its bundle, which goes with the process."""
    root = Path(tempfile.mkdtemp(prefix="foretwin-tiny-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    _make_champion(root, Twin.model_validate_json(contract), bias)
    return root


def _make_champion(root: Path, twin: Twin, bias: float) -> None:
    bundle = root / "trained" / twin.name
    bundle.mkdir(parents=True)
    digest = save_tiny_bundle(bundle, twin, bias=bias)
    identity = ModelIdentity(f"foretwin-{twin.name}", "3", f"run-of-{twin.name}", digest)
    keep_champion(Paths(root, twin.name), bundle, identity)


def environment(root: Path, **more: str) -> dict[str, str]:
    """The environment of a process that works in that project and reports to nobody."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BENTOML_", "FORETWIN_"))}
    return kept | {"BENTOML_HOME": str(root / ".bentoml"), "BENTOML_DO_NOT_TRACK": "True"} | more
