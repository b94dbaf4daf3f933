"""Healthy baseline of a bundle's training assets: each channel's range, and its mean level in healthy life.

A reading outside the ranges gets a warning. In an explanation the healthy levels replace a hidden channel.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.dataset.windows import Histories
from foretwin.predictor.health.sensor_check import SensorCheck
from foretwin.predictor.known_settings import KnownSettings

AT_ONCE = 250_000  # rows: what is between need not fit in memory for all


@dataclass(frozen=True)
class RegimeCentres:
    """Operating regimes of `scaling.fit_scaling`: R centres over S setting channels."""

    settings: tuple[int, ...]  # (S,) indices of the channels that define the regimes; empty where there is one regime
    centres: NDArray[np.float32]  # (R, S) physical units
    spread: NDArray[np.float32]  # (S,) scale of each setting in the distance to a centre

    def nearest(self, values: NDArray[np.float32]) -> NDArray[np.int64]:
        """Assign readings (N, C) in physical units to regimes (N,), as the network does."""
        distance = (values[:, None, list(self.settings)] - self.centres) / self.spread  # (N, R, S)
        nearest: NDArray[np.int64] = np.square(distance).sum(axis=2).argmin(axis=1)
        return nearest


@dataclass(frozen=True)
class HealthyBaseline:
    """Healthy baseline: ranges and healthy levels of C channels in the contract's order, in physical units."""

    ranges: NDArray[np.float32]  # (2, C) lowest and highest value on the training assets
    regimes: RegimeCentres
    healthy: NDArray[np.float32]  # (R, P, C) mean level; P = the window's rows where it is one whole cycle, else 1
    age: float  # mean age of the healthy rows, in the contract's time unit
    settings: KnownSettings | None = None  # where health is asked for and there are settings
    sensors: SensorCheck | None = None  # where health is asked for

    @classmethod
    def fit(cls, histories: Histories, contract: Twin, regimes: RegimeCentres) -> Self:
        """Fit to all rows of the training assets, at least one.

        A level is the mean over the healthy rows of its regime, else over all rows of the regime, else over all rows.
        Where every run is one whole window, each row of the cycle has levels of its own.
        """
        count = contract.window.length if _is_cyclic(histories, contract) else 1
        healthy = healthy_rows(histories, contract)
        size = len(regimes.centres) * count
        overall, known_rows = np.zeros(histories.values.shape[1]), 0
        totals, rows = np.zeros((2, 2, size, len(overall)))  # of all rows, of the healthy ones; sums, and how many
        for begin in range(0, len(histories.values), AT_ONCE):
            part = slice(begin, begin + AT_ONCE)
            values, position = histories.values[part].astype(np.float64), np.arange(begin, begin + AT_ONCE)
            group = regimes.nearest(histories.values[part]) * count
            if count > 1:
                group += position[: len(group)] - histories.first[part]
            known = ~np.isnan(values)
            values = np.where(known, values, 0)
            overall = np.concatenate([overall[None], values]).sum(axis=0)  # the same as of all rows at once
            known_rows = known_rows + known.sum(axis=0)
            for i, chosen in enumerate((np.ones(len(group), np.bool_), healthy[part])):
                np.add.at(totals[i], group[chosen], values[chosen])
                np.add.at(rows[i], group[chosen], known[chosen])
        levels = np.tile(overall / np.maximum(known_rows, 1), (size, 1))  # (R * P, C)
        for total, some in zip(totals, rows, strict=True):
            levels[some > 0] = total[some > 0] / some[some > 0]
        return cls(
            ranges=_ranges(histories.values),
            regimes=regimes,
            healthy=levels.reshape(-1, count, len(overall)).astype(np.float32),
            age=float(histories.time[healthy if healthy.any() else slice(None)].mean()),
            settings=KnownSettings.fit(histories, contract) if contract.health else None,
            sensors=SensorCheck.fit(histories, contract, regimes.nearest) if contract.health else None,
        )

    def healthy_readings(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the healthy levels (T, C) in the regime of each row of one window's readings (T, C)."""
        position = np.arange(len(window)) % self.healthy.shape[1]
        readings: NDArray[np.float32] = self.healthy[self.regimes.nearest(window), position]
        return readings

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        known = {"known_settings": self.settings.to_dict()} if self.settings else {}
        known |= {"sensor_check": self.sensors.to_dict()} if self.sensors else {}
        return {
            "ranges": self.ranges.tolist(),
            "settings": list(self.regimes.settings),
            "centres": self.regimes.centres.tolist(),
            "spread": self.regimes.spread.tolist(),
            "healthy": self.healthy.tolist(),
            "age": self.age,
            **known,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Restore from the values of `to_dict`."""
        ranges, centres, spread, healthy = (
            np.array(values[name], np.float32) for name in ("ranges", "centres", "spread", "healthy")
        )
        known = KnownSettings.from_dict(values["known_settings"]) if "known_settings" in values else None
        sensors = SensorCheck.from_dict(values["sensor_check"]) if "sensor_check" in values else None
        regimes = RegimeCentres(tuple(values["settings"]), centres, spread)
        return cls(ranges, regimes, healthy, values["age"], known, sensors)


def healthy_rows(histories: Histories, contract: Twin) -> NDArray[np.bool_]:
    """Return a mask (R,) of the healthy rows.

    A healthy row has no known fault class but the healthy one, and an unknown RUL or one of at least the cap. Where the
    twin has no RUL, all its fault classes are known.
    """
    healthy = np.full(len(histories.rul), fill_value=True)
    if contract.rul:
        healthy &= np.isnan(histories.rul) | (histories.rul >= contract.rul.cap)
    faulty = histories.faults > 0 if contract.rul else histories.faults != 0
    return healthy & ~faulty.any(axis=1)


def _ranges(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return lowest and highest value (2, C); 0 for a channel that no row has, so that each value of it is told."""
    found = np.repeat([[np.inf], [-np.inf]], values.shape[1], axis=1).astype(np.float32)
    for begin in range(0, len(values), AT_ONCE):
        some = values[begin : begin + AT_ONCE]
        lost = np.isnan(some)
        found[0] = np.minimum(found[0], np.where(lost, np.inf, some).min(axis=0))
        found[1] = np.maximum(found[1], np.where(lost, -np.inf, some).max(axis=0))
    found[:, found[0] > found[1]] = 0
    return found


def _is_cyclic(histories: Histories, contract: Twin) -> bool:
    """Return whether each run is exactly one window, so that a row has the same position in every window."""
    length, first = contract.window.length, histories.first
    if contract.window.shortest != length:
        return False
    starts = np.flatnonzero(np.append(True, first[1:] != first[:-1]))
    return bool((np.diff(np.append(starts, len(first))) == length).all())
