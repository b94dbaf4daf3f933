"""A run as a picture needs it: RUL and channels in at most so many pieces of time, each with its extremes."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from foretwin.contract.twin import Twin
from foretwin.twin.store import Connection, listing, timeline
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.listing import Page
from foretwin.twin.store.scoring.scores import course
from foretwin.twin.store.telemetry.history import readings_of, time_span

DIGITS = 5  # significant ones, of float32 values that are drawn
MOST_MARKS = 200
ALL_CASES = Page(MOST_MARKS, 0, "id", descending=False)

Array = NDArray[np.float64]
Values = list[float | None]


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
    """A channel in each piece; `limits` are those of a valid reading."""

    unit: str
    limits: tuple[float, float]
    min: Values
    max: Values
    last: Values


class Mark(BaseModel):
    """What happened at a time of the run: a case that opened, or maintenance."""

    time: float
    kind: Literal["case", "maintenance"]
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


def run_series(connection: Connection, contract: Twin, asset: Asset, run: int, points: int) -> dict[str, Any]:
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
    return {**shown, "channels": _channels(connection, contract, asset.id, run, pieces)}


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
    """Return what happened at a time of the run: cases as they opened, and maintenance."""
    opened = listing.list_cases(connection, ALL_CASES, {"asset": asset.name, "run": run})
    done = [row for row in timeline.maintenance_of(connection, asset.id, (None, None)) if row["run"] == run]
    marks = [
        *({"time": one["opened_time"], "kind": "case", "what": one["fault"], "case": one["id"]} for one in opened),
        *({"time": one["time"], "kind": "maintenance", "what": one["kind"], "case": one["case"]} for one in done),
    ]
    return sorted((one for one in marks if one["time"] is not None), key=lambda one: one["time"])[:MOST_MARKS]


def _numbers(values: Array) -> Values:
    """Return them as they are shown; None for what is not there."""
    return [float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None for value in values.tolist()]
