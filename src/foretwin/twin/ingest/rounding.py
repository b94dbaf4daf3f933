"""Readings whose times differ by no more than the rounding of a clock are one reading."""

import numpy as np
from numpy.typing import NDArray

from foretwin.twin.store import Connection
from foretwin.twin.store.telemetry.readings import near_times

Times = NDArray[np.float64]


def rounded_times(
    connection: Connection,
    time: Times,
    group: NDArray[np.intp],
    runs: tuple[NDArray[np.int64], NDArray[np.int64], Times],
    near: float,
) -> Times:
    """Return the times (M,), each as the store or an earlier reading has it if that is so near.

    `group` (M,) says which of K runs each is of; `runs` are three arrays (K,): their assets, their numbers, and the
    times of their newest readings that are stored, NaN where there is none.
    """
    assets, numbers, newest = runs
    time = _within(time, group, near) if len(time) > len(numbers) else time
    behind = np.flatnonzero(time <= newest[group] + near)
    if len(behind) == 0:
        return time
    found = near_times(connection, assets[group[behind]], numbers[group[behind]], time[behind], near)
    known = ~np.isnan(found)
    time = time.copy()
    time[behind[known]] = found[known]
    return time


def _within(time: Times, group: NDArray[np.intp], near: float) -> Times:
    """Return times of which those that are near an earlier one of their run are that."""
    order = np.lexsort((time, group))
    ordered, of = time[order], group[order]
    step = np.diff(ordered)
    again = np.flatnonzero((of[1:] == of[:-1]) & (step > 0) & (step <= near)) + 1
    if len(again) == 0:
        return time
    for place in again.tolist():
        ordered[place] = ordered[place - 1]
    found = np.empty_like(time)
    found[order] = ordered
    return found
