"""Count what arrives: an asset's newest reading, its sums, its last hour of receipt, and that it waits for a score."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, or_, select, update

from foretwin.twin.store.assets import AT_ONCE, Asset, quarter_of
from foretwin.twin.store.scoring.scores import as_stored
from foretwin.twin.store.scoring.urgency import note_urgency
from foretwin.twin.store.tables import assets
from foretwin.twin.store.telemetry.spans import ReceiptHour, RunArrivals, arrived, count_hours, joined


@dataclass(frozen=True)
class Arrivals:
    """What one transaction brought an asset: its newest reading and batch, and counts by kind."""

    id: int
    run: int
    time: float | None
    received_at: datetime | None
    batch: int
    readings: int
    duplicates: int
    late: int
    gaps: int


class KnownAssets(NamedTuple):
    """Assets by name, and by id the last hour of receipt of those that have one; locked by the transaction."""

    assets: dict[str, Asset]
    hours: dict[int, ReceiptHour]


_HOUR = [field.name for field in fields(ReceiptHour) if field.name != "asset"]  # `hour` and what the row says of it
_COLUMN = {name: assets.c[name if name == "hour" else f"hour_{name}"] for name in _HOUR}
_IDENTITY = [field.name for field in fields(Asset)]
_KNOWN = select(*(assets.c[name] for name in _IDENTITY), *_COLUMN.values())
# Locked in one order, so that two of these never wait for each other; SQLite has one writer anyway.
_KNOWN = _KNOWN.where(assets.c.name.in_(bindparam("wanted", expanding=True)))
_KNOWN = _KNOWN.order_by(assets.c.id).with_for_update(key_share=True)
# Written by hand: a row for each asset of each call, of which PostgreSQL takes all in one statement.
_NEWEST, _SUMS = ("run", "time", "received_at", "batch"), ("readings", "duplicates", "late", "gaps")
_LAST = [column.name for column in _COLUMN.values()]
_KINDS = {"run": "int4", "time": "float8", "received_at": "timestamptz", "hour": "int4", "hour_run": "int4"}
_KINDS |= {"hour_first_time": "float8", "hour_last_time": "float8"}
_KINDS |= {"hour_first_at": "timestamptz", "hour_last_at": "timestamptz"}
_GIVEN = (*_NEWEST, *_SUMS, *_LAST)
_ARRAYS = ", ".join(f"%b::{_KINDS.get(name, 'int8')}[]" for name in _GIVEN)
_SET_POSTGRESQL = [f"{name} = new.{name}" for name in (*_NEWEST, *_LAST)]
_SET_POSTGRESQL += [f"{name} = assets.{name} + new.{name}" for name in _SUMS]
_COUNT_POSTGRESQL = f"""UPDATE assets SET {", ".join(_SET_POSTGRESQL)}
    FROM unnest({_ARRAYS}, %b::int4[]) AS new ({", ".join(_GIVEN)}, id) WHERE assets.id = new.id"""  # noqa: S608 - of constants alone
_SET_SQLITE = [f"{name} = {name} + ?" if name in _SUMS else f"{name} = ?" for name in _GIVEN]
_COUNT_SQLITE = f"UPDATE assets SET {', '.join(_SET_SQLITE)} WHERE id = ?"  # noqa: S608 - of constants alone
_WAIT_POSTGRESQL = "INSERT INTO unscored (twin, asset) SELECT %s, unnest(%b::int4[]) ON CONFLICT DO NOTHING"
_WAIT_SQLITE = "INSERT INTO unscored (twin, asset) VALUES (?, ?) ON CONFLICT DO NOTHING"


def find_arriving(connection: Connection, names: Iterable[str]) -> KnownAssets:
    """Return the assets of these names as far as they exist, locked until the transaction ends."""
    found = KnownAssets({}, {})
    wanted = iter(dict.fromkeys(names))
    while some := list(islice(wanted, AT_ONCE)):
        for row in connection.execute(_KNOWN, {"wanted": some}):
            asset, (hour, *rest) = Asset(*row[: len(_IDENTITY)]), row[len(_IDENTITY) :]
            found.assets[asset.name] = asset
            if hour is not None:
                found.hours[asset.id] = ReceiptHour(asset.id, hour, *rest)
    return found


def last_hour(connection: Connection, asset_id: int) -> ReceiptHour | None:
    """Return the asset's last hour of receipt, which its own row has; None before its first reading."""
    row = connection.execute(select(*_COLUMN.values()).where(assets.c.id == asset_id)).first()
    return None if row is None or row[0] is None else ReceiptHour(asset_id, *row)


