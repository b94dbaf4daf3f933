"""Channels that are made of events, filled in readings as they arrive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.categories import label_key
from foretwin.contract.source.side_tables import EventLog
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
    lacking = np.asarray(np.isnan(readings.values[runs.rows][:, places]).any(axis=1))
    if not lacking.any():
        return readings
    values, parts, longest = readings.values.copy(), _parts(readings, runs, lacking), _longest(contract, log)
    found = events_after(connection, _queries(contract, longest, readings, runs, parts))
    for number, part in enumerate(parts):
        rows, each = runs.rows[part], len(longest)
        times, newest = readings.time[rows], float(runs.newest[runs.group[part[0]]])
        before = _before(times, newest, contract.clock.step)
        of_code = dict(zip(longest, found[number * each : (number + 1) * each], strict=True))
        for name, code in (*log.counts.items(), *log.since.items()):
            events, place = of_code[label_key(code)], contract.channel_names.index(name)
            if name in log.counts:
                made = count_events(times, events, before)
            else:
                made = time_since_event(times, events, contract.channels[name].max)
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


def _parts(readings: Readings, runs: EventRuns, lacking: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """Return the places in `runs` of each run of which something is lacking, in order of time."""
    order = np.lexsort((readings.time[runs.rows], runs.group))
    begins = np.unique(runs.group[order], return_index=True)[1]
    return [part for part in np.split(order, begins[1:]) if lacking[part].any()]


def _longest(contract: Twin, log: EventLog) -> dict[str, float]:
    """Return by the code's key for how long an event counts after the row that it belongs to."""
    found: dict[str, float] = {label_key(code): 0.0 for code in log.counts.values()}
    for name, code in log.since.items():
        key = label_key(code)
        found[key] = max(found.get(key, 0.0), contract.channels[name].max)
    return found


def _queries(
    contract: Twin,
    longest: Mapping[str, float],
    readings: Readings,
    runs: EventRuns,
    parts: Sequence[NDArray[np.intp]],
) -> list[EventQuery]:
    """Return which events are asked for: run by run, each code later than a time."""
    queries = []
    for part in parts:
        group, first = runs.group[part[0]], float(readings.time[runs.rows[part[0]]])
        begin = float(np.fmin(first - contract.clock.step, runs.newest[group]))
        key = int(runs.asset[part[0]]), int(runs.run[group])
        queries += [EventQuery(*key, code, min(begin, first - length)) for code, length in longest.items()]
    return queries
