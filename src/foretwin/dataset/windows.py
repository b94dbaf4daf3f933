"""Windows: folds of assets, cuts of runs, and windows cut from histories.

A window is never stored: `Histories` keeps each row once and gathers windows where they are needed.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.dataset.table import HISTORY, TEST_SET, fault_column, run_starts
from foretwin.errors import RowsError

TEST = -1  # the fold number of held-out assets
AT_ONCE = 2048  # windows in memory
SHORTEST_LIFE_SHARE = 0.2  # random cuts fall after this share of a run (docs/benchmarks.md)


@dataclass(frozen=True)
class Windows:
    """N windows of T rows, C channels, A fault axes; the last row of a window is the time of prediction.

    Where the rows are steps of a clock, one without a reading is padding too, wherever it lies.
    """

    x: NDArray[np.float32]  # (N, T, C) physical units, 0 where padded, NaN where a row lacks a channel
    mask: NDArray[np.float32]  # (N, T) 1 = a row, 0 = padding; padding is on the left
    age: NDArray[np.float32]  # (N,) time since the run began, in the contract's unit
    rul: NDArray[np.float32]  # (N,) uncapped, NaN = unknown, inf = the cap or more
    faults: NDArray[np.int8]  # (N, A) class, -1 = unknown

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Histories:
    """Rows of many runs, concatenated, from which windows are cut.

    With a `slot`, the time that a row of a window stands for, windows count time: readings lie in them as far apart as
    they were taken. Without it they count rows.
    """

    values: NDArray[np.float32]  # (R, C) physical units, NaN where a channel that may be missing is
    time: NDArray[np.float64]  # (R,) since the run began
    rul: NDArray[np.float32]  # (R,)
    faults: NDArray[np.int8]  # (R, A)
    first: NDArray[np.int64]  # (R,) index of the first row of the row's run
    slot: float | None = None

    @classmethod
    def from_rows(cls, rows: pd.DataFrame, twin: Twin) -> Self:
        """Build from rows of the canonical table, each run's rows together and in order of time."""
        index = np.arange(len(rows))
        faults = [rows[fault_column(axis)].to_numpy(np.int8) for axis in twin.axes]
        return cls(
            values=np.ascontiguousarray(rows[list(twin.channel_names)].to_numpy(np.float32)),
            time=rows["time"].to_numpy(np.float64),
            rul=rows["rul"].to_numpy(np.float32),
            faults=np.stack(faults, axis=1) if faults else np.empty((len(rows), 0), np.int8),
            first=np.maximum.accumulate(np.where(run_starts(rows), index, 0)) if len(rows) else index,
            slot=twin.slot,
        )

    def cut(self, ends: NDArray[np.int64], length: int) -> Windows:
        """Cut the windows of `length` rows whose last rows are `ends` (N,), padded on the left and in gaps."""
        if self.slot is not None:
            x, mask = self._by_time(ends, length)
        elif len(ends) == 1 and ends[0] - self.first[ends[0]] + 1 >= length:  # one whole window: a slice is cheaper
            x = self.values[None, ends[0] + 1 - length : ends[0] + 1]
            mask = np.ones((1, length), np.float32)
        else:
            index = ends[:, None] + np.arange(1 - length, 1)  # (N, T)
            inside = index >= self.first[ends, None]
            x = self.values[np.maximum(index, 0)]
            x[~inside] = 0
            mask = inside.astype(np.float32)
        return Windows(
            x=x,
            mask=mask,
            age=self.time[ends].astype(np.float32),
            rul=self.rul[ends],
            faults=self.faults[ends],
        )

    def _by_time(self, ends: NDArray[np.int64], length: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return x and mask of windows that count time; of two readings in one place the later counts."""
        index, place = self._places(ends, length)
        window, column = np.nonzero(place >= 0)
        x = np.zeros((len(ends), length, self.values.shape[1]), np.float32)
        mask = np.zeros((len(ends), length), np.float32)
        at = window, place[window, column]
        x[at], mask[at] = self.values[index[window, column]], 1
        return x, mask

    def _places(self, ends: NDArray[np.int64], length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows (N, T) that may lie in each window, and their places in it, below 0 for those outside."""
        index = ends[:, None] + np.arange(1 - length, 1)
        near = np.maximum(index, 0)
        back = np.rint((self.time[ends, None] - self.time[near]) / (self.slot or 1.0)).astype(np.int64)
        return near, np.where(index >= self.first[ends, None], length - 1 - back, -1)

    def without(self, rows: NDArray[np.bool_]) -> "Histories":
        """Return the histories without these rows (R,), which are those of whole runs."""
        kept = ~rows
        place = np.cumsum(kept) - 1
        arrays = {name: getattr(self, name)[kept] for name in ("values", "time", "rul", "faults")}
        return replace(self, first=place[self.first[kept]], **arrays)

    def seen(self, ends: NDArray[np.int64], length: int) -> NDArray[np.int64]:
        """Return how many rows (N,) each window of `length` holds."""
        if self.slot is None:
            return np.asarray(np.minimum(ends - self.first[ends] + 1, length), np.int64)
        place = np.sort(self._places(ends, length)[1], axis=1)
        new = np.diff(place, axis=1, prepend=-1) != 0
        return np.asarray(((place >= 0) & new).sum(axis=1), np.int64)

    def due(self, ends: NDArray[np.int64], length: int) -> NDArray[np.int64]:
        """Return how many rows (N,) each window would hold if no reading were left out since its run began."""
        if self.slot is None:
            return self.seen(ends, length)
        spans = np.rint((self.time[ends] - self.time[self.first[ends]]) / self.slot) + 1
        return np.asarray(np.minimum(spans, length), np.int64)

    def rows_so_far(self) -> NDArray[np.int64]:
        """Return the number (R,) of rows of the run up to and including each row."""
        return np.arange(len(self.first)) - self.first + 1

    def ends(self, shortest: int) -> NDArray[np.int64]:
        """Return the positions of all rows with at least `shortest` rows of their run so far."""
        return np.flatnonzero(self.rows_so_far() >= shortest)


def window_parts(windows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return windows (N,), by any number of theirs, in parts of at most AT_ONCE; one part, maybe empty, of few."""
    return np.array_split(windows, max(1, -(-len(windows) // AT_ONCE)))


def last_rows(rows: pd.DataFrame) -> NDArray[np.int64]:
    """Return the positions of the last row of each run."""
    starts = np.flatnonzero(run_starts(rows))
    return np.append(starts[1:], len(rows)) - 1


def random_cuts(rows: pd.DataFrame, cuts: int, shortest: int, seed: int) -> NDArray[np.int64]:
    """Draw the positions of `cuts` random rows of each run, at a share of its life uniform from 0.2 to 1.

    Where `shortest` is the whole run, its last row is the only cut, and is taken once. Each run has a seed of its own,
    so its cuts do not depend on the other runs.
    """
    starts = np.flatnonzero(run_starts(rows))
    lengths = np.diff(np.append(starts, len(rows)))
    assets, runs = rows["asset"].to_numpy(), rows["run"].to_numpy()
    chosen = []
    for start, length in zip(starts, lengths, strict=True):
        if length < shortest:
            continue
        name = f"{assets[start]}/{runs[start]}"
        generator = np.random.default_rng([seed, *name.encode()])
        share = generator.uniform(SHORTEST_LIFE_SHARE, 1, cuts)
        seen = np.clip(np.ceil(share * length).astype(np.int64), shortest, length)
        chosen.append(start + np.unique(seen) - 1)
    return np.concatenate(chosen) if chosen else np.empty(0, np.int64)


def truncate(rows: pd.DataFrame, ends: NDArray[np.int64], length: int, before: int = 0) -> pd.DataFrame:
    """Truncate histories at each of `ends`: the last `length` rows up to it, with asset name `<asset>@<position>`.

    The position counts from the table's first row, which is `before` rows before these. So the same
    `Bundle.score` that serves predicts in mid-life.
    """
    first = np.maximum.accumulate(np.where(run_starts(rows), np.arange(len(rows)), 0))
    begin = np.maximum(first[ends], ends - length + 1)
    counts = ends - begin + 1
    offset = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return _named_cuts(rows, ends, counts, np.repeat(begin, counts) + offset, before)


def name_cuts(
    rows: pd.DataFrame, ends: NDArray[np.int64], parts: Sequence[NDArray[np.int64]], before: int
) -> pd.DataFrame:
    """Return the rows at `parts`, the positions of each cut's rows, named as `truncate` names the cuts at `ends`."""
    counts = np.array([len(part) for part in parts], np.int64)
    return _named_cuts(rows, ends, counts, np.concatenate(parts), before)


def _named_cuts(
    rows: pd.DataFrame, ends: NDArray[np.int64], counts: NDArray[np.int64], chosen: NDArray[np.int64], before: int
) -> pd.DataFrame:
    part: pd.DataFrame = rows.iloc[chosen].reset_index(drop=True)
    cut_name = rows["asset"].iloc[ends] + "@" + pd.Series(ends + before, index=rows.index[ends]).astype("str")
    return part.assign(asset=np.repeat(cut_name.to_numpy(), counts))


def deal_folds(rows: pd.DataFrame, test_share: float, folds: int, seed: int) -> dict[str, int]:
    """Assign each asset a fold number from 0, or TEST if it is held out.

    Where the source fixes a test set, that set is held out; else a random share of the assets, none where it is 0.
    Assets of the history are dealt beside the others, who keep their places: a champion is not measured on assets that
    it has learnt from.
    """
    history = rows["subset"] == HISTORY
    fixed = rows.loc[rows["fixed_split"] == TEST_SET, "asset"].unique()
    free = np.sort(rows.loc[(rows["fixed_split"] != TEST_SET) & ~history, "asset"].unique())
    added = [str(asset) for asset in np.sort(rows.loc[history, "asset"].unique())]
    both = set(fixed) & set(free)
    if both:
        raise RowsError(f"asset {min(both)} is both in the fixed test set and outside it")
    if len(free) == 0:
        free, added = np.array(added), []
    order = np.random.default_rng(seed).permutation(free)
    held_out = 0 if len(fixed) or test_share == 0 else max(1, round(test_share * len(free)))
    if len(free) - held_out < folds:
        few = f"{len(free)} assets are too few to hold {held_out} out and deal the rest into {folds} folds"
        raise RowsError(f"{few}; add assets, or lower prepare.folds in params.yaml")
    development = {asset: position % folds for position, asset in enumerate(order[held_out:])}
    dealt = {str(asset): TEST for asset in [*fixed, *order[:held_out]]} | {str(a): f for a, f in development.items()}
    return dealt | {asset: place_by_name(asset, 0 if len(fixed) else test_share, folds, seed) for asset in added}


def place_by_name(asset: str, test_share: float, folds: int, seed: int) -> int:
    """Return the fold of an asset or unit of the history by its name alone, so that adding one changes no other's."""
    drawn = int.from_bytes(hashlib.sha256(f"{seed}/{asset}".encode()).digest()[:8]) / 2**64
    return TEST if drawn < test_share else int((drawn - test_share) / (1 - test_share) * folds)
