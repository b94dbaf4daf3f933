"""Readings that others contradict: find them, and take them out of everything that counts readings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select, update

from foretwin.twin.store.scoring.urgency import note_urgency
from foretwin.twin.store.summaries import reading_hours, runs
from foretwin.twin.store.tables import assets, batches, layouts, readings, scores, shadow_scores
from foretwin.twin.store.telemetry.packing import unpack_channels
from foretwin.twin.store.telemetry.spans import HOUR, mark_changed


@dataclass(frozen=True)
class OddReading:
    """A stored reading far ahead of the others, when it came, and its values by channel."""

    time: float
    batch: int
    received_at: datetime
    channels: dict[str, float]


def beyond(connection: Connection, asset: int, run: int, time: float, most: int) -> list[OddReading]:
    """Return the first `most` readings of a run after that time, in order."""
    columns = (readings.c.time, readings.c.batch, batches.c.received_at, layouts.c.channels, readings.c.channels)
    query = select(*columns).join(batches, batches.c.id == readings.c.batch)
    query = query.join(layouts, layouts.c.id == readings.c.layout).where(*_of_run(asset, run), readings.c.time > time)
    found = []
    for at, batch, received_at, names, packed in connection.execute(query.order_by(readings.c.time).limit(most)):
        values = unpack_channels([packed], names.split(","), names.split(","))[0].tolist()
        found.append(OddReading(at, batch, received_at, dict(zip(names.split(","), values, strict=True))))
    return found


def count_between(connection: Connection, asset: int, run: int, odd: Sequence[OddReading]) -> int:
    """Return how many readings came after all of the odd ones, and before the newest batch, with an earlier time."""
    newest = select(func.max(readings.c.batch)).where(*_of_run(asset, run)).scalar_subquery()
    came = and_(readings.c.batch > max(one.batch for one in odd), readings.c.batch < newest)
    query = select(func.count()).select_from(readings).where(*_of_run(asset, run), came)
    return int(connection.execute(query.where(readings.c.time < odd[0].time)).scalar_one())


def take_out(connection: Connection, asset: int, run: int, odd: Sequence[OddReading], late: int) -> None:
    """Remove these readings with their scores; those before, of which `late` no longer are late, count again."""
    first = min(one.time for one in odd)
    for table in (readings, scores, shadow_scores):
        connection.execute(delete(table).where(table.c.asset == asset, table.c.run == run, table.c.time >= first))
    left = select(readings.c.time, batches.c.received_at).join(batches, batches.c.id == readings.c.batch)
    newest = connection.execute(left.where(*_of_run(asset, run)).order_by(readings.c.time.desc()).limit(1)).one()
    changed: dict[str, Any] = {"readings": assets.c.readings - len(odd), "late": assets.c.late - late}
    mine = assets.c.id == asset
    connection.execute(update(assets).where(mine).values(changed))
    connection.execute(
        update(assets).where(mine, assets.c.run == run).values(time=newest.time, received_at=newest.received_at)
    )
    of_run = and_(runs.c.asset == asset, runs.c.run == run)
    connection.execute(update(runs).where(of_run).values(last_time=newest.time, last_at=newest.received_at))
    mark_changed(connection, asset)
    note_urgency(connection, [asset])
    for hour in {int(one.received_at.timestamp()) // HOUR for one in odd}:
        _count_again(connection, asset, run, hour)


def _count_again(connection: Connection, asset: int, run: int, hour: int) -> None:
    """Count anew the readings of a run that came in within an hour, in the asset's row if that was its last one."""
    begin = datetime.fromtimestamp(hour * HOUR, UTC)
    within = and_(batches.c.received_at >= begin, batches.c.received_at < begin + timedelta(seconds=HOUR))
    sums = (func.count(), func.min(readings.c.time), func.max(readings.c.time))
    moments = (func.min(batches.c.received_at), func.max(batches.c.received_at))
    query = select(*sums, *moments).join(batches, batches.c.id == readings.c.batch).where(*_of_run(asset, run), within)
    count, *ends = connection.execute(query).one()
    values = dict(zip(("count", "first_time", "last_time", "first_at", "last_at"), (count, *ends), strict=True))
    last = and_(assets.c.id == asset, assets.c.hour == hour, assets.c.hour_run == run)
    of_asset = {f"hour_{name}": value for name, value in values.items()}
    if not count:
        of_asset = dict.fromkeys(("hour", "hour_run", *of_asset))
    connection.execute(update(assets).where(last).values(of_asset))
    this = and_(reading_hours.c.asset == asset, reading_hours.c.hour == hour, reading_hours.c.run == run)
    of_hour = update(reading_hours).where(this).values(values) if count else delete(reading_hours).where(this)
    connection.execute(of_hour)


def _of_run(asset: int, run: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return readings.c.asset == asset, readings.c.run == run
