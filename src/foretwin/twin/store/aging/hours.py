"""Hours: what the readings of a run come to per hour of receipt, once an archive holds them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, tuple_, update

from foretwin.twin.store.aging.holds import held_assets
from foretwin.twin.store.archive_tables import hours
from foretwin.twin.store.telemetry.readings import layout_number

RUNS_AT_ONCE = 1_000  # in one statement: SQLite takes 32,766 values
# Written by hand: thousands of hours in a transaction, which readings wait for.
INSERT = (
    "INSERT INTO hours (asset, run, hour, archive, count, first_time, last_time, first_at, last_at, layout, channels)"
    " VALUES ({})"
)


@dataclass(frozen=True)
class HourSum:
    """An hour of a run. `channels` are the bytes of float32: all means, then all minima, then all maxima."""

    asset: int
    run: int
    hour: int  # since 1970, UTC, of receipt
    count: int
    first_time: float
    last_time: float
    first_at: datetime
    last_at: datetime
    channels: bytes


def add_hours(
    connection: Connection, twin: str, channels: Sequence[str], archive: int, found: Iterable[HourSum]
) -> None:
    """Store the hours of an archive; `channels` name what their bytes hold."""
    layout = layout_number(connection, twin, tuple(channels))
    kind: Any = hours.c.first_at.type
    rows = []
    for one in found:
        moments = (kind.process_bind_param(moment, connection.dialect) for moment in (one.first_at, one.last_at))
        times = (one.count, one.first_time, one.last_time, *moments)
        rows.append((one.asset, one.run, one.hour, archive, *times, layout, one.channels))
    if rows:
        marker = "%s" if connection.dialect.name == "postgresql" else "?"
        connection.exec_driver_sql(INSERT.format(", ".join([marker] * len(rows[0]))), rows)


def drop_channels(connection: Connection, archive: int, of: Sequence[tuple[int, int, int]]) -> int:
    """Drop what hours (asset, run, hour) of an archive say of channels, but not of held assets; return how many."""
    key = tuple_(hours.c.asset, hours.c.run, hours.c.hour)
    mine = (hours.c.archive == archive, hours.c.asset.not_in(held_assets()), func.length(hours.c.channels) > 0)
    dropped = 0
    for begin in range(0, len(of), RUNS_AT_ONCE):
        aged = update(hours).where(*mine, key.in_(list(of[begin : begin + RUNS_AT_ONCE])))
        dropped += connection.execute(aged.values(channels=b"")).rowcount
    return dropped


def archived_hours(
    connection: Connection, asset_id: int, period: tuple[datetime | None, datetime | None], limit: int
) -> list[Row[Any]]:
    """Return run, count, first_time, last_time, first_at, last_at of the newest hours that touch the period."""
    since, until = period
    columns = (hours.c.run, hours.c.count, hours.c.first_time, hours.c.last_time, hours.c.first_at, hours.c.last_at)
    query = select(*columns).where(hours.c.asset == asset_id)
    query = query if since is None else query.where(hours.c.last_at >= since)
    query = query if until is None else query.where(hours.c.first_at <= until)
    return list(connection.execute(query.order_by(hours.c.last_at.desc(), hours.c.run.desc()).limit(limit)))


def archived_counts(connection: Connection, of: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Return (asset, run) -> how many of its readings archives hold, for at most 1,000 of them."""
    query = select(hours.c.asset, hours.c.run, func.sum(hours.c.count))
    query = query.where(tuple_(hours.c.asset, hours.c.run).in_(list(of))).group_by(hours.c.asset, hours.c.run)
    return {(asset, run): int(count) for asset, run, count in connection.execute(query)}


def archives_with(connection: Connection, asset_ids: Sequence[int]) -> dict[int, set[int]]:
    """Return archive -> which of these assets have readings in it."""
    found: defaultdict[int, set[int]] = defaultdict(set)
    for begin in range(0, len(asset_ids), RUNS_AT_ONCE):
        some = hours.c.asset.in_(list(asset_ids[begin : begin + RUNS_AT_ONCE]))
        for archive, asset in connection.execute(select(hours.c.archive, hours.c.asset).where(some).distinct()):
            found[archive].add(asset)
    return dict(found)


def archived_until(connection: Connection, asset_id: int, run: int, upto: float) -> float | None:
    """Return the time of the last archived reading of a run up to a time, to the hour; None without any."""
    mine = (hours.c.asset == asset_id, hours.c.run == run, hours.c.last_time <= upto)
    found: float | None = connection.execute(select(func.max(hours.c.last_time)).where(*mine)).scalar()
    return found
