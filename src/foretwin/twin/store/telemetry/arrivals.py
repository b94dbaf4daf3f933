"""Count what arrives: an asset's newest reading, its sums, its last hour of receipt, and that it waits for a score."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from foretwin.twin.store.assets import AT_ONCE, Asset, quarter_of
from foretwin.twin.store.summaries import unscored
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
_COUNT = update(assets).where(assets.c.id == bindparam("new_id"))
_COUNT = _COUNT.values(
    {name: bindparam(f"new_{name}") for name in ("run", "time", "received_at", "batch")}
    | {name: assets.c[name] + bindparam(f"new_{name}") for name in ("readings", "duplicates", "late", "gaps")}
    | {column.name: bindparam(f"last_{name}", type_=column.type) for name, column in _COLUMN.items()}
)


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
    rows = [
        {f"new_{field.name}": getattr(one, field.name) for field in fields(Arrivals)}
        | {f"last_{name}": getattr(present.get(one.id), name, None) for name in _HOUR}
        for one in arrivals
    ]
    connection.execute(_COUNT, rows)
    count_hours(connection, past)
    if stored:
        into = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(unscored)
        waiting = [{"twin": twin, "asset": number} for number in sorted({one.asset for one in stored})]
        connection.execute(into.on_conflict_do_nothing(), waiting)


def date_arrivals(connection: Connection, moments: Mapping[int, datetime]) -> None:
    """Note when assets were heard whose newest readings were taken at these moments, long before they came."""
    rows = [{"of": number, "at": moment, "quarter": quarter_of(moment)} for number, moment in moments.items()]
    if rows:
        of_those = update(assets).where(assets.c.id == bindparam("of"), assets.c.received_at == bindparam("at"))
        connection.execute(of_those.values(heard_in=bindparam("quarter"), is_silent=False), rows)


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
