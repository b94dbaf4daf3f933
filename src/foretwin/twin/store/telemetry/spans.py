"""Keep the tables `runs` and `reading_hours` in step with the readings that are stored.

The last hour of an asset is in its own row, which each of its readings changes anyway.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from foretwin.twin.store.assets import Asset
from foretwin.twin.store.scoring.scores import as_stored
from foretwin.twin.store.summaries import reading_hours, runs

HOUR = 3600
AT_ONCE = 10_000  # assets in one statement
# Written by hand: a row for each asset of each call.
_ADD = "INSERT INTO reading_hours (asset, hour, run, count, first_time, last_time, first_at, last_at)"
_MERGE = """ON CONFLICT (asset, hour, run) DO UPDATE SET count = reading_hours.count + excluded.count,
    first_time = {least}(reading_hours.first_time, excluded.first_time),
    last_time = {most}(reading_hours.last_time, excluded.last_time),
    first_at = {least}(reading_hours.first_at, excluded.first_at),
    last_at = {most}(reading_hours.last_at, excluded.last_at)"""
_HOURS_SQLITE = f"{_ADD} VALUES (?, ?, ?, ?, ?, ?, ?, ?) {_MERGE.format(least='min', most='max')}"
_HOURS_POSTGRESQL = f"""{_ADD} SELECT * FROM unnest(%b::int4[], %b::int4[], %b::int4[], %b::int8[], %b::float8[],
    %b::float8[], %b::timestamptz[], %b::timestamptz[]) {_MERGE.format(least="least", most="greatest")}"""  # noqa: S608 - of constants alone

_NEW_TIME: Any = bindparam("new_time")
_END = update(runs).where(runs.c.asset == bindparam("of"), runs.c.is_newest, runs.c.last_time < _NEW_TIME)
_END = _END.values(last_time=_NEW_TIME, last_at=bindparam("new_at"))


@dataclass(frozen=True)
class RunArrivals:
    """What one transaction stored of a run: how many readings, and the times of its first and last one."""

    asset: int
    run: int
    count: int
    first_time: float
    last_time: float


@dataclass(frozen=True)
class ReceiptHour:
    """The readings of one run that came in within one hour since 1970."""

    asset: int
    hour: int
    run: int
    count: int
    first_time: float
    last_time: float
    first_at: datetime
    last_at: datetime


def arrived(stored: RunArrivals, now: datetime) -> ReceiptHour:
    """Return what was stored as the readings of the hour of `now`."""
    times = stored.first_time, stored.last_time
    return ReceiptHour(stored.asset, int(now.timestamp()) // HOUR, stored.run, stored.count, *times, now, now)


def joined(one: ReceiptHour, other: ReceiptHour) -> ReceiptHour:
    """Return the readings of both, which are of the same asset, hour and run."""
    firsts = {name: min(getattr(one, name), getattr(other, name)) for name in ("first_time", "first_at")}
    lasts = {name: max(getattr(one, name), getattr(other, name)) for name in ("last_time", "last_at")}
    return replace(one, count=one.count + other.count, **firsts, **lasts)


def count_hours(connection: Connection, hours: Sequence[ReceiptHour]) -> None:
    """Add the readings of these hours to what is counted of the same hours; each may be given once."""
    if not hours:
        return
    rows = [astuple(one) for one in sorted(hours, key=lambda one: (one.asset, one.hour, one.run))]
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_HOURS_POSTGRESQL, tuple(map(list, zip(*rows, strict=True))))
        return
    moments = as_stored({at for row in rows for at in row[-2:]}, connection, reading_hours.c.first_at)
    connection.exec_driver_sql(_HOURS_SQLITE, [(*row[:-2], moments[row[-2]], moments[row[-1]]) for row in rows])


def extend_runs(
    connection: Connection,
    stored: Sequence[RunArrivals],
    now: datetime,
    known: Iterable[Asset],
    dated: Mapping[tuple[int, int], tuple[datetime, datetime]] | None = None,
) -> None:
    """Begin or extend the runs of arrivals that are not just the next of a present run.

    `known` are their assets as they were before these; `dated` is by asset and run when the first and the last of the
    arrivals were taken, where that was not now.
    """
    end_newest(connection, known)
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    into = dialect.insert(runs)
    new = into.excluded
    is_first, is_last = new.first_time < runs.c.first_time, new.last_time > runs.c.last_time
    values = {name: case((is_first, new[name]), else_=runs.c[name]) for name in ("first_time", "first_at")}
    values |= {name: case((is_last, new[name]), else_=runs.c[name]) for name in ("last_time", "last_at")}
    fixed = {"is_newest": False, "is_changed": True, "counted": []}
    rows = [asdict(one) | fixed for one in sorted(stored, key=lambda one: (one.asset, one.run))]
    for row in rows:
        del row["count"]
        row["first_at"], row["last_at"] = (dated or {}).get((row["asset"], row["run"]), (now, now))
    connection.execute(into.on_conflict_do_update(index_elements=["asset", "run"], set_=values), rows)
    other = runs.alias("other")
    newest = select(func.max(other.c.run)).where(other.c.asset == runs.c.asset).correlate(runs).scalar_subquery()
    numbers = sorted({one.asset for one in stored})
    for begin in range(0, len(numbers), AT_ONCE):
        some = runs.c.asset.in_(numbers[begin : begin + AT_ONCE])
        connection.execute(update(runs).where(some).values(is_newest=runs.c.run == newest))


def end_newest(connection: Connection, known: Iterable[Asset]) -> None:
    """Bring the newest runs of these assets up to their newest readings; what is counted of all their runs is old."""
    ordered = sorted(known, key=lambda one: one.id)
    read = [one for one in ordered if one.time is not None and one.received_at is not None]
    mark_changed(connection, *(one.id for one in ordered))
    if read:
        rows = [{"of": one.id, "new_time": one.time, "new_at": one.received_at} for one in read]
        connection.execute(_END, rows)


def mark_changed(connection: Connection, *asset_ids: int) -> None:
    """Note that what key figures count of these assets is no longer so."""
    for begin in range(0, len(asset_ids), AT_ONCE):
        mine = runs.c.asset.in_(asset_ids[begin : begin + AT_ONCE])
        connection.execute(update(runs).where(mine, ~runs.c.is_changed).values(is_changed=True))
