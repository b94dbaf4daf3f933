"""Each machine's own baseline: how far its channels lay from the fleet's in the first whole windows of its life.

Of each reading remains what operating regime and settings do not tell, in the channel's unit; its mean over the
machine's first windows, none of which shares a row with another, is the machine's offset. Once there are as many
windows as the contract says, windows are judged with the offset taken away, by distances that were fitted to, and
whose budget of false alarms was set on, machines treated the same way; before, the fleet's judgement answers. An offset
of few readings is shrunk towards the fleet's, 0, by the spread of machines and of windows within one (one-way random
effects). It never follows later windows, since slow wear would become normal.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from foretwin.contract.twin import DEPARTED, HEALTH, NORMAL, UNKNOWN, Twin
from foretwin.dataset.windows import Histories, Windows, window_parts
from foretwin.predictor.fault_calibration import FaultCalibration
from foretwin.predictor.health.health_state import FLEET_BASELINE, health_warnings
from foretwin.predictor.healthy_baseline import RegimeCentres
from foretwin.predictor.known_settings import KnownSettings
from foretwin.predictor.onnx_session import make_session

FILE, GRAPH = "own_baseline.json", "own_health.onnx"
NOT_LEARNT = "none of each machine is learnt: the training's runs were too short, too few, or too much alike"

Values = NDArray[np.float64]
Nearest = Callable[[NDArray[np.float32]], NDArray[np.int64]]  # readings (N, C) -> their regimes (N,)


@dataclass(frozen=True)
class OwnOffsets:
    """What is known of A machines, each in one run, of C channels in the contract's order."""

    windows: NDArray[np.int64]  # (A,) whole windows that count
    until: Values  # (A,) time of the last row that was looked at; -inf: none
    rows: NDArray[np.int64]  # (A, C) readings of these windows
    offset: Values  # (A, C) mean of what regime and settings do not tell, physical units; 0 where there is no reading

    @classmethod
    def unknown(cls, machines: int, channels: int) -> Self:
        """Return those of machines of which nothing is known."""
        rows, offset = np.zeros((machines, channels), np.int64), np.zeros((machines, channels))
        return cls(np.zeros(machines, np.int64), np.full(machines, -np.inf), rows, offset)

    def at(self, machines: Any) -> Self:
        """Return those of these machines."""
        return type(self)(*(getattr(self, name)[machines] for name in ("windows", "until", "rows", "offset")))


