"""A trained model as a directory, and the only way from rows to a prediction.

    contract.json      the contract that it was trained under
    network.onnx       ensemble with its feature scaling inside: physical units in, RUL and probabilities out
    calibration.json   offsets of the RUL interval; absent where the twin has no RUL
    fault_calibration.json  temperature and threshold of each fault axis; absent where the twin has none
    reference.json     each channel's range on the training assets, and what healthy ones show
    manifest.json      the digest of each file above; a bundle that does not match it is not loaded

Evaluation, promotion, batch scoring, the service and the twin all call `Bundle.score`. It needs onnxruntime and
no torch.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime as ort
import pandas as pd
from numpy.typing import NDArray
from pydantic import ValidationError

from foretwin.calibration import Calibration
from foretwin.contract import UNKNOWN, Twin
from foretwin.errors import BadInput, BundleError
from foretwin.fault_calibration import FaultCalibration
from foretwin.reference import Reference
from foretwin.rows import FAULT_UNKNOWN, KEY
from foretwin.windows import Histories, Windows

FORMAT = 2
CHUNK = 2048  # windows that are in memory at once


@dataclass(frozen=True)
class Bundle:
    """A loaded bundle. `digest` identifies its content."""

    contract: Twin
    digest: str
    calibration: Calibration | None
    fault_calibration: dict[str, FaultCalibration]  # of each fault axis
    reference: Reference
    session: ort.InferenceSession

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> Self:
        """Read and verify a bundle; BundleError when a file is missing or is not the one that was saved."""
        digest = verify(folder)
        try:
            contract = Twin.model_validate_json((folder / "contract.json").read_bytes())
        except ValidationError:
            raise BundleError(f"{folder}/contract.json: is of another version of Foretwin: train again") from None
        calibration, faults = folder / "calibration.json", folder / "fault_calibration.json"
        found = json.loads(faults.read_text()) if faults.exists() else {}
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        return cls(
            contract=contract,
            digest=digest,
            calibration=Calibration.from_dict(json.loads(calibration.read_text())) if calibration.exists() else None,
            fault_calibration={axis: FaultCalibration.from_dict(values) for axis, values in found.items()},
            reference=Reference.from_dict(json.loads((folder / "reference.json").read_text())),
            session=ort.InferenceSession(folder / "network.onnx", options, providers=["CPUExecutionProvider"]),
        )

    def score(self, rows: pd.DataFrame) -> pd.DataFrame:
        """One score per asset, for its last row.

        `rows` has the columns asset, run, time and one per channel; each asset's rows stand together, in order of
        time; labels and other columns are not looked at. Of several runs of an asset the last one counts. Returns
        asset, run, time, rows (how many the prediction saw, at most the window), then `rul`, `rul_low`, `rul_high`
        in the contract's unit where the twin has an RUL; where it has faults, `<axis>` with the answer, a class or
        "unknown" where none is probable enough, and `p_<axis>_<class>`, the calibrated probabilities; and `warnings`,
        a list of strings. BadInput names the field that breaks the contract.
        """
        histories = read_call(rows, self.contract)
        assets, runs = rows["asset"].to_numpy(), rows["run"].to_numpy()
        ends = np.append(np.flatnonzero(_changes(assets))[1:], len(rows)) - 1  # the last row of each asset
        seen = histories.rows_so_far()[ends]
        self._check_lengths(assets[ends], seen)
        parts = [self._score_windows(histories.cut(part, self.contract.window.length)) for part in _chunks(ends)]
        key = {"asset": assets[ends], "run": runs[ends], "time": histories.time[ends]}
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        self._check_finite(assets[ends], columns)
        return pd.DataFrame({**key, "rows": np.minimum(seen, self.contract.window.length), **columns})

    @cached_property
    def score_columns(self) -> tuple[str, ...]:
        """The numeric columns that `score` adds to the key."""
        rul = ("rul", "rul_low", "rul_high") if self.contract.rul else ()
        return (*rul, *(probability_column(a, c) for a in self.contract.axes for c in self.contract.classes(a)))

    def _check_lengths(self, assets: NDArray[np.str_], seen: NDArray[np.int64]) -> None:
        short = np.flatnonzero(seen < self.contract.window.shortest)
        if len(short):
            need = self.contract.window.shortest
            raise BadInput(f"assets.{assets[short[0]]}", f"has {seen[short[0]]} rows, at least {need} are needed")

    def _check_finite(self, assets: NDArray[np.str_], columns: dict[str, NDArray[Any]]) -> None:
        for name in self.score_columns:
            wrong = np.flatnonzero(~np.isfinite(columns[name]))
            if len(wrong):
                which = f"bundle of {self.contract.name}: {name} is not finite for {assets[wrong[0]]}"
                raise BundleError(f"{which}: look at its readings, or train again")

    def predict_windows(self, windows: Windows) -> dict[str, NDArray[Any]]:
        """The predicted columns of `score`, each (N,), for N windows that are already cut."""
        inputs = {"x": windows.x, "mask": windows.mask, "age": windows.age}
        wanted = {node.name: inputs[node.name] for node in self.session.get_inputs()}
        names = [node.name for node in self.session.get_outputs()]
        out = dict(zip(names, self.session.run(names, wanted), strict=True))
        columns: dict[str, NDArray[Any]] = {}
        if self.contract.rul:
            cap = self.contract.rul.cap
            columns["rul"] = np.clip(out["rul"].astype(np.float64), 0, cap)
            if self.calibration is None:
                raise BundleError(f"bundle of {self.contract.name}: calibration.json is missing")
            columns["rul_low"], columns["rul_high"] = self.calibration.interval(columns["rul"], cap)
        for axis in self.contract.axes:
            columns |= self._fault_columns(axis, out[f"p_{axis}"])
        return columns

    def _score_windows(self, windows: Windows) -> dict[str, NDArray[Any]]:
        columns = self.predict_windows(windows)
        return {**columns, "warnings": self._warnings(windows, columns.get("rul"))}

    def _fault_columns(self, axis: str, said: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """The answer and the calibrated probabilities for the ensemble's (N, K)."""
        if axis not in self.fault_calibration:
            raise BundleError(f"bundle of {self.contract.name}: fault_calibration.json knows no {axis}")
        classes = self.contract.classes(axis)
        calibrated = self.fault_calibration[axis].apply(said)
        names = np.array([*classes, UNKNOWN], dtype=object)  # -1, the answer where none is given, takes the last
        columns = {probability_column(axis, name): calibrated[:, i] for i, name in enumerate(classes)}
        return {axis: names[self.fault_calibration[axis].answer(calibrated)], **columns}

    def _warnings(self, windows: Windows, rul: NDArray[np.float64] | None) -> NDArray[np.object_]:
        """(N,) lists of strings: what a reader of the score should know about it."""
        inside = windows.mask[:, :, None] > 0
        low, high = self.reference.ranges
        outside = ((windows.x < low) | (windows.x > high)) & inside
        far = outside.any(axis=1)  # (N, C)
        seen = windows.mask.sum(axis=1).astype(int)
        result = np.empty(len(windows), dtype=object)
        for i in range(len(windows)):
            found = [f"out_of_training_range: {self.contract.channel_names[c]}" for c in np.flatnonzero(far[i])]
            if seen[i] < windows.mask.shape[1]:
                found.append(f"short_history: {seen[i]} of {windows.mask.shape[1]} rows")
            if rul is not None and self.contract.rul and rul[i] >= self.contract.rul.cap:
                found.append(f"rul_at_cap: {self.contract.rul.cap:g} {self.contract.clock.unit} or more")
            result[i] = found
        return result