def count_arrivals(
    connection: Connection,
    twin: str,
    arrivals: Sequence[Arrivals],
    stored: Sequence[RunArrivals],
    hours: Mapping[int, ReceiptHour],
    now: datetime,
) -> None:
    """Count the arrivals of each of these assets.

    `stored` are the readings among them that were stored, by asset and run; `hours` are the assets' last hours before.
    """
    if not arrivals:
        return
    present, past = _turn([arrived(one, now) for one in stored], hours)
    _hear(connection, arrivals)
    _count(connection, arrivals, present)
    count_hours(connection, past)
    waiting = sorted({one.asset for one in stored})
    if waiting and connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_WAIT_POSTGRESQL, (twin, waiting))
    elif waiting:
        connection.exec_driver_sql(_WAIT_SQLITE, [(twin, number) for number in waiting])


def date_arrivals(connection: Connection, moments: Mapping[int, datetime]) -> None:
    """Note when assets were heard whose newest readings were taken at these moments, long before they came."""
    rows = [{"of": number, "at": moment, "quarter": quarter_of(moment)} for number, moment in moments.items()]
    if rows:
        of_those = update(assets).where(assets.c.id == bindparam("of"), assets.c.received_at == bindparam("at"))
        connection.execute(of_those.values(heard_in=bindparam("quarter"), is_silent=False), rows)
        note_urgency(connection, moments)


def _count(connection: Connection, arrivals: Sequence[Arrivals], present: Mapping[int, ReceiptHour]) -> None:
    """Bring the rows of these assets up to date; `present` are their last hours."""
    hours = [present.get(one.id) for one in arrivals]
    moments = {one.received_at for one in arrivals if one.received_at is not None}
    moments |= {at for hour in hours if hour for at in (hour.first_at, hour.last_at)}
    told: dict[datetime | None, Any] = {None: None}
    told.update(as_stored(moments, connection, assets.c.received_at).items())
    rows: list[tuple[Any, ...]] = []
    for one, hour in zip(arrivals, hours, strict=True):
        newest = (one.run, one.time, told[one.received_at], one.batch)
        last: tuple[Any, ...] = (None,) * len(_LAST)
        if hour:
            place = (hour.hour, hour.run, hour.count, hour.first_time, hour.last_time)
            last = (*place, told[hour.first_at], told[hour.last_at])
        rows.append((*newest, one.readings, one.duplicates, one.late, one.gaps, *last, one.id))
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_COUNT_POSTGRESQL, tuple(map(list, zip(*rows, strict=True))))
    else:
        connection.exec_driver_sql(_COUNT_SQLITE, rows)


def _turn(
    stored: Sequence[ReceiptHour], hours: Mapping[int, ReceiptHour]
) -> tuple[dict[int, ReceiptHour], list[ReceiptHour]]:
    """Return each asset's last hour with what was stored, and the hours that are past by it."""
    present, past = dict(hours), []
    for new in sorted(stored, key=lambda one: (one.asset, one.run)):
        before = present.get(new.asset)
        if before is not None and (before.hour, before.run) == (new.hour, new.run):
            present[new.asset] = joined(before, new)
            continue
        present[new.asset] = new
        past += [] if before is None else [before]
    return present, past


def _hear(connection: Connection, arrivals: Sequence[Arrivals]) -> None:
    """Note the assets that were silent, or last heard in an earlier quarter of an hour; of others no index changes."""
    now = max((one.received_at for one in arrivals if one.received_at is not None), default=None)
    if now is None:
        return
    ids, columns = [one.id for one in arrivals if one.received_at == now], assets.c
    is_newer = or_(columns.received_at.is_(None), columns.received_at != now)
    stale = or_(columns.is_silent, columns.heard_in != quarter_of(now))
    for begin in range(0, len(ids), AT_ONCE):
        some = columns.id.in_(ids[begin : begin + AT_ONCE])
        heard = update(assets).where(some, is_newer, stale)
        connection.execute(heard.values(heard_in=quarter_of(now), is_silent=False))
