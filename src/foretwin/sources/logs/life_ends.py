"""Ends of lives: where the lives of a machine are cut, and how each of them ended.

Pure functions and data. Times are those of the machine's rows, in the clock's unit.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.dataset.table import FAULT_UNKNOWN

FAILED, REACHED, REPLACED, REMOVED, RUNNING, UNKNOWN = "failed", "reached", "replaced", "removed", "running", "unknown"
WEIGHT = {FAILED: 0, REMOVED: 1, REPLACED: 2}  # which of several ends at one moment counts: the smallest


@dataclass(frozen=True)
class LifeEnds:
    """Ends (E,) of the lives of one machine in order of time: when, how, and the class of what failed, or -1."""

    time: NDArray[np.float64]
    how: NDArray[np.object_]
    label: NDArray[np.int8]

    @classmethod
    def none(cls) -> "LifeEnds":
        """Return no ends."""
        return cls(np.zeros(0), np.zeros(0, np.object_), np.zeros(0, np.int8))

    def plus_failures(self, times: NDArray[np.float64]) -> "LifeEnds":
        """Return these ends and failures at these times, of which nothing else is known."""
        more = pd.DataFrame({"time": times, "how": FAILED, "label": FAULT_UNKNOWN})
        own = pd.DataFrame({"time": self.time, "how": self.how, "label": self.label})
        return one_end_each(pd.concat([own, more]) if len(own) else more)


def one_end_each(records: pd.DataFrame) -> LifeEnds:
    """Return the ends of one machine from records (time, how, label) of any order, several at a moment being one.

    A failure is also its own repair, so that it counts; of failures of two classes at a moment the class is unknown.
    """
    weighed = records.assign(weight=records["how"].map(WEIGHT))
    first = weighed.sort_values(["time", "weight"], kind="stable")
    failed = first[first["how"] == FAILED]
    classes = failed.groupby("time")["label"].agg(["min", "max"])
    one = classes["min"].where(classes["min"] == classes["max"], FAULT_UNKNOWN)
    kept = first.drop_duplicates("time")
    label = kept["time"].map(one).fillna(FAULT_UNKNOWN)
    return LifeEnds(kept["time"].to_numpy(np.float64), kept["how"].to_numpy(object), label.to_numpy(np.int8))


@dataclass(frozen=True)
class LifeCut:
    """Lives of a machine's rows (N,): their numbers from 0, and of each row's life the end, how, and the class."""

    life: NDArray[np.int64]
    end: NDArray[np.float64]
    how: NDArray[np.object_]
    label: NDArray[np.int8]


def cut_lives(times: NDArray[np.float64], ends: LifeEnds) -> LifeCut:
    """Cut the rows of a machine, in any order, at its ends: a row at the moment of one is the last of its life.

    The end of rows after the last one is NaN, and unknown.
    """
    place = np.searchsorted(ends.time, times, "left")
    label = np.append(ends.label, np.int8(FAULT_UNKNOWN))
    return LifeCut(
        np.asarray(np.unique(place, return_inverse=True)[1], np.int64),
        np.append(ends.time, np.nan)[place],
        np.append(ends.how, UNKNOWN)[place],
        label[place],
    )


def last_class(
    cut: LifeCut, times: NDArray[np.float64], is_last: NDArray[np.bool_], span: float | None
) -> NDArray[np.int8]:
    """Return the class (N,) of each row of a fault axis whose labels are failures: the first, or what is to fail.

    A life's class holds within `span` before its end, or on its last row (`is_last`). So near to an end that is no
    failure it is unknown what would have come.
    """
    known_end = np.where(np.isnan(cut.end), np.inf, cut.end)
    near = is_last if span is None else known_end - times <= span * (1 + 1e-9)
    if span is not None:  # a life that goes on has only been seen up to its last row
        seen = pd.Series(times).groupby(cut.life).transform("max").to_numpy(np.float64)
        near = near | (np.isnan(cut.end) & (seen - times <= span * (1 + 1e-9)))
    failed = cut.how == FAILED
    return np.where(near, np.where(failed, cut.label, FAULT_UNKNOWN), 0).astype(np.int8)
