"""Departures from normal that are put into copies of recorded runs, so that health is learnt and judged without labels.

Each copy is a stretch of a run with one of the changes that a failing sensor or machine shows: a shift, a drift, a
stuck value, noise, or a correlation that is lost. It stands as an asset of its own, `<asset>~departed-<number>`, in the
split of the run that it comes from. What is recorded is presumed to be normal.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.source.side_checks import ENDED
from foretwin.contract.twin import HEALTH, UNKNOWN, Twin
from foretwin.dataset.table import FAULT_UNKNOWN, fault_column, run_starts
from foretwin.dataset.windows import last_rows, random_cuts

FEWEST_COPIES, MOST_COPIES = 2, 50  # of a run
ENOUGH_COPIES = 60  # of all runs together: of fewer nobody could choose what answers
BEFORE, AFTER = 1, 3  # windows of a copy before its departure begins, and after
SEEN_AFTER = 0.25  # of a window: a departure that began less than this ago cannot be told yet
FEWEST_ROWS = 4  # after the onset, for any change but a shift to show
MOST_CHANNELS = 3  # that depart at once
CUTS_OF_A_COPY = 4  # at most: its departure lasts AFTER windows
MOST_CUTS = 200  # of a recorded run
MADE = re.compile(r"~departed-\d+$")

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Departures:
    """How copies depart: `spread` (C,) is each channel's standard deviation within a run, NaN where nothing varies."""

    contract: Twin
    spread: Values
    seed: int
    fewest: int = FEWEST_COPIES  # of a run

    @classmethod
    def of(cls, pieces: Iterable[pd.DataFrame], contract: Twin, seed: int) -> "Departures":
        """Measure the spread of the channels in one pass over canonical rows, which come in pieces of whole runs."""
        names = list(contract.channel_names)
        squares, counts, runs = np.zeros(len(names)), np.zeros(len(names)), 0
        for piece in pieces:
            runs += int(run_starts(piece).sum())
            values = piece[names].astype("float64")
            within = values - values.groupby([piece["asset"], piece["run"]], sort=False).transform("mean")
            squares += within.pow(2).sum().to_numpy()
            counts += within.notna().sum().to_numpy()
        with np.errstate(invalid="ignore"):
            spread = np.sqrt(squares / counts)
        fewest = int(np.clip(-(-ENOUGH_COPIES // max(runs, 1)), FEWEST_COPIES, MOST_COPIES))
        return cls(contract, np.where(spread > 0, spread, np.nan), seed, fewest)

    def added_to(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return canonical rows of whole runs with their departed copies after them (index 0, 1, 2, ...)."""
        channels = self._channels()
        if rows.empty or not len(channels):
            return rows
        starts, ends = np.flatnonzero(run_starts(rows)), last_rows(rows)
        made = [rows]
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            run = rows.iloc[start : end + 1]
            generator = np.random.default_rng([self.seed, *f"{run['asset'].iat[0]}/{run['run'].iat[0]}".encode()])
            count = np.clip(len(run) // ((BEFORE + AFTER) * self.contract.window.length), self.fewest, MOST_COPIES)
            made += [self._copy(run, number, channels, generator) for number in range(1, int(count) + 1)]
        return pd.concat(made, ignore_index=True)

    def _channels(self) -> NDArray[np.int64]:
        """Return the positions of the channels that may depart: sensors that vary, else any number that does."""
        is_number = [channel.categories is None for channel in self.contract.channels.values()]
        varies = np.isfinite(self.spread) & is_number
        sensor = np.array([channel.role == "sensor" for channel in self.contract.channels.values()])
        return np.flatnonzero(varies & sensor) if (varies & sensor).any() else np.flatnonzero(varies)

    def _copy(
        self, run: pd.DataFrame, number: int, channels: NDArray[np.int64], generator: np.random.Generator
    ) -> pd.DataFrame:
        length = self.contract.window.length
        onset = int(generator.integers(min(len(run) - 1, length // 2), len(run)))
        onset = min(onset, max(0, len(run) - length))  # so that it lasts a window, where the run does
        part = run.iloc[max(0, onset - BEFORE * length) : onset + AFTER * length]
        begin = onset - max(0, onset - BEFORE * length)
        names = list(self.contract.channel_names)
        values, whole = part[names].to_numpy(np.float64, copy=True), run[names].to_numpy(np.float64)
        kinds = list(CHANGES.values()) if len(part) - begin >= FEWEST_ROWS else [_shift]
        departs = kinds[int(generator.integers(len(kinds)))]
        most = min(MOST_CHANNELS, len(channels))
        for channel in generator.choice(channels, generator.integers(1, most + 1), replace=False).tolist():
            after = values[begin:, channel]
            values[begin:, channel] = departs(after, whole[:, channel], float(self.spread[channel]), generator)
        low, high = np.array([(one.min, one.max) for one in self.contract.channels.values()], np.float64).T
        classes = np.full(len(part), FAULT_UNKNOWN, np.int8)
        classes[begin + int(SEEN_AFTER * (length - 1)) :] = 1
        changed = dict(zip(names, np.clip(values, low, high).T.astype(np.float32), strict=True))
        faults = {fault_column(axis): np.int8(FAULT_UNKNOWN) for axis in self.contract.axes}
        ended = {ENDED: UNKNOWN} if ENDED in part else {}
        return part.assign(
            asset=f"{part['asset'].iat[0]}~departed-{number}",
            rul=np.float32("nan"),
            **ended,
            **changed,
            **(faults | {fault_column(HEALTH): classes}),
        )


def is_made(assets: "pd.Series[str]") -> NDArray[np.bool_]:
    """Return for each row (N,) whether it is of a departed copy."""
    return assets.map({name: is_copy(str(name)) for name in assets.unique()}).to_numpy(bool)


def is_copy(asset: str) -> bool:
    """Return whether this is the name of a departed copy."""
    return MADE.search(asset) is not None


def copied_from(copy: str) -> str:
    """Return the asset or unit that a copy was made of."""
    return MADE.sub("", copy)


def copy_sources(rows: pd.DataFrame, first: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first row (R,) of the run that each row's copy is of; of other rows their own run's."""
    starts = np.unique(first)
    names = [copied_from(name) for name in rows["asset"].iloc[starts].tolist()]
    keys = list(zip(names, rows["run"].iloc[starts].tolist(), strict=True))
    of_run: dict[tuple[str, int], int] = {}
    for key, start in zip(keys, starts.tolist(), strict=True):
        of_run.setdefault(key, start)  # a run stands before its copies
    return np.array([of_run[key] for key in keys], np.int64)[np.searchsorted(starts, first)]


def draw_cuts(rows: pd.DataFrame, contract: Twin, cuts: int, seed: int) -> NDArray[np.int64]:
    """Draw cuts, (M,) positions, by `random_cuts`: `cuts` of each run.

    Where health is asked for, a few of a copy, and of a recorded run one per window at least, since alarms are rare.
    """
    shortest = contract.window.shortest
    if contract.health is None:
        return random_cuts(rows, cuts, shortest, seed)
    made = is_made(rows["asset"])
    own = np.flatnonzero(~made)
    runs = max(1, int(run_starts(rows.iloc[own]).sum()))
    many = int(np.clip(len(own) / runs / contract.window.length, cuts, max(cuts, MOST_CUTS)))
    parts = [
        part[random_cuts(rows.iloc[part], count, shortest, seed)]
        for part, count in ((own, many), (np.flatnonzero(made), min(cuts, CUTS_OF_A_COPY)))
        if len(part)
    ]
    return np.sort(np.concatenate(parts)) if parts else np.empty(0, np.int64)


def _shift(after: Values, _: Values, spread: float, generator: np.random.Generator) -> Values:
    return after + _sign(generator) * generator.uniform(2, 6) * spread


def _drift(after: Values, _: Values, spread: float, generator: np.random.Generator) -> Values:
    return after + _sign(generator) * generator.uniform(4, 9) * spread * np.linspace(0, 1, len(after))


def _sign(generator: np.random.Generator) -> float:
    return 1.0 if generator.random() < 0.5 else -1.0


def _stick(after: Values, _: Values, __: float, ___: np.random.Generator) -> Values:
    return np.where(np.isnan(after), after, after[0])


def _shake(after: Values, _: Values, spread: float, generator: np.random.Generator) -> Values:
    return after + generator.normal(0, generator.uniform(1.5, 4) * spread, len(after))


def _part_ways(after: Values, whole: Values, _: float, generator: np.random.Generator) -> Values:
    """Replace values by those of another part of the run, so that the channel no longer goes with the others."""
    away = int(generator.integers(len(whole) // 4, max(len(whole) * 3 // 4, len(whole) // 4 + 1)))
    return np.resize(np.roll(whole, away)[-len(after) :], len(after))


Change = Callable[[Values, Values, float, np.random.Generator], Values]
CHANGES: dict[str, Change] = {
    "shift": _shift,
    "drift": _drift,
    "stuck": _stick,
    "noise": _shake,
    "lost correlation": _part_ways,
}
