"""A run as a picture needs it: RUL and channels in at most so many pieces of time, each with its extremes."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from foretwin.champion.champion import champion_stamp, load_champion
from foretwin.contract.twin import Twin
from foretwin.errors import BundleError, RegistryError
from foretwin.twin.store import Connection, listing, timeline
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.listing import Page
from foretwin.twin.store.scoring.scores import course
from foretwin.twin.store.telemetry.history import readings_of, time_span
from foretwin.twin.store.telemetry.machine_events import events_of_run

DIGITS = 5  # significant ones, of float32 values that are drawn
MOST_MARKS, MOST_EVENTS = 200, 50
ALL_CASES = Page(MOST_MARKS, 0, "id", descending=False)

Array = NDArray[np.float64]
Values = list[float | None]
Range = tuple[float | None, float | None]


class RulLimits(BaseModel):
    """Where a case opens and closes by the RUL, and above which lives are not told apart."""

    open_below: float | None
    close_above: float | None
    cap: float


class RulCourse(BaseModel):
    """The RUL of the last score in each piece, with its interval."""

    value: Values
    low: Values
    high: Values


class ChannelCourse(BaseModel):
    """A channel in each piece; `limits` are those of a valid reading, `trained` what the champion learnt from."""

    unit: str
    limits: tuple[float, float]
    trained: Range | None
    min: Values
    max: Values
    last: Values


class Mark(BaseModel):
    """What happened at a time of the run: a case that opened, maintenance, or an event that the machine reported."""

    time: float
    kind: Literal["case", "maintenance", "event"]
    what: str
    case: int | None


class Series(BaseModel):
    """One run as a picture needs it; `time` is since the run began, in `unit`."""

    asset: str
    twin: str
    run: int
    unit: str
    limits: RulLimits | None
    marks: list[Mark]
    time: list[float]
    rul: RulCourse | None
    channels: dict[str, ChannelCourse]


def trained_ranges(root: Path, twin: str) -> Mapping[str, Range]:
    """Return channel -> lowest and highest value on the assets that the champion learnt from; empty without one."""
    return _ranges_of(root, twin, champion_stamp(root, twin))


@lru_cache(64)
def _ranges_of(root: Path, twin: str, _stamp: object) -> Mapping[str, Range]:
    try:
        bundle = load_champion(root, twin, None).bundle
    except (BundleError, RegistryError):
        return {}
    low, high = bundle.reference.ranges.astype(np.float64)
    ends = zip(_numbers(low), _numbers(high), strict=True)
    return dict(zip(bundle.contract.channel_names, ends, strict=True))


def run_series(
    connection: Connection, root: Path, contract: Twin, asset: Asset, run: int, points: int
) -> dict[str, Any]:
    """Return one run of an asset in at most `points` pieces of equal length, none shorter than the clock's step.

    `time` is the middle of each, `channels` has `min`, `max` and `last` of the values within it, `rul` that of the last
    score with its interval; null where a piece has none, so that a gap stays one. `marks` are its cases and works.
    """
    span = time_span(connection, asset.id, run)
    policy = contract.cases
    limits = {"open_below": policy.open_below, "close_above": policy.close_above}
    rul = None if contract.rul is None else {**limits, "cap": contract.rul.cap}
    shown: dict[str, Any] = {"unit": contract.clock.unit, "limits": rul, "marks": _marks(connection, asset, run)}
    if span is None:
        return {**shown, "time": [], "rul": None, "channels": {}}
    pieces = _Pieces(*span, contract.clock.step, points)
    shown["time"] = _numbers(pieces.middles)
    shown["rul"] = None if contract.rul is None else _rul(connection, asset.id, run, pieces)
    channels, known = _channels(connection, contract, asset.id, run, pieces), trained_ranges(root, contract.name)
    return {**shown, "channels": {name: one | {"trained": known.get(name)} for name, one in channels.items()}}


class _Pieces:
    """Equal pieces of the time from `first` to `last`, the first centred on `first`."""

    def __init__(self, first: float, last: float, step: float, most: int) -> None:
        length = max(step, (last - first) / max(most - 1, 1))
        self.first, self.length = first, length
        self.count = int(np.floor((last - first) / length + 0.5)) + 1
        self.middles: Array = (first + length * np.arange(self.count)).astype(np.float64)

    def of(self, times: Array) -> NDArray[np.int64]:
        """(N,) times -> the number of each one's piece."""
        return np.floor((times - self.first) / self.length + 0.5).astype(np.int64).clip(0, self.count - 1)


def _channels(
    connection: Connection, contract: Twin, asset_id: int, run: int, pieces: _Pieces
) -> dict[str, dict[str, Any]]:
    names = contract.channel_names
    shape = (pieces.count, len(names))
    low, high, last = np.full(shape, np.inf), np.full(shape, -np.inf), np.full(shape, np.nan)
    for rows in readings_of(connection, contract.name, names, [(asset_id, run)]):
        place = pieces.of(rows["time"].to_numpy(np.float64))
        values = rows[list(names)].to_numpy(np.float64)
        known = np.isfinite(values)
        np.minimum.at(low, place, np.where(known, values, np.inf))
        np.maximum.at(high, place, np.where(known, values, -np.inf))
        for column in range(len(names)):
            there = known[:, column]
            last[place[there], column] = values[there, column]  # rows are in order of time: the last one stays
    return {
        name: {
            "unit": contract.channels[name].unit,
            "limits": [contract.channels[name].min, contract.channels[name].max],
            "min": _numbers(low[:, i]),
            "max": _numbers(high[:, i]),
            "last": _numbers(last[:, i]),
        }
        for i, name in enumerate(names)
    }


def _rul(connection: Connection, asset_id: int, run: int, pieces: _Pieces) -> dict[str, Values]:
    found = np.array(course(connection, asset_id, run), np.float64).reshape(-1, 4)  # None becomes NaN
    values = np.full((pieces.count, 3), np.nan)
    values[pieces.of(found[:, 0])] = found[:, 1:]
    return {name: _numbers(values[:, i]) for i, name in enumerate(("value", "low", "high"))}


def _marks(connection: Connection, asset: Asset, run: int) -> list[dict[str, Any]]:
    """Return what happened at a time of the run: cases as they opened, maintenance, and the machine's events."""
    opened = listing.list_cases(connection, ALL_CASES, {"asset": asset.name, "run": run})
    done = [row for row in timeline.maintenance_of(connection, asset.id, (None, None)) if row["run"] == run]
    reported = events_of_run(connection, asset.id, run, MOST_EVENTS)
    marks = [
        *({"time": one["opened_time"], "kind": "case", "what": one["fault"], "case": one["id"]} for one in opened),
        *({"time": one["time"], "kind": "maintenance", "what": one["kind"], "case": one["case"]} for one in done),
        *({"time": time, "kind": "event", "what": code, "case": None} for code, time in reported),
    ]
    return sorted((one for one in marks if one["time"] is not None), key=lambda one: one["time"])[:MOST_MARKS]


def _numbers(values: Array) -> Values:
    """Return them as they are shown; None for what is not there."""
    return [float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None for value in values.tolist()]
