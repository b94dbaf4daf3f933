"""Readings as arrays: the one form in which they are decoded, checked, stored, cached and scored."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


@dataclass(frozen=True)
class Readings:
    """N readings of one twin.

    `channels` C names. `asset` (N,) int64: where somebody else named the assets the place in `names`, all of which
    occur; else the store's ids. `run` (N,) int64, -1 for the asset's present run. `time` (N,) float64, in the clock's
    unit. `values` (N, C) float32, in the contract's units. What was decoded is finite; a stored reading has NaN for a
    channel that it lacks.
    """

    twin: str
    channels: tuple[str, ...]
    asset: NDArray[np.int64]
    run: NDArray[np.int64]
    time: NDArray[np.float64]
    values: NDArray[np.float32]
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.time)

    def only(self, rows: Any) -> Self:
        """Return the readings in these places, of the same assets; `rows` is (N,) bool, places or a slice."""
        kept = (self.asset[rows], self.run[rows], self.time[rows], self.values[rows])
        return type(self)(self.twin, self.channels, *kept, self.names)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Join named readings of one twin; an asset of several parts is one."""
        if len(parts) == 1:
            return parts[0]
        asset, names = _joined_names(parts)
        return cls(
            parts[0].twin,
            parts[0].channels,
            asset,
            np.concatenate([part.run for part in parts]),
            np.concatenate([part.time for part in parts]),
            np.concatenate([part.values for part in parts]),
            names,
        )


def by_twin(readings: Sequence[Readings]) -> list[Readings]:
    """Join the readings of each twin."""
    twins: dict[str, list[Readings]] = {}
    for one in readings:
        twins.setdefault(one.twin, []).append(one)
    return [Readings.joined(parts) for parts in twins.values()]


@dataclass(frozen=True)
class SingleValues:
    """N values of one twin.

    `asset` (N,) int64 places in `names`; `time` (N,) float64, microseconds since 1970 where `dated` (N,) is True, else
    since the run began, in the clock's unit; `channel` (N,) int64 places in `channels`; `value` (N,) float64, finite.
    """

    twin: str
    channels: tuple[str, ...]
    asset: NDArray[np.int64]
    time: NDArray[np.float64]
    dated: NDArray[np.bool_]
    channel: NDArray[np.int64]
    value: NDArray[np.float64]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.time)

    @classmethod
    def together(cls, parts: Sequence[Self]) -> Self:
        """Join values of one twin, in their order; an asset of several parts is one."""
        asset, names = _joined_names(parts)
        return cls(
            parts[0].twin,
            parts[0].channels,
            asset,
            np.concatenate([part.time for part in parts]),
            np.concatenate([part.dated for part in parts]),
            np.concatenate([part.channel for part in parts]),
            np.concatenate([part.value for part in parts]),
            names,
        )


def _joined_names(parts: Sequence[Readings] | Sequence[SingleValues]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return the places (N,) of all parts' assets in the names of all, each of which stands once."""
    place: dict[str, int] = {}
    asset = [np.array([place.setdefault(name, len(place)) for name in part.names])[part.asset] for part in parts]
    return np.concatenate(asset), tuple(place)


@dataclass(frozen=True)
class Invalid:
    """The fault of one row's reading, or of all where `row` is None; `reason` is the quarantine's word."""

    row: int | None
    field: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Rejected:
    """A reading, or a whole message, that is not stored; `reason` is a word of the quarantine, `content` what came."""

    twin: str | None
    asset: str | None
    field: str
    reason: str
    detail: str
    content: str


@dataclass(frozen=True)
class Decoded:
    """The readings of one body, or its single values."""

    readings: Readings | None
    rejected: tuple[Rejected, ...] = ()
    values: SingleValues | None = None
    missing: int = 0  # single values that are empty, or of no good quality
    snapshots: pa.Table | None = None  # of waveforms that are kept as they came: asset, run, time, a list of each
