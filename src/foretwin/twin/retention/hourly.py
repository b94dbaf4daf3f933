"""Sum up readings per hour of receipt: mean, minimum and maximum of each channel, and how many there were."""

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from foretwin.twin.store.aging.due_readings import ReadingSlice
from foretwin.twin.store.aging.hours import HourSum


def sum_up(found: ReadingSlice) -> Iterator[HourSum]:
    """Yield the hours of some readings, in order of asset, run and hour; NaN where no reading has the channel."""
    if len(found) == 0:
        return
    hour = found.received_at.astype("datetime64[h]").astype(np.int64)
    order = np.lexsort((found.time, hour, found.run, found.asset))
    keys = np.stack([found.asset, found.run, hour])[:, order]
    begins = np.flatnonzero((np.diff(keys, axis=1, prepend=-1) != 0).any(axis=0))
    ends = np.append(begins[1:], len(found))
    values, received = found.measured[order], found.received_at[order]
    known = np.isfinite(values)
    count = np.maximum(np.add.reduceat(known, begins, axis=0), 1)
    mean = np.add.reduceat(np.where(known, values, 0).astype(np.float64), begins, axis=0) / count
    least, most = (np.fmin.reduceat(values, begins, axis=0), np.fmax.reduceat(values, begins, axis=0))
    mean = np.where(np.isnan(least), np.nan, mean)
    packed = np.concatenate([mean, least, most], axis=1).astype("<f4")
    time = found.time[order]
    for i, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
        asset, run, of = keys[:, begin].tolist()
        moments = _moment(received[begin:end].min()), _moment(received[begin:end].max())
        times = float(time[begin]), float(time[end - 1])
        yield HourSum(asset, run, of, end - begin, *times, *moments, packed[i].tobytes())


def _moment(value: np.datetime64) -> datetime:
    moment: datetime = value.astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC)
