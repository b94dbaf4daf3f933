"""Rows of one asset's history in order of their moments; `twin.timeline` merges them."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, exists, func, or_, select

from foretwin.twin.store.aging.archives import last_archived
from foretwin.twin.store.aging.hours import archived_hours
from foretwin.twin.store.listing import Row
from foretwin.twin.store.summaries import case_comments, reading_hours
from foretwin.twin.store.tables import (
    assets,
    audit,
    batches,
    cases,
    maintenance,
    models,
    parts,
    readings,
    scores,
    verdicts,
)
from foretwin.twin.store.telemetry.arrivals import last_hour
from foretwin.twin.store.telemetry.spans import ReceiptHour, joined

Period = tuple[datetime | None, datetime | None]  # both ends belong to it; None: without that end
HOUR = 3600


def received_hours(connection: Connection, asset_id: int, period: Period, limit: int) -> list[Row]:
    """Return per run and hour of receipt: count, first_time, last_time, first_at, last_at; newest first.

    At most `limit` of them. An hour that the period cuts is counted from its readings, as far as they are still there.
    """
    hour, (since, until) = reading_hours.c.hour, period
    query = select(reading_hours).where(reading_hours.c.asset == asset_id)
    query = query if since is None else query.where(hour >= _hour_of(since))
    query = query if until is None else query.where(hour <= _hour_of(until))
    query = query.order_by(hour.desc(), reading_hours.c.run.desc()).limit(limit)
    past = [ReceiptHour(**row) for row in _rows(connection, query)]
    hours = _with_last(past, last_hour(connection, asset_id), period)[:limit]
    found = [_cut(connection, asdict(one), period) for one in hours]
    hidden = ("asset", "hour")
    shown = [{name: value for name, value in row.items() if name not in hidden} for row in found if row]
    return sorted(shown, key=lambda row: (row["last_at"], row["run"]), reverse=True)


def _with_last(past: list[ReceiptHour], last: ReceiptHour | None, period: Period) -> list[ReceiptHour]:
    """Return the hours with the asset's last one, of which a part may be among them; newest first."""
    since, until = period
    if last is None or (since and last.hour < _hour_of(since)) or (until and last.hour > _hour_of(until)):
        return past
    found = {(one.hour, one.run): one for one in past}
    key = last.hour, last.run
    found[key] = joined(found[key], last) if key in found else last
    return [found[key] for key in sorted(found, reverse=True)]


def newest_scores(connection: Connection, asset_id: int, period: Period, most: int) -> list[Row]:
    """Return the newest `most` scores with name and version of their models, the oldest first; no probabilities."""
    columns = (scores.c.scored_at, scores.c.run, scores.c.time, scores.c.rul, scores.c.rul_low, scores.c.rul_high)
    query = select(*columns, scores.c.diagnosis, models.c.name.label("model"), models.c.version)
    query = query.join(models, models.c.id == scores.c.model)
    query = query.where(scores.c.asset == asset_id, *_within(scores.c.scored_at, period))
    places = (scores.c.scored_at, scores.c.run, scores.c.time, scores.c.model)
    return _rows(connection, query.order_by(*(place.desc() for place in places)).limit(most))[::-1]


def cases_open_at(connection: Connection, asset_id: int, at: datetime) -> list[Row]:
    """Return the cases open at that moment, as they are now; `escalated`: whether that came only afterwards."""
    later = (audit.c.case == cases.c.id, audit.c.action == "case.escalated", audit.c.at > at)
    still = or_(cases.c.closed_at.is_(None), cases.c.closed_at > at)
    query = select(cases, exists().where(*later).label("escalated"))
    query = query.where(cases.c.asset == asset_id, cases.c.opened_at <= at, still)
    return _rows(connection, query.order_by(cases.c.id))


def verdicts_of(connection: Connection, asset_id: int, period: Period) -> list[Row]:
    """Return verdicts, oldest first."""
    query = select(verdicts).where(verdicts.c.asset == asset_id, *_within(verdicts.c.at, period))
    return _rows(connection, query.order_by(verdicts.c.at, verdicts.c.id))


def comments_of(connection: Connection, asset_id: int, period: Period) -> list[Row]:
    """Return the comments on the asset's cases, oldest first."""
    query = select(case_comments).where(case_comments.c.asset == asset_id, *_within(case_comments.c.at, period))
    return _rows(connection, query.order_by(case_comments.c.at, case_comments.c.id))


def maintenance_of(connection: Connection, asset_id: int, period: Period) -> list[Row]:
    """Return maintenance, oldest first."""
    query = select(maintenance).where(maintenance.c.asset == asset_id, *_within(maintenance.c.at, period))
    return _rows(connection, query.order_by(maintenance.c.at, maintenance.c.id))


