"""Whether a sensor may fail rather than the machine: one channel alone departs, and the others contradict it.

Each sensor is reconstructed, row by row, from all other channels by a ridge regression within operating regimes. It is
suspected where the others tell it well (TOLD or more of the variance that settings leave, on runs left out), or where
it stands still for longer than it ever did in training, not at an end of its range. The window is then asked again
with that channel as it is reconstructed: where it is normal so, and no other channel is contradicted beyond the limit,
one channel departs alone.

That is a failing sensor where it bears its signature: it stands still; it jumps from one reading to the next, against
what the others tell, half as far again as it ever did in training; or its readings scatter so much more. A
fault of the machine that one channel alone shows, as a bearing that warms up, does not: nothing tells that from a
sensor that drifts, and somebody has to look at both.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.false_alarms import alarm_share
from foretwin.contract.twin import DEPARTED, HEALTH, Twin
from foretwin.dataset.windows import Histories, Windows
from foretwin.metrics import threshold
from foretwin.predictor.health.warning_kinds import ALONE, CHECK_FUNCTION, JUMPS, SCATTERS, SILENT, STANDS_STILL, says
from foretwin.predictor.known_settings import MOST_ROWS, MOST_WINDOWS, PARTS, deal_parts

TOLD = 0.8  # share of what settings leave of a sensor's variance that the other sensors must tell
RIDGE = 1e-2  # of standardised channels
BEYOND = 1.5  # times what was the most in training, so that a new machine's most is hardly ever beyond it
FEWEST_STILL = 4  # rows that a sensor must stand still for, whatever it did in training
SMALLEST = 1e-9

Values = NDArray[np.float64]
Predict = Callable[[Windows], dict[str, NDArray[Any]]]  # columns of `Bundle.score`, each (N,)
Nearest = Callable[[NDArray[np.float32]], NDArray[np.int64]]  # readings (N, C) -> their regimes (N,)


@dataclass(frozen=True)
class SensorCheck:
    """Reconstruction of C channels, of which those that are not `told` are never suspected for what they show."""

    mean: Values  # (R, C) in each regime
    scale: Values  # (R, C); infinite for a channel that is no number or never changed
    weights: Values  # (C, C) of standardised channels: column c reconstructs channel c
    spread: Values  # (C,) standard deviation of what is left, of standardised channels; infinite where none is judged
    told: NDArray[np.bool_]  # (C,)
    range: Values  # (2, C) lowest and highest value
    still: NDArray[np.int64]  # (C,) rows that each stood still for in training, at most
    limit: float  # of the root mean square of what is left over a window, in units of the spread
    jump: Values  # (C,) limit of a change of what is left from one row to the next, of standardised channels
    scatter: Values  # (C,) limit of the root mean square of these changes over a window

    @classmethod
    def fit(cls, histories: Histories, contract: Twin, nearest: Nearest) -> Self:
        """Fit to the rows of the training machines."""
        rows = np.unique(np.linspace(0, len(histories.first) - 1, MOST_ROWS).astype(np.int64))
        part, regime = deal_parts(histories.first), nearest(histories.values[rows])
        channels = list(contract.channels.values())
        mean, scale = _scaling(histories.values[rows].astype(np.float64), regime, channels)
        setting = np.array([channel.role == "setting" for channel in channels])
        z = _standardised(histories.values[rows], mean[regime], scale[regime])
        weights = _reconstruction(z)
        full, plain = np.zeros(len(channels)), np.zeros(len(channels))
        for one in range(PARTS):
            others, own = z[part[rows] != one], z[part[rows] == one]
            if len(others) and len(own):
                full += np.square(own - own @ _reconstruction(others)).sum(axis=0)
                plain += np.square(own - own @ weights_by_settings(others, setting)).sum(axis=0)
        judged = ~setting & np.isfinite(scale).any(axis=0) & (plain > 0)
        spread = np.where(judged, np.sqrt(full / len(z)) + SMALLEST, np.inf)
        told = judged & (full <= (1 - TOLD) * plain)
        ends_of = np.stack([np.nanmin(histories.values, axis=0), np.nanmax(histories.values, axis=0)]).astype(
            np.float64
        )
        never = np.full(len(channels), np.inf)
        found = cls(mean, scale, weights, spread, told, ends_of, _longest_still(histories), 0.0, never, never)
        ends = histories.ends(contract.window.shortest)
        ends = ends[np.unique(np.linspace(0, len(ends) - 1, MOST_WINDOWS).astype(np.int64))]
        windows = histories.cut(ends, contract.window.length)
        away = found.contradictions(windows.x, windows.mask, nearest).max(axis=1)
        most = found.changes(windows.x, windows.mask, nearest)
        jump, scatter = (BEYOND * part.max(axis=0, initial=0.0) for part in most)
        return replace(found, limit=threshold(away, alarm_share(contract)), jump=jump, scatter=scatter)

    def contradictions(self, x: NDArray[np.float32], mask: NDArray[np.float32], nearest: Nearest) -> Values:
        """Return how far each channel of windows x (N, T, C) is from what the others tell (N, C), in its spread."""
        z = self._scaled(x, nearest)
        left = np.square((z - z @ self.weights) / self.spread) * (mask > 0)[:, :, None]
        found: Values = np.sqrt(left.sum(axis=1) / np.maximum(mask.sum(axis=1), 1)[:, None])
        return found

    def changes(self, x: NDArray[np.float32], mask: NDArray[np.float32], nearest: Nearest) -> tuple[Values, Values]:
        """Return how what the others do not tell changes from row to row of windows x (N, T, C): (N, C) each.

        The largest change beside their median over the window, and the root mean square of what is beside it; of
        standardised channels, 0 for a channel that never changed.
        """
        z = self._scaled(x, nearest)
        both = ((mask[:, 1:] > 0) & (mask[:, :-1] > 0))[:, :, None]
        change = np.diff(z - z @ self.weights, axis=1) * (both & np.isfinite(self.spread))
        rows = np.maximum(both.sum(axis=1), 1)
        if change.shape[1]:  # a steady drift is no jump
            known = np.where(both | ~both.any(axis=1, keepdims=True), change, np.nan)
            change = np.where(both, change - np.nanmedian(known, axis=1, keepdims=True), 0)
        return np.abs(change).max(axis=1, initial=0.0), np.sqrt(np.square(change).sum(axis=1) / rows)

    def signatures(
        self, x: NDArray[np.float32], mask: NDArray[np.float32], nearest: Nearest, channel: NDArray[np.int64]
    ) -> list[str]:
        """Return how one channel (N,) of each window departs: as a failing sensor does, or merely alone."""
        every = np.arange(len(x))
        standing = self.standing(x, mask)[every, channel]
        jump, scatter = (part[every, channel] for part in self.changes(x, mask, nearest))
        scatters, jumps = scatter > self.scatter[channel], jump > self.jump[channel]
        # One step alone makes all changes together large too: it scatters where the others are large without it.
        rows = np.maximum(mask.sum(axis=1) - 1, 1)
        rest = np.sqrt(np.maximum(np.square(scatter) - np.square(jump) / rows, 0))
        noisy = scatters & (rest > self.scatter[channel])
        told = np.select([standing, noisy, jumps | scatters], [STANDS_STILL, SCATTERS, JUMPS], ALONE)
        return [str(one) for one in told]

    def standing(self, x: NDArray[np.float32], mask: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which channels (N, C) of windows have stood still for longer than ever in training."""
        same = (x[:, 1:] == x[:, :-1]) & (mask[:, 1:, None] > 0) & (mask[:, :-1, None] > 0)
        rows = np.cumprod(same[:, ::-1], axis=1).sum(axis=1) + 1
        within = (x[:, -1] > self.range[0]) & (x[:, -1] < self.range[1])
        return np.asarray((rows > self.still) & (rows >= FEWEST_STILL) & within & np.isfinite(self.spread))

    def suspects(
        self, x: NDArray[np.float32], mask: NDArray[np.float32], nearest: Nearest
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the suspected channel (N,) of windows x (N, T, C), and x with it as the others tell it.

        -1 where none is suspected, or where another channel is contradicted even so.
        """
        away, standing = self.contradictions(x, mask, nearest), self.standing(x, mask)
        marks = np.where(standing, 1e6 + away, np.where(self.told, away, -1.0))
        chosen, every = marks.argmax(axis=1), np.arange(len(x))
        z = self._scaled(x, nearest)
        regime = nearest(x.reshape(-1, x.shape[2])).reshape(x.shape[:2])
        told = (z @ self.weights)[every, :, chosen]  # (N, T)
        level, scale = self.mean[regime, chosen[:, None]], self.scale[regime, chosen[:, None]]
        changed = x.copy()
        usable = np.isfinite(scale)
        changed[every, :, chosen] = np.where(usable, level + told * np.where(usable, scale, 0), x[every, :, chosen])
        clear = self.contradictions(changed, mask, nearest).max(axis=1) <= self.limit
        found = np.where((marks[every, chosen] >= 0) & clear, chosen, -1)
        return found, changed

    def _scaled(self, x: NDArray[np.float32], nearest: Nearest) -> Values:
        regime = nearest(x.reshape(-1, x.shape[2])).reshape(x.shape[:2])
        return _standardised(x, self.mean[regime], self.scale[regime])

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON; null stands for what is infinite."""
        names = ("mean", "scale", "weights", "spread", "range", "jump", "scatter")
        plain = {name: _plain(getattr(self, name)) for name in names}
        return {**plain, "told": self.told.tolist(), "still": self.still.tolist(), "limit": self.limit}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Restore from the values of `to_dict`."""
        arrays = (np.array(values[name], np.float64) for name in ("mean", "scale", "weights", "spread", "range"))
        mean, scale, weights, spread, ends_of = (np.where(np.isnan(one), np.inf, one) for one in arrays)
        told, still = np.array(values["told"], bool), np.array(values["still"], np.int64)
        never = [None] * len(told)  # bundles of versions before know no signature but that of standing still
        jump, scatter = (np.array(values.get(name, never), np.float64) for name in ("jump", "scatter"))
        jump, scatter = (np.where(np.isnan(one), np.inf, one) for one in (jump, scatter))
        return cls(mean, scale, weights, spread, told, ends_of, still, values["limit"], jump, scatter)


class RegimeFinder(Protocol):
    """Operating regimes of readings."""

    def nearest(self, values: NDArray[np.float32]) -> NDArray[np.int64]:
        """Assign readings (N, C) to regimes (N,)."""


class NormalReference(Protocol):
    """What a bundle knows of normal machines."""

    @property
    def regimes(self) -> RegimeFinder:
        """Return the operating regimes."""

    @property
    def sensors(self) -> SensorCheck | None:
        """Return the check of sensors."""


@dataclass(frozen=True)
class JudgedWindows:
    """N windows as whoever judges them sees them, and which he tells as departed."""

    windows: Windows
    predict: Predict
    departed: NDArray[np.bool_]  # (N,)


def add_sensor_warnings(
    contract: Twin, reference: NormalReference, judged: JudgedWindows, warnings: NDArray[np.object_]
) -> None:
    """Warn where a sensor may fail rather than the machine, of windows that a judge tells as departed."""
    spoken = np.array([not any(says(word, one) for word in SILENT) for one in warnings], bool)
    departed, sensors = np.flatnonzero(judged.departed & spoken), reference.sensors
    if sensors is not None and len(departed):
        for i, what in sensor_warnings(contract, sensors, reference.regimes.nearest, judged, departed).items():
            warnings[i].append(f"{CHECK_FUNCTION}: {what}")


def sensor_warnings(
    contract: Twin, sensors: SensorCheck, nearest: Nearest, judged: JudgedWindows, departed: NDArray[np.int64]
) -> dict[int, str]:
    """Return of the `departed` ones (M,) of N windows those in which a channel departs alone, with how it does."""
    windows, predict = judged.windows, judged.predict
    few = replace(windows, **{name: getattr(windows, name)[departed] for name in ("x", "mask", "age", "rul", "faults")})
    suspect, changed = sensors.suspects(few.x, few.mask, nearest)
    asked = np.flatnonzero(suspect >= 0)
    if not len(asked):
        return {}
    parts = {name: getattr(few, name)[asked] for name in ("mask", "age", "rul", "faults")}
    answers = predict(replace(few, x=changed[asked], **parts))[HEALTH]
    alone = asked[answers != DEPARTED]
    how = sensors.signatures(few.x[alone], few.mask[alone], nearest, suspect[alone])
    names = [contract.channel_names[channel] for channel in suspect[alone].tolist()]
    told = zip(departed[alone].tolist(), names, how, strict=True)
    return {window: f"{name} {signature}" for window, name, signature in told}


def _scaling(values: Values, regime: NDArray[np.int64], channels: list[Any]) -> tuple[Values, Values]:
    """Return mean and standard deviation (R, C) of values (N, C) in each regime."""
    mean, scale = [], []
    for one in range(int(regime.max()) + 1):
        inside = values[regime == one] if (regime == one).any() else values
        known = ~np.isnan(inside)
        count = np.maximum(known.sum(axis=0), 1)
        middle = np.where(known, inside, 0).sum(axis=0) / count
        spread = np.sqrt(np.where(known, np.square(inside - middle), 0).sum(axis=0) / count)
        varies = spread > 1e-6 * np.maximum(np.abs(middle), SMALLEST)
        number = np.array([channel.categories is None for channel in channels])
        mean.append(np.where(number, middle, 0))
        scale.append(np.where(varies & number, spread, np.inf))
    return np.stack(mean), np.stack(scale)


def _standardised(x: NDArray[np.float32], mean: Values, scale: Values) -> Values:
    """Return standardised readings (..., C); 0 for what is missing."""
    return np.nan_to_num((x.astype(np.float64) - mean) / scale)


def _reconstruction(z: Values) -> Values:
    """Return the weights (C, C) by which each channel of z (N, C) follows from all others, by their precision."""
    precision = np.linalg.inv(z.T @ z / len(z) + RIDGE * np.eye(z.shape[1]))
    weights = -precision / np.diag(precision)
    np.fill_diagonal(weights, 0)
    return np.asarray(weights, np.float64)


def weights_by_settings(z: Values, setting: NDArray[np.bool_]) -> Values:
    """Return the weights (C, C) by which channels follow from the settings alone."""
    weights = np.zeros((z.shape[1], z.shape[1]))
    own = z[:, setting]
    weights[setting] = np.linalg.solve(own.T @ own / len(z) + RIDGE * np.eye(own.shape[1]), own.T @ z / len(z))
    return weights


def _longest_still(histories: Histories) -> NDArray[np.int64]:
    """Return for how many rows (C,) each channel stood still within a run, at most."""
    start = np.arange(len(histories.first)) == histories.first
    found = np.ones(histories.values.shape[1], np.int64)
    for channel in range(len(found)):
        values = histories.values[:, channel]
        new = np.flatnonzero(start | np.append(True, values[1:] != values[:-1]))
        found[channel] = np.diff(np.append(new, len(values))).max(initial=1)
    return found


def _plain(values: Values) -> list[Any]:
    return np.where(np.isfinite(values), values, None).tolist()  # type: ignore[call-overload,no-any-return]
