"""Values with times of their own on the clock's grid: one row per step, by each channel's rule. Pure functions.

Row k of a run stands at k steps since the run began and takes what was measured since row k - 1; there is a row
wherever any channel has a value, and none in a gap. The same function makes rows of a file and of tags that come
singly, so the order in which values came is of no account.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.channels import Channel
from foretwin.contract.twin import Twin

NEAR = 1e-6  # of a step: a value that is later than its row by no more was taken at its row

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Samples:
    """S values: `run` (S,) numbers the runs from 0, `time` (S,) since the run began, `channel` (S,) its position.

    None is NaN. Of two values of one channel at one time the later in this order counts.
    """

    run: Integers
    time: Floats
    channel: Integers
    value: Floats

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True)
class GridRows:
    """N rows in order of run and time: `run` (N,), `step` (N,) how many steps after the run began, `values` (N, C)."""

    run: Integers
    step: Integers
    values: Floats

    def complete(self, contract: Twin) -> NDArray[np.bool_]:
        """Return (N,) whether a row has every channel that may not be missing."""
        needed = np.delete(np.arange(self.values.shape[1]), contract.may_be_missing)
        return np.asarray(~np.isnan(self.values[:, needed]).any(axis=1))


def step_numbers(time: Floats, step: float) -> Integers:
    """Return the row (S,) that each moment belongs to: the first that is not before it."""
    return np.ceil(time / step - NEAR).astype(np.int64)


def grid_rows(samples: Samples, channels: Mapping[str, Channel], step: float) -> GridRows:
    """Put samples on the grid of a clock of this step; NaN where a channel has no value that its rule takes."""
    number = step_numbers(samples.time, step)
    order = np.lexsort((samples.time, samples.run))
    lowest = int(number.min(initial=0))
    stride = int(number.max(initial=0)) - lowest + 2  # one step of room, so that runs do not touch
    key = (samples.run * stride + number - lowest)[order]
    rows = np.unique(key)
    run, at = rows // stride, rows % stride + lowest
    values = np.full((len(rows), len(channels)), np.nan)
    sorted_channel, time, value = samples.channel[order], samples.time[order], samples.value[order]
    for position, channel in enumerate(channels.values()):
        mine = np.flatnonzero(sorted_channel == position)
        again = (key[mine][1:] == key[mine][:-1]) & (time[mine][1:] == time[mine][:-1])
        mine = np.delete(mine, np.flatnonzero(again))
        found = _Column(key[mine], time[mine], value[mine], rows, at * step, stride, NEAR * step)
        values[:, position] = found.taken(channel)
    return GridRows(run.astype(np.int64), at.astype(np.int64), values)


@dataclass(frozen=True)
class _Column:
    """The M values of one channel, in order of run and time, and the N rows that they are put on, by key and time.

    Keys of one run lie within one `stride`; moments that differ by no more than `near` are one.
    """

    key: Integers
    time: Floats
    value: Floats
    rows: Integers
    moment: Floats
    stride: int
    near: float

    def taken(self, channel: Channel) -> Floats:
        """Return the values (N,) by the channel's rule."""
        if len(self.key) == 0:
            return np.full(len(self.rows), 0.0 if channel.grid and channel.grid.take == "count" else np.nan)
        if channel.grid is None:
            before = self._before()
            return np.where(self.key[before] == self.rows, self.value[before], np.nan)
        if channel.grid.take in ("mean", "max", "count"):
            return self._of_step(channel.grid.take)
        before = self._before()
        known = self._same_run(before) & (self.key[before] <= self.rows)
        if channel.grid.take == "last":
            age = self.moment - self.time[before]
            longest = np.inf if channel.grid.longest_age is None else channel.grid.longest_age
            return np.where(known & (age <= longest + self.near), self.value[before], np.nan)
        return self._between(before, known, (channel.grid.longest_age or 0.0) + self.near)

    def _before(self) -> Integers:
        """Return the place (N,) of the last value up to each row, of whatever run; 0 where there is none."""
        return np.maximum(np.searchsorted(self.key, self.rows, side="right") - 1, 0)

    def _same_run(self, place: Integers) -> NDArray[np.bool_]:
        same: NDArray[np.bool_] = self.key[place] // self.stride == self.rows // self.stride
        return same

    def _of_step(self, take: str) -> Floats:
        row = np.searchsorted(self.rows, self.key)
        count = np.bincount(row, minlength=len(self.rows)).astype(np.float64)
        if take == "count":
            return count
        found = np.full(len(self.rows), -np.inf)
        np.maximum.at(found, row, self.value)
        if take == "mean":
            found = np.bincount(row, self.value, len(self.rows)) / np.maximum(count, 1)
        return np.where(count > 0, found, np.nan)

    def _between(self, before: Integers, known: NDArray[np.bool_], longest: float) -> Floats:
        """Return what lies on the line from the value before each row to the one after it."""
        after = np.minimum(before + 1, len(self.key) - 1)
        span = self.time[after] - self.time[before]
        share = np.maximum(self.moment - self.time[before], 0.0) / np.where(span > 0, span, 1.0)
        exact = np.abs(self.moment - self.time[before]) <= self.near
        followed = (after > before) & self._same_run(after) & (span <= longest)
        line = self.value[before] + share * (self.value[after] - self.value[before])
        return np.where(known & exact, self.value[before], np.where(known & followed, line, np.nan))