def parts_of(connection: Connection, asset_id: int, period: Period) -> list[Row]:
    """Return the parts fitted or removed in the period."""
    inside = or_(_all(parts.c.fitted_at, period), _all(parts.c.removed_at, period))
    return _rows(connection, select(parts).where(parts.c.asset == asset_id, inside).order_by(parts.c.id))


def last_reading(connection: Connection, asset_id: int, at: datetime) -> Row | None:
    """Return run, time and received_at of the newest reading received up to that moment; to the hour where archived."""
    query = select(readings.c.run, readings.c.time, batches.c.received_at)
    query = query.join(batches, batches.c.id == readings.c.batch)
    query = query.where(readings.c.asset == asset_id, batches.c.received_at <= at)
    query = query.where(readings.c.batch > _archived(connection, asset_id))
    rows = _rows(connection, query.order_by(readings.c.run.desc(), readings.c.time.desc()).limit(1))
    if rows:
        return rows[0]
    for hour in archived_hours(connection, asset_id, (None, at), 2):
        if hour.last_at <= at:
            return {"run": hour.run, "time": hour.last_time, "received_at": hour.last_at}
    return None


def receipts(connection: Connection, asset_id: int, run: int, time: float, most: int) -> list[Row]:
    """Return time, received_at and via of a reading, and of the newest `most` before it that came in earlier batches.

    The newest first; empty where there is no such reading.
    """
    of_run = (readings.c.asset == asset_id, readings.c.run == run)
    query = select(readings.c.time, readings.c.batch, batches.c.received_at, batches.c.via)
    query = query.join(batches, batches.c.id == readings.c.batch).where(*of_run)
    own = _rows(connection, query.where(readings.c.time == time))
    if not own:
        return []
    earlier = query.where(readings.c.time < time, readings.c.batch < own[0]["batch"])
    return own + _rows(connection, earlier.order_by(readings.c.time.desc()).limit(most))


def _hour_of(moment: datetime) -> int:
    return int(moment.timestamp()) // HOUR


def _cut(connection: Connection, row: Row, period: Period) -> Row | None:
    """Return the row of an hour with what of it lies in the period; None where nothing does."""
    since, until = period
    if (since is None or row["first_at"] >= since) and (until is None or row["last_at"] <= until):
        return row
    columns = (readings.c.time, batches.c.received_at)
    query = select(*columns).join(batches, batches.c.id == readings.c.batch)
    place = (readings.c.asset == row["asset"], readings.c.run == row["run"])
    span = (readings.c.time >= row["first_time"], readings.c.time <= row["last_time"])
    held = connection.execute(query.where(*place, *span)).all()
    if not held:
        return row
    mine = [one for one in held if _hour_of(one.received_at) == row["hour"]]
    mine = [one for one in mine if not (since and one.received_at < since) and not (until and one.received_at > until)]
    if not mine:
        return None
    times, moments = [one.time for one in mine], [one.received_at for one in mine]
    ends = {"first_time": min(times), "last_time": max(times), "first_at": min(moments), "last_at": max(moments)}
    return {**row, "count": len(mine), **ends}


def newest_entry(connection: Connection) -> int:
    """Return the number of the audit's newest entry; 0 where it has none."""
    return connection.execute(select(func.max(audit.c.id))).scalar() or 0


def case_changes(connection: Connection, after: int) -> list[Row]:
    """Return audit entries about cases beyond that number, in order, with twin, fault and asset_name."""
    columns = (audit, cases.c.twin, cases.c.fault, assets.c.name.label("asset_name"))
    query = select(*columns).join(cases, cases.c.id == audit.c.case).outerjoin(assets, assets.c.id == cases.c.asset)
    query = query.where(audit.c.id > after, audit.c.action.startswith("case."))
    return _rows(connection, query.order_by(audit.c.id))


def _archived(connection: Connection, asset_id: int) -> int:
    """Return the batch up to which archives hold the asset's readings."""
    twin = connection.execute(select(assets.c.twin).where(assets.c.id == asset_id)).scalar() or ""
    return last_archived(connection, twin)


def _within(column: Any, period: Period) -> list[ColumnElement[bool]]:
    since, until = period
    return ([] if since is None else [column >= since]) + ([] if until is None else [column <= until])


def _all(column: Any, period: Period) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = column.is_not(None)
    for one in _within(column, period):
        condition &= one
    return condition


def _rows(connection: Connection, query: Select[Any]) -> list[Row]:
    return [{str(name): value for name, value in row.items()} for row in connection.execute(query).mappings()]
