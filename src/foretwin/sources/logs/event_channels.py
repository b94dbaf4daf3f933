"""Channels that are made of events: how many there were since the row before, and how long ago the last one was.

Pure functions of one machine: `times` (N,) of its rows, in ascending order, and `events` (E,), those of one code.
"""

import numpy as np
from numpy.typing import NDArray

Moments = NDArray[np.float64]


def count_events(times: Moments, events: Moments, step: float) -> NDArray[np.float64]:
    """Count the events (N,) later than the row before, up to the row itself; those of the first row within a `step`."""
    ordered = np.sort(events)
    before = np.append(times[:1] - step, times[:-1])
    counts = np.searchsorted(ordered, times, "right") - np.searchsorted(ordered, before, "right")
    return counts.astype(np.float64)


def time_since_event(times: Moments, events: Moments, longest: float) -> NDArray[np.float64]:
    """Compute the time (N,) since the last event up to the row; `longest` where it is longer, or there was none."""
    ordered = np.append(-np.inf, np.sort(events))
    since: NDArray[np.float64] = times - ordered[np.searchsorted(ordered, times, "right") - 1]
    return np.minimum(since, longest)