@dataclass(frozen=True)
class FleetLevels:
    """What regime and settings let expect of C channels, and how much machines differ."""

    regimes: RegimeCentres
    mean: Values  # (R, C) in each regime
    scale: Values  # (R, C); 0 for a channel that is no sensor, no number, or never changed
    weights: Values  # (C, C) of standardised settings, by which column c follows
    machines: Values  # (C,) variance among machines, of offsets
    within: Values  # (C,) variance among the windows of one machine, of their means
    length: int  # rows of a window

    def residuals(self, x: NDArray[np.float32]) -> Values:
        """Return what regime and settings do not tell of readings (N, C), physical units; NaN where one is missing."""
        regime = self.regimes.nearest(x)
        scale = self.scale[regime]
        z = (x.astype(np.float64) - self.mean[regime]) / np.where(scale > 0, scale, 1.0)
        told = np.nan_to_num(z) @ self.weights
        return np.where(np.isnan(x), np.nan, np.where(scale > 0, (z - told) * scale, 0.0))

    def window_means(self, windows: Windows) -> tuple[Values, NDArray[np.int64]]:
        """Return the mean residual of N windows (N, C), 0 where there is none, and of how many readings (N, C)."""
        flat = windows.x.reshape(-1, windows.x.shape[2])
        left = self.residuals(flat).reshape(windows.x.shape)
        known = ~np.isnan(left) & (windows.mask > 0)[:, :, None]
        count = known.sum(axis=1)
        return np.where(known, left, 0).sum(axis=1) / np.maximum(count, 1), count

    def shrunk(self, own: OwnOffsets) -> Values:
        """Return the offsets (A, C), shrunk by how little their readings tell."""
        doubt = self.within * self.length / np.maximum(own.rows, 1)
        total = self.machines + doubt
        return own.offset * np.where(total > 0, self.machines / np.where(total > 0, total, 1), 0)

    def added(self, own: OwnOffsets, windows: Windows, ends: Values, counts: NDArray[np.bool_]) -> OwnOffsets:
        """Return what is known after a window of each machine, which ends at a time (A,) and counts or does not."""
        mean, rows = self.window_means(windows)
        rows = np.where(counts[:, None], rows, 0)
        total = own.rows + rows
        offset = (own.offset * own.rows + mean * rows) / np.maximum(total, 1)
        return OwnOffsets(own.windows + counts, ends, total, offset)

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        names = ("mean", "scale", "weights", "machines", "within")
        regimes = {"settings": list(self.regimes.settings), "centres": self.regimes.centres.tolist()}
        regimes |= {"spread": self.regimes.spread.tolist()}
        return {**{name: getattr(self, name).tolist() for name in names}, "regimes": regimes, "length": self.length}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Restore from the values of `to_dict`."""
        given = values["regimes"]
        centres, spread = (np.array(given[name], np.float32) for name in ("centres", "spread"))
        regimes = RegimeCentres(tuple(given["settings"]), centres, spread)
        names = ("mean", "scale", "weights", "machines", "within")
        arrays: dict[str, Any] = {name: np.array(values[name], np.float64) for name in names}
        return cls(regimes=regimes, length=values["length"], **arrays)


@dataclass(frozen=True)
class OwnBaseline:
    """The judgement of machines by their own baselines, as a bundle holds it."""

    windows: int  # whole ones that a machine needs
    levels: FleetLevels
    calibration: FaultCalibration
    graph: bytes
    session: ort.InferenceSession  # None where it was loaded without

    @classmethod
    def of(cls, windows: int, levels: FleetLevels, calibration: FaultCalibration, graph: bytes) -> Self:
        """Open the graph: inputs x, mask and age, output `p_health`."""
        return cls(windows, levels, calibration, graph, make_session(graph, threads=1))

    @classmethod
    def load(cls, folder: Path, network: bool = True) -> Self | None:
        """Load from a bundle's folder, with or without its network; None where it has none."""
        if not (folder / FILE).exists():
            return None
        said = json.loads((folder / FILE).read_text())
        calibration = FaultCalibration.from_dict(said["calibration"])
        graph = (folder / GRAPH).read_bytes() if network else b""
        session = make_session(graph, threads=1) if network else None
        return cls(said["windows"], FleetLevels.from_dict(said["levels"]), calibration, graph, session)

    def save(self, folder: Path) -> None:
        """Write into a bundle's folder."""
        plain = {"windows": self.windows, "levels": self.levels.to_dict(), "calibration": self.calibration.to_dict()}
        (folder / FILE).write_text(json.dumps(plain, indent=1, allow_nan=False))
        (folder / GRAPH).write_bytes(self.graph)

    def ready(self, own: OwnOffsets) -> NDArray[np.bool_]:
        """Return which machines (A,) are judged by their own baseline."""
        return np.asarray(own.windows >= self.windows)

    def corrected(self, windows: Windows, own: OwnOffsets) -> Windows:
        """Return N windows of as many machines without their offsets, where they are ready."""
        offset = np.where(self.ready(own)[:, None], self.levels.shrunk(own), 0.0)
        moved = (windows.x - offset[:, None, :]).astype(np.float32)
        return replace(windows, x=np.where((windows.mask > 0)[:, :, None], moved, windows.x))

    def expected(self, x: NDArray[np.float32], own: OwnOffsets) -> NDArray[np.float32]:
        """Return what regime and settings let expect (T, C) of the one machine of `own`, of its readings x (T, C)."""
        return np.asarray(x - self.levels.residuals(x) + self.levels.shrunk(own)[0], np.float32)

    def judge(self, corrected: Windows) -> dict[str, NDArray[Any]]:
        """Return the columns of health, each (N,), of N windows without their machines' offsets."""
        given = {node.name: getattr(corrected, node.name) for node in self.session.get_inputs()}
        found = self.calibration.apply(self.session.run(["p_health"], given)[0])
        names = np.array([NORMAL, DEPARTED, UNKNOWN], dtype=object)
        columns = {f"p_{HEALTH}_{name}": found[:, i] for i, name in enumerate((NORMAL, DEPARTED))}
        return {**columns, HEALTH: names[self.calibration.answer(found)]}

    def warnings(self, own: OwnOffsets) -> list[list[str]]:
        """Return what is said of machines (A,) that the fleet's judgement still answers for."""
        told = f"of the {self.windows} windows of the machine's own baseline"
        pairs = zip(own.windows.tolist(), self.ready(own).tolist(), strict=True)
        return [[] if ready else [f"{FLEET_BASELINE}: {count} {told}"] for count, ready in pairs]


