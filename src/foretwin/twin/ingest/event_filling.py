"""Channels that are made of events, filled in readings as they arrive."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.categories import label_key
from foretwin.contract.side_tables import EventLog
from foretwin.contract.twin import Twin
from foretwin.dataset.event_channels import count_events, rows_before, time_since_event
from foretwin.twin.store import Connection
from foretwin.twin.store.telemetry.machine_events import EventQuery, events_after
from foretwin.wire.as_sent import event_log
from foretwin.wire.readings import Readings


@dataclass(frozen=True)
class EventRuns:
    """M valid readings in K runs: `rows` (M,) are their places, `group` (M,) their runs, `asset` (M,) the store's ids.

    `run` (K,) are the runs' numbers, `newest` (K,) the times of their newest stored readings, NaN where there is none.
    """

    rows: NDArray[np.intp]
    group: NDArray[np.intp]
    asset: NDArray[np.int64]
    run: NDArray[np.int64]
    newest: NDArray[np.float64]


def fill_events(connection: Connection, contract: Twin, readings: Readings, runs: EventRuns) -> Readings:
    """Return the readings with the channels that are made of events, where their sender left these out.

    An event that is told later than the reading that it belongs to does not change it.
    """
    log = event_log(contract)
    if log is None:
        return readings
    names = [*log.counts, *log.since]
    places = [contract.channel_names.index(name) for name in names]
    lacking = np.isnan(readings.values[runs.rows][:, places]).any(axis=1)
    if not lacking.any():
        return readings
    values = readings.values.copy()
    wanted = _wanted(contract, log, readings, runs, np.unique(runs.group[lacking]))
    found = dict(zip(wanted, events_after(connection, wanted), strict=True))
    for group in np.unique(runs.group[lacking]).tolist():
        rows = runs.rows[runs.group == group]
        rows = rows[np.argsort(readings.time[rows], kind="stable")]
        times = readings.time[rows]
        before = _before(times, float(runs.newest[group]), contract.clock.step)
        of_group = {one.code: events for one, events in found.items() if one.group == group}
        for name, code in (*log.counts.items(), *log.since.items()):
            events, place = of_group[label_key(code)], contract.channel_names.index(name)
            is_count = name in log.counts
            longest = contract.channels[name].max
            made = count_events(times, events, before) if is_count else time_since_event(times, events, longest)
            values[rows, place] = np.where(np.isnan(values[rows, place]), made, values[rows, place])
    return replace(readings, values=values)


def without_events(readings: Readings, contract: Twin) -> Readings:
    """Return the readings without the channels that are made of events: what their sender said, to compare by."""
    log = event_log(contract)
    if log is None:
        return readings
    said = [i for i, name in enumerate(readings.channels) if name not in log.counts and name not in log.since]
    return replace(readings, channels=tuple(readings.channels[i] for i in said), values=readings.values[:, said])


def _before(times: NDArray[np.float64], newest: float, step: float) -> NDArray[np.float64]:
    """Return the time (N,) of the row before each of a run; a step before it where that is not known."""
    before = rows_before(times, newest if newest < times[0] else times[0] - step)
    return np.where(newest < times, np.fmax(before, newest), before)


def _wanted(
    contract: Twin, log: EventLog, readings: Readings, runs: EventRuns, groups: NDArray[np.intp]
) -> list[EventQuery]:
    """Return which events of each run are asked for: of a code, later than a time."""
    codes: dict[str, float] = {label_key(code): 0.0 for code in log.counts.values()}
    for name, code in log.since.items():
        key = label_key(code)
        codes[key] = max(codes.get(key, 0.0), contract.channels[name].max)
    wanted = []
    for group in groups.tolist():
        mine = runs.group == group
        first = float(readings.time[runs.rows[mine]].min())
        begin = float(np.fmin(first - contract.clock.step, runs.newest[group]))
        asset, run = int(runs.asset[mine][0]), int(runs.run[group])
        wanted += [EventQuery(group, asset, run, code, min(begin, first - longest)) for code, longest in codes.items()]
    return wanted