def probability_column(axis: str, name: str) -> str:
    """The column of a class' probability in the table of scores."""
    return f"p_{axis}_{name}"


def save_bundle(
    folder: Path,
    contract: Twin,
    onnx: bytes,
    calibration: Calibration | None,
    reference: Reference,
    fault_calibration: dict[str, FaultCalibration],
) -> str:
    """Write a bundle into an empty folder and return its digest; the same content gives the same digest."""
    (folder / "contract.json").write_text(contract.model_dump_json(indent=2))
    (folder / "network.onnx").write_bytes(onnx)
    if calibration is not None:
        (folder / "calibration.json").write_text(json.dumps(calibration.to_dict(), indent=2))
    if fault_calibration:
        faults = {axis: found.to_dict() for axis, found in fault_calibration.items()}
        (folder / "fault_calibration.json").write_text(json.dumps(faults, indent=2))
    (folder / "reference.json").write_text(json.dumps(reference.to_dict(), indent=1))
    files = {path.name: _sha256(path) for path in sorted(folder.iterdir())}
    manifest = {"format": FORMAT, "twin": contract.name, "contract": contract.digest, "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2))
    return _sha256(folder / "manifest.json")


def verify(folder: Path) -> str:
    """The digest of a bundle whose files are exactly those of its manifest; else BundleError."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        expected = dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{folder}: not a bundle, its manifest.json cannot be read: {error}") from None
    if manifest.get("format") != FORMAT:
        raise BundleError(f"{folder}: bundle format {manifest.get('format')}, this version reads {FORMAT}: train again")
    there = (path for path in folder.iterdir() if path.name != "manifest.json")
    found = {path.name: _sha256(path) if path.is_file() else "a folder" for path in there}
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if wrong:
        raise BundleError(f"{folder}/{wrong[0]}: missing, unknown or altered since it was saved; it is not loaded")
    return _sha256(folder / "manifest.json")


def read_call(rows: pd.DataFrame, contract: Twin) -> Histories:
    """The rows as Histories whose every label is unknown: a score cannot depend on one.

    BadInput unless they can be scored: columns there, numbers finite, each asset's rows together and in order of time.
    Works on arrays, since a call holds few rows and pandas' share of its time would be most of it.
    """
    if len(rows) == 0:
        raise BadInput("rows", "there is none to score")
    absent = [name for name in (*KEY, *contract.channel_names) if name not in rows.columns]
    if absent:
        raise BadInput(absent[0], "this column is missing")
    assets, runs = rows["asset"].to_numpy(), rows["run"].to_numpy()
    time = _numbers(rows, "time", np.float64)
    values = np.stack([_numbers(rows, name, np.float32) for name in contract.channel_names], axis=1)
    if runs.dtype.kind not in "iu":
        raise BadInput("run", "holds something other than whole numbers")
    new_asset = _changes(assets)
    unnamed = np.flatnonzero(new_asset)[pd.isna(assets[new_asset])]
    if len(unnamed):
        raise BadInput("asset", f"has no name in row {unnamed[0] + 1}")
    new_run = new_asset | _changes(runs)
    wrong = np.flatnonzero(~new_run[1:] & ~(time[1:] > time[:-1])) + 1
    if len(wrong):
        raise BadInput("time", f"does not increase for asset {assets[wrong[0]]} in row {wrong[0] + 1}")
    _check_together(assets[new_asset], assets[new_run], runs[new_run])
    return Histories(
        values=values,
        time=time,
        rul=np.full(len(rows), np.nan, np.float32),
        faults=np.full((len(rows), len(contract.axes)), FAULT_UNKNOWN, np.int8),
        first=np.maximum.accumulate(np.where(new_run, np.arange(len(rows)), 0)),
    )


def _numbers(rows: pd.DataFrame, name: str, dtype: type) -> NDArray[Any]:
    """A column as finite numbers; BadInput names it, the asset and the row otherwise."""
    column = rows[name].to_numpy()
    if column.dtype.kind not in "iuf":
        raise BadInput(name, "holds something other than numbers")
    with np.errstate(over="ignore"):
        column = column.astype(dtype)
    bad = np.flatnonzero(~np.isfinite(column))
    if len(bad):
        raise BadInput(name, f"is not finite for asset {rows['asset'].iloc[bad[0]]} in row {bad[0] + 1}")
    return column


def _changes(values: NDArray[Any]) -> NDArray[np.bool_]:
    """(N,) True where a value differs from the one before it, and at the first."""
    changed = np.ones(len(values), dtype=bool)
    changed[1:] = values[1:] != values[:-1]
    return changed


def _check_together(assets: NDArray[Any], run_assets: NDArray[Any], runs: NDArray[Any]) -> None:
    """BadInput where an asset, or a run of one, begins twice; each argument holds one entry per beginning."""
    if len(set(assets)) < len(assets):
        names, counts = np.unique(assets.astype(str), return_counts=True)
        raise BadInput("asset", f"the rows of {names[counts > 1][0]} do not stand together")
    if len(set(zip(run_assets, runs, strict=True))) < len(runs):
        raise BadInput("run", "the rows of a run do not stand together")


def _chunks(ends: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return np.array_split(ends, max(1, -(-len(ends) // CHUNK)))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