def next_ends(histories: Histories, ends: NDArray[np.int64], until: Values, length: int) -> NDArray[np.int64]:
    """Return the first row (A,) at which a whole window of the run that goes on to `ends` (A,) begins after `until`.

    -1 where there is none up to `ends`.
    """
    found = np.full(len(ends), -1, np.int64)
    for i, (end, since) in enumerate(zip(ends.tolist(), until.tolist(), strict=True)):
        first = int(histories.first[end])
        times = histories.time[first : end + 1]
        if histories.slot is None:
            place = int(np.searchsorted(times, since, "right")) + length - 1
        else:
            begin = max(since + histories.slot / 2, float(times[0]))
            place = int(np.searchsorted(times, begin + (length - 1) * histories.slot))
        found[i] = first + place if place < len(times) else -1
    return found


def needs_baseline(contract: Twin) -> bool:
    """Return whether machines are to be judged by baselines of their own."""
    return contract.health is not None and contract.health.baseline > 0


def first_windows(
    levels: FleetLevels,
    wanted: int,
    histories: Histories,
    ends: NDArray[np.int64],
    counts: Callable[[Windows], NDArray[np.bool_]],
) -> OwnOffsets:
    """Return what the rows before each of `ends` (A,) tell of its machine: `wanted` windows, of those that count.

    Whole windows are looked at one after the other from the beginning of a run, as they are while readings come in.
    """
    first, run = np.unique(histories.first[ends], return_inverse=True)
    last = np.zeros(len(first), np.int64)
    np.maximum.at(last, run, ends - 1)
    found = OwnOffsets.unknown(len(first), histories.values.shape[1])
    at = np.full((len(first), wanted), np.inf)  # when each of the windows ended
    due = np.flatnonzero(last >= first)
    while len(due):
        row = next_ends(histories, last[due], found.until[due], levels.length)
        due, row = due[row >= 0], row[row >= 0]
        if not len(due):
            break
        for some, rows in zip(window_parts(due), window_parts(row), strict=True):
            windows = histories.cut(rows, levels.length)
            counted, time = counts(windows), histories.time[rows]
            at[some[counted], found.windows[some[counted]]] = time[counted]
            new = levels.added(found.at(some), windows, time, counted)
            for name in ("windows", "until", "rows", "offset"):
                getattr(found, name)[some] = getattr(new, name)
        due = due[found.windows[due] < wanted]
    seen = (at[run] < histories.time[ends, None]).sum(axis=1)
    return replace(found.at(run), windows=seen)


def tell_of_normal(
    contract: Twin,
    settings: KnownSettings | None,
    predict: Callable[[Windows], dict[str, NDArray[Any]]],
    windows: Windows,
) -> NDArray[np.bool_]:
    """Return which windows (N,) count for a baseline: the fleet's judgement tells of no departure, nor is it silent."""
    silent = np.array([bool(one) for one in health_warnings(contract, settings, windows)], bool)
    return np.asarray(~silent & (predict(windows)[HEALTH] != DEPARTED))
