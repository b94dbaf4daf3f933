"""What every server of the service's bench answers with and to: an untrained network as a bundle, and the calls.

The network has the size of those that C-MAPSS FD001 is answered with: about 100,000 parameters, 30 rows of 14 channels.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import torch

from benchmarks.speed import pipeline
from foretwin.contract.twin import Twin
from foretwin.dataset.table import KEY, canonical
from foretwin.dataset.windows import Histories
from foretwin.predictor.bundle import Bundle, save_bundle
from foretwin.predictor.healthy_baseline import HealthyBaseline
from foretwin.predictor.rul_intervals import RulIntervals
from foretwin.training.encoders import Shape
from foretwin.training.ensemble import regimes_of
from foretwin.training.network import Network
from foretwin.training.onnx import to_onnx
from foretwin.training.scaling import fit_scaling

CHANNELS, LENGTH, ASSETS, LIFE = 14, 30, 256, 60
COUNTS = (1, 64, 256)  # windows in a call


@dataclass(frozen=True)
class Model:
    """The bundle, its folder, and the table of `ASSETS` assets whose last windows are scored."""

    folder: Path
    bundle: Bundle
    table: pd.DataFrame

    def rows(self, count: int) -> pd.DataFrame:
        """The last window of the first so many assets: asset, run, time and the channels, as float64."""
        kept = [*KEY, *self.bundle.contract.channel_names]
        chosen = self.table["asset"].isin([f"A-{i:03d}" for i in range(count)]) & (self.table["time"] >= LIFE - LENGTH)
        return self.table.loc[chosen, kept].reset_index(drop=True)


def make(folder: Path) -> Model:
    """Write the bundle of an untrained network into an empty folder."""
    torch.manual_seed(1)
    described = pipeline.contract(CHANNELS).model_dump(mode="json")
    twin = Twin.model_validate(described | {"window": {"length": LENGTH}})
    table = noise(twin)
    histories = Histories.from_rows(table, twin)
    shape = Shape("statistics", 192, 2, 0.1, 0.4, LENGTH, LENGTH, 0, has_rul=True, classes=())
    network = Network(fit_scaling(histories, np.arange(len(table)), twin, 1), shape).eval()
    reference = HealthyBaseline.fit(histories, twin, regimes_of(network))
    save_bundle(folder, twin, to_onnx([network], twin), RulIntervals(0.9, (50.0,), (10.0,), (10.0,)), reference, {})
    return Model(folder, Bundle.load(folder, threads=1), table)


def noise(twin: Twin) -> pd.DataFrame:
    """Readings with three digits after the point, as sensors write them, around a level of each asset's own."""
    generator = np.random.default_rng(1)
    levels = np.repeat(generator.normal(size=(ASSETS, CHANNELS)), LIFE, axis=0)
    values = (levels + 0.3 * generator.normal(size=levels.shape)).round(3)
    time = np.tile(np.arange(LIFE, dtype=np.float64), ASSETS)
    asset = np.repeat([f"A-{i:03d}" for i in range(ASSETS)], LIFE)
    frame = pd.DataFrame(values, columns=list(twin.channel_names))
    return canonical(frame.assign(asset=asset, run=1, time=time, rul=LIFE - 1 - time), twin)


def json_call(model: Model, count: int) -> bytes:
    """The call for so many windows as JSON."""
    assets = []
    for name, part in model.rows(count).groupby("asset", sort=False):
        readings = {channel: part[channel].tolist() for channel in model.bundle.contract.channel_names}
        readings = {channel: np.round(values, 3).tolist() for channel, values in readings.items()}
        assets.append({"asset": name, "time": part["time"].tolist(), "channels": readings})
    return orjson.dumps({"twin": model.bundle.contract.name, "assets": assets})


def arrow_call(model: Model, count: int) -> bytes:
    """The call for so many windows as an Arrow IPC stream."""
    table = pa.Table.from_pandas(model.rows(count), preserve_index=False)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def tensor_call(model: Model, count: int) -> bytes:
    """The call for so many windows as the network's own inputs, which is what MLflow's ONNX flavour takes."""
    windows = inputs(model, count)
    return orjson.dumps({"inputs": {name: values.astype(float).round(3).tolist() for name, values in windows.items()}})


def inputs(model: Model, count: int) -> dict[str, Any]:
    """The network's inputs for so many windows."""
    histories = Histories.from_rows(model.table, model.bundle.contract)
    cut = histories.cut(np.arange(1, count + 1) * LIFE - 1, LENGTH)
    windows = {"x": cut.x, "mask": cut.mask, "age": cut.age}
    return {node.name: windows[node.name] for node in model.bundle.session.get_inputs()}
