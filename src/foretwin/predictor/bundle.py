"""Bundle: a trained model as a folder, which scores rows.

    contract.json      the contract it was trained under
    network.onnx       ensemble with its feature scaling inside: physical units in, RUL and probabilities out
    calibration.json   offsets of the RUL interval, curves of chances of a failure; absent where the twin has no RUL
    fault_calibration.json  temperature and threshold of each fault axis; absent where the twin has none
    reference.json     each channel's range on the training assets, the healthy baseline, and for health known settings
    own_baseline.json  and own_health.onnx: the judgement by machines' own baselines; absent where none is learnt
    manifest.json      the digest of each file above; a bundle that does not match it is not loaded

Evaluation, promotion, batch scoring, the service and the twin all call `Bundle.score`, which needs no torch.
"""

import json
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime as ort
import pandas as pd
from numpy.typing import NDArray
from pydantic import ValidationError

from foretwin.contract.twin import DEPARTED, HEALTH, UNKNOWN, Twin
from foretwin.dataset.windows import Windows, window_parts
from foretwin.errors import BadInput, BundleError
from foretwin.predictor.fault_calibration import FaultCalibration
from foretwin.predictor.guards import age_warnings, check_rows, pace_warnings
from foretwin.predictor.health.health_state import FLEET_BASELINE, health_columns, health_warnings
from foretwin.predictor.health.own_baseline import NOT_LEARNT, OwnBaseline, OwnOffsets, first_windows, tell_of_normal
from foretwin.predictor.health.sensor_check import JudgedWindows, Predict, add_sensor_warnings
from foretwin.predictor.healthy_baseline import HealthyBaseline
from foretwin.predictor.inputs import ModelInputs, read_frame
from foretwin.predictor.onnx_session import make_session
from foretwin.predictor.rul_intervals import RulIntervals
from foretwin.predictor.window_warnings import add_warnings, lost_parts, window_warnings
from foretwin.project.digests import file_digest

FORMAT = 2
NETWORK = "network.onnx"


@dataclass(frozen=True)
class Answers:
    """Scores of A assets, by column, each (A,)."""

    assets: NDArray[np.object_]
    runs: NDArray[np.int64]
    time: NDArray[np.float64]  # of the last row
    rows: NDArray[np.int64]  # number of rows in the window
    columns: dict[str, NDArray[Any]]  # as `Bundle.score` names them

    def frame(self) -> pd.DataFrame:
        """Return the table of `Bundle.score`."""
        key = {"asset": self.assets, "run": self.runs, "time": self.time, "rows": self.rows}
        return pd.DataFrame({**key, **self.columns})


