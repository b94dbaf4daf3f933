"""Channels that are made of events: how many there were since the row before, and how long ago the last one was.

Pure functions of one machine: `times` (N,) of its rows, in ascending order, and `events` (E,), those of one code.
"""

import numpy as np
from numpy.typing import NDArray

Moments = NDArray[np.float64]


def count_events(times: Moments, events: Moments, before: Moments) -> NDArray[np.float64]:
    """Count the events (N,) up to each row and later than `before` (N,), the time of the row before it."""
    ordered = np.sort(events)
    counts = np.searchsorted(ordered, times, "right") - np.searchsorted(ordered, before, "right")
    return counts.astype(np.float64)


def rows_before(times: Moments, first: float) -> Moments:
    """Return the time (N,) of the row before each, in ascending order; `first` is that of the first one."""
    return np.append(first, times[:-1])


def time_since_event(times: Moments, events: Moments, longest: float) -> NDArray[np.float64]:
    """Compute the time (N,) since the last event up to the row; `longest` where it is longer, or there was none."""
    ordered = np.append(-np.inf, np.sort(events))
    since: NDArray[np.float64] = times - ordered[np.searchsorted(ordered, times, "right") - 1]
    return np.minimum(since, longest)
