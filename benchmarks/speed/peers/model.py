"""The model as a peer knows it: a network in ONNX with its calibration and its ranges, read from a bundle's files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray


class Model:
    """Scores windows of `channels`, in the order of the contract."""

    def __init__(self, folder: Path) -> None:
        contract, reference, calibration = (
            json.loads((folder / f"{name}.json").read_bytes()) for name in ("contract", "reference", "calibration")
        )
        self.twin: str = contract["name"]
        self.channels = tuple(contract["channels"])
        self.length: int = contract["window"]["length"]
        self.shortest: int = contract["window"]["shortest"]
        self.cap: float = contract["rul"]["cap"]
        self.unit: str = contract["clock"]["unit"]
        self.ranges = np.array(reference["ranges"], np.float32)
        self.calibration = calibration
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = ort.InferenceSession(folder / "network.onnx", options, providers=["CPUExecutionProvider"])
        self.inputs = {node.name for node in self.session.get_inputs()}
        manifest = json.loads((folder / "manifest.json").read_bytes())
        self.identity = {"name": contract["name"], "version": "1", "contract": manifest["contract"]}

    def scores(self, assets: Sequence[str], numbers: Sequence[NDArray[np.float64]]) -> list[dict[str, Any]]:
        """One score per asset; each of `numbers` is (1 + C, T), time before the channels."""
        shape = (len(assets), self.length, len(self.channels))
        x, mask = np.zeros(shape, np.float32), np.zeros(shape[:2], np.float32)
        for i, asset in enumerate(numbers):
            rows = min(asset.shape[1], self.length)
            x[i, -rows:] = asset[1:, -rows:].T
            mask[i, -rows:] = 1
        time = np.array([asset[0, -1] for asset in numbers])
        windows = {"x": x, "mask": mask, "age": time.astype(np.float32)}
        said = self.session.run(["rul"], {name: windows[name] for name in self.inputs})[0]
        rul = np.clip(said.astype(np.float64), 0, self.cap)
        below, above = (np.interp(rul, self.calibration["centres"], self.calibration[e]) for e in ("below", "above"))
        low, high = np.clip(rul - below, 0, self.cap), np.clip(rul + above, 0, self.cap)
        far = (((x < self.ranges[0]) | (x > self.ranges[1])) & (mask[:, :, None] > 0)).any(axis=1)
        if not np.isfinite(rul).all():
            raise FloatingPointError("the network's answer is not finite")
        level, unit = self.calibration["level"], self.unit
        columns = zip(
            assets, *(column.tolist() for column in (time, mask.sum(axis=1), rul, low, high)), far, strict=True
        )
        return [
            {
                "asset": asset,
                "time": at,
                "rows": int(rows),
                "rul": {"value": value, "low": lower, "high": upper, "level": level, "unit": unit},
                "warnings": self._warnings(int(rows), value, beyond),
            }
            for asset, at, rows, value, lower, upper, beyond in columns
        ]

    def _warnings(self, rows: int, rul: float, far: NDArray[np.bool_]) -> list[str]:
        found = [f"out_of_training_range: {self.channels[i]}" for i in far.nonzero()[0]]
        if rows < self.length:
            found.append(f"short_history: {rows} of {self.length} rows")
        if rul >= self.cap:
            found.append(f"rul_at_cap: {self.cap:g} {self.unit} or more")
        return found