@dataclass(frozen=True, repr=False)
class Bundle:
    """A trained model, loaded and verified. `digest` identifies its content.

    >>> bundle = foretwin.load_bundle("models/pump/champion/bundle")
    >>> bundle
    <Bundle of pump: rul, mode from 11 channels, digest ...>
    >>> bundle.contract.clock.unit
    'h'
    """

    contract: Twin
    digest: str
    calibration: RulIntervals | None
    fault_calibration: dict[str, FaultCalibration]  # of each fault axis
    reference: HealthyBaseline
    session: ort.InferenceSession  # None where it was loaded to describe itself alone
    own: OwnBaseline | None = None  # the judgement of health by machines' own baselines
    oldest: float | None = None  # age that a machine in training reached, where whoever keeps the bundle knows it

    @classmethod
    def load(cls, folder: Path | str, threads: int | None = 1) -> Self:
        """Load and verify a bundle; BundleError when a file is missing or is not the one that was saved.

        `threads` is the number of threads per score; None leaves the network out: the bundle describes itself alone.
        """
        folder = Path(folder)
        digest = verify(folder)
        try:
            contract = Twin.model_validate_json((folder / "contract.json").read_bytes())
        except ValidationError:
            raise BundleError(f"{folder}/contract.json: of another version of Foretwin; train again") from None
        calibration, faults = folder / "calibration.json", folder / "fault_calibration.json"
        found = json.loads(faults.read_text()) if faults.exists() else {}
        return cls(
            contract=contract,
            digest=digest,
            calibration=RulIntervals.from_dict(json.loads(calibration.read_text())) if calibration.exists() else None,
            fault_calibration={axis: FaultCalibration.from_dict(values) for axis, values in found.items()},
            reference=HealthyBaseline.from_dict(json.loads((folder / "reference.json").read_text())),
            session=None if threads is None else make_session(folder / NETWORK, threads),
            own=OwnBaseline.load(folder, network=threads is not None),
        )

    def __repr__(self) -> str:
        """One line: whose model it is, what it answers, from how many channels."""
        answers = ", ".join((*(("rul",) if self.contract.rul else ()), *self.contract.axes))
        given = f"{answers} from {len(self.contract.channels)} channels"
        return f"<Bundle of {self.contract.name}: {given}, digest {self.digest[:12]}>"

    def score(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Score each asset at its last row.

        `rows` has the columns asset, run, time and one per channel; each asset's rows stand together, in order of
        time; labels and other columns are not looked at. Of several runs of an asset the last one counts. Returns
        asset, run, time, rows (how many the prediction saw, at most the window), then `rul`, `rul_low`, `rul_high`
        in the contract's unit where the twin has an RUL, and `p_failure_<horizon>`, the chance of a failure within it,
        for each of `rul.horizons`; where it has faults, `<axis>` with the answer, a class or
        "unknown" where none is probable enough, and `p_<axis>_<class>`, the calibrated probabilities; where it has
        health, its `health_index` and `health_state`; and `warnings`, a list of strings. BadInput names the field that
        breaks the contract: `guards` has what is refused.

        >>> bundle = foretwin.load_bundle("models/pump/champion/bundle")
        >>> rows = foretwin.load_dataset("pump", assets=3)
        >>> scores = bundle.score(rows)
        >>> scores["asset"].tolist()
        ['P-001', 'P-002', 'P-003']
        >>> scores.columns[4:9].tolist()
        ['rul', 'rul_low', 'rul_high', 'mode', 'p_mode_none']
        """
        tracks = read_frame(rows, self.contract)
        check_rows(tracks, self.contract)
        return self.answer(tracks).frame()

    def answer(self, tracks: ModelInputs) -> Answers:
        """Score tracks of this contract, as `score` does but without the guards; BadInput where one is too short."""
        length, histories = self.contract.window.length, tracks.spaced(self.slot)
        self._check_lengths(tracks.assets, tracks.seen())
        rows = histories.seen(tracks.ends, length)
        due = rows if self.slot is None else histories.due(tracks.ends, length)
        own = self.offsets_of(tracks)
        parts = [
            self._score_windows(histories.cut(tracks.ends[i], length), rows[i], due[i], own.at(i) if own else None)
            for i in window_parts(np.arange(len(rows)))
        ]
        columns = parts[0] if len(parts) == 1 else {n: np.concatenate([part[n] for part in parts]) for n in parts[0]}
        self._check_finite(tracks.assets, columns)
        aged = age_warnings(tracks, self.contract, self.oldest)
        # Windows that count time tell their holes themselves.
        pace = pace_warnings(tracks, self.contract) if self.slot is None else [[] for _ in aged]
        for warnings, old, found in zip(columns["warnings"], aged, pace, strict=True):
            warnings.extend((*old, *found))
        time = tracks.histories.time[tracks.ends]
        return Answers(tracks.assets, tracks.runs, time, rows, columns)

    def offsets_of(self, tracks: ModelInputs) -> OwnOffsets | None:
        """Return what is known of the machines' own baselines; None where the bundle judges by none."""
        if self.own is None or tracks.own is not None:
            return tracks.own
        counts = partial(tell_of_normal, self.contract, self.reference.settings, self.predict_windows)
        histories = tracks.spaced(self.slot)
        return first_windows(self.own.levels, self.own.windows, histories, tracks.ends, counts)

    @cached_property
    def contract_digest(self) -> str:
        """Return the digest of the contract that the bundle was trained under."""
        return self.contract.digest

    @cached_property
    def slot(self) -> float | None:
        """Return the time that a row of a window stands for; None where windows count rows, as they lie."""
        return self.contract.slot

    @cached_property
    def score_columns(self) -> tuple[str, ...]:
        """Return the numbers of `score` that the network gives; chances of a failure follow from the RUL."""
        rul = ("rul", "rul_low", "rul_high") if self.contract.rul else ()
        return (*rul, *(probability_column(a, c) for a in self.contract.axes for c in self.contract.classes(a)))

    def _check_lengths(self, assets: NDArray[Any], seen: NDArray[np.int64]) -> None:
        need = self.contract.window.shortest
        if min(seen.tolist()) < need:
            short = np.flatnonzero(seen < need)
            raise BadInput(f"assets.{assets[short[0]]}", f"has {seen[short[0]]} rows, at least {need} are needed")

    def _check_finite(self, assets: NDArray[Any], columns: dict[str, NDArray[Any]]) -> None:
        for name in self.score_columns:
            finite = np.isfinite(columns[name])
            if not finite.all():
                wrong = np.flatnonzero(~finite)
                which = f"bundle of {self.contract.name}: {name} is not finite for {assets[wrong[0]]}"
                raise BundleError(f"{which}; check its readings, or train again")

    def predict_windows(self, windows: Windows) -> dict[str, NDArray[Any]]:
        """Predict the columns of `score`, each (N,), for N windows that are already cut."""
        inputs, outputs = self._nodes
        out = dict(zip(outputs, self.session.run(outputs, {n: getattr(windows, n) for n in inputs}), strict=True))
        columns: dict[str, NDArray[Any]] = {}
        if self.contract.rul:
            cap = self.contract.rul.cap
            columns["rul"] = np.minimum(np.maximum(out["rul"].astype(np.float64), 0), cap)
            if self.calibration is None:
                raise BundleError(f"bundle of {self.contract.name}: calibration.json is missing; train again")
            columns["rul_low"], columns["rul_high"] = self.calibration.interval(columns["rul"], cap)
            columns |= self.calibration.failure.columns(columns["rul"]) if self.calibration.failure else {}
        for axis in self.contract.axes:
            columns |= self._fault_columns(axis, out[f"p_{axis}"])
        return columns

    @cached_property
    def _nodes(self) -> tuple[list[str], list[str]]:
        """Return the names of the network's inputs, fields of `Windows`, and of its outputs."""
        if self.session is None:
            raise BundleError(f"bundle of {self.contract.name}: was loaded without its network; load it with threads")
        return [node.name for node in self.session.get_inputs()], [node.name for node in self.session.get_outputs()]

    def _score_windows(
        self, windows: Windows, seen: NDArray[np.int64], due: NDArray[np.int64], own: OwnOffsets | None
    ) -> dict[str, NDArray[Any]]:
        columns = self.predict_windows(windows)
        warnings = window_warnings(self.contract, self.reference, windows, due.tolist(), columns.get("rul"))
        if self.slot is not None:
            add_warnings(warnings, lost_parts(self.contract, windows, seen.tolist(), due.tolist()))
        if self.contract.health is not None:
            add_warnings(warnings, health_warnings(self.contract, self.reference.settings, windows))
            self._judge_health(windows, columns, warnings, own)
        return {**columns, "warnings": warnings}

    def _judge_health(
        self, windows: Windows, columns: dict[str, NDArray[Any]], warnings: NDArray[np.object_], own: OwnOffsets | None
    ) -> None:
        """Put the columns of health into those of N windows: by machines' own baselines, or the fleet's judgement."""
        ready, judges = np.zeros(len(windows), np.bool_), list[tuple[NDArray[np.bool_], Windows, Predict]]()
        if self.own is not None and own is not None:
            ready, corrected = self.own.ready(own), self.own.corrected(windows, own)
            judges = [(ready, corrected, self.own.judge)] if ready.any() else []
            told = self.own.judge(corrected) if ready.any() else {}
            columns |= {name: np.where(ready, told[name], columns[name]) for name in told}
            add_warnings(warnings, self.own.warnings(own))
        elif self.contract.health and self.contract.health.baseline:
            add_warnings(warnings, [[f"{FLEET_BASELINE}: {NOT_LEARNT}"]] * len(windows))
        for of, seen, predict in ((~ready, windows, self.predict_windows), *judges):
            judged = JudgedWindows(seen, predict, of & (columns[HEALTH] == DEPARTED))
            add_sensor_warnings(self.contract, self.reference, judged, warnings)
        columns |= health_columns(self.contract, columns, warnings.tolist())

    def _fault_columns(self, axis: str, probabilities: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """Return the class and the calibrated probabilities of an axis, from the ensemble's (N, K)."""
        if axis not in self.fault_calibration:
            raise BundleError(f"bundle of {self.contract.name}: fault_calibration.json lacks axis {axis}; train again")
        classes = self.contract.classes(axis)
        calibrated = self.fault_calibration[axis].apply(probabilities)
        names = np.array([*classes, UNKNOWN], dtype=object)  # -1, for no probable class, selects the last
        columns = {probability_column(axis, name): calibrated[:, i] for i, name in enumerate(classes)}
        return {axis: names[self.fault_calibration[axis].answer(calibrated)], **columns}


def probability_column(axis: str, name: str) -> str:
    """Return the column of a class' probability in the table of scores."""
    return f"p_{axis}_{name}"


def save_bundle(
    folder: Path,
    contract: Twin,
    onnx: bytes,
    calibration: RulIntervals | None,
    reference: HealthyBaseline,
    fault_calibration: dict[str, FaultCalibration],
) -> str:
    """Write a bundle into an empty folder and return its digest; the same content gives the same digest."""
    (folder / "contract.json").write_text(contract.model_dump_json(indent=2))
    (folder / NETWORK).write_bytes(onnx)
    if calibration is not None:
        (folder / "calibration.json").write_text(json.dumps(calibration.to_dict(), indent=2, allow_nan=False))
    if fault_calibration:
        faults = {axis: found.to_dict() for axis, found in fault_calibration.items()}
        (folder / "fault_calibration.json").write_text(json.dumps(faults, indent=2, allow_nan=False))
    (folder / "reference.json").write_text(json.dumps(reference.to_dict(), indent=1, allow_nan=False))
    files = {path.name: file_digest(path) for path in sorted(folder.iterdir())}
    manifest = {"format": FORMAT, "twin": contract.name, "contract": contract.digest, "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2))
    return file_digest(folder / "manifest.json")


def verify(folder: Path) -> str:
    """Verify that a bundle's files are exactly those of its manifest, and return its digest; else BundleError."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        expected = dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{folder}: not a bundle, its manifest.json cannot be read: {error}") from None
    if manifest.get("format") != FORMAT:
        raise BundleError(f"{folder}: bundle format {manifest.get('format')}, this version reads {FORMAT}: train again")
    there = (path for path in folder.iterdir() if path.name != "manifest.json")
    found = {path.name: file_digest(path) if path.is_file() else "a folder" for path in there}
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if wrong:
        raise BundleError(f"{folder}/{wrong[0]}: missing, unknown or altered since it was saved; it is not loaded")
    return file_digest(folder / "manifest.json")
