"""Assets: identity, fitted parts, counters."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from foretwin.dataset.machine_names import slot_of, spelling_key
from foretwin.errors import BadInput, Conflict, NotFound
from foretwin.twin.store import summaries, tables
from foretwin.twin.store.scoring.urgency import begin_urgencies, note_urgency
from foretwin.wire.asset_names import check_name

AT_ONCE = 10_000  # values in one statement: SQLite takes 32766, PostgreSQL 65535
FIRST_RUN = 1
DESCRIBED = ("serial_number", "location", "tags")


@dataclass(frozen=True)
class Asset:
    """One machine. `run` is its present run, `time` and `received_at` those of its newest reading; the rest counts."""

    id: int
    twin: str
    name: str
    serial_number: str | None
    location: str | None
    tags: dict[str, str]
    registered_at: datetime
    run: int
    time: float | None
    received_at: datetime | None
    batch: int
    scored_batch: int
    readings: int
    late: int
    duplicates: int
    gaps: int
    quarantined: int
    slot: int  # of its name: which partition it belongs to
    is_silent: bool = False  # others have been told that it is stale

    @property
    def is_heard(self) -> bool:
        """Whether it has sent something, and has not fallen silent since."""
        return self.received_at is not None and not self.is_silent

    @property
    def is_unread(self) -> bool:
        """Whether its run is still unknown: the first reading will tell."""
        return self.time is None and self.run == FIRST_RUN


@dataclass(frozen=True)
class FittedPart:
    """A part that is fitted to an asset, or was until `removed_at`."""

    part: str
    serial_number: str | None
    provenance: str | None
    fitted_at: datetime
    removed_at: datetime | None


_COLUMNS = select(*(tables.assets.c[field.name] for field in fields(Asset)))
_BY_NAME = _COLUMNS.where(tables.assets.c.name.in_(bindparam("wanted", expanding=True)))
_BY_ID = _COLUMNS.where(tables.assets.c.id.in_(bindparam("wanted", expanding=True)))
# Locked in one order, so that two of these never wait for each other; SQLite has one writer anyway.
_BY_NAME_FOR_UPDATE = _BY_NAME.order_by(tables.assets.c.id).with_for_update(key_share=True)


def find_asset(connection: Connection, name: str) -> Asset:
    """Return the asset of that name; NotFound where there is none."""
    found = find_all(connection, [name])
    if name not in found:
        raise NotFound("asset", f"{name!r} is not known; it is once it has sent a reading or has been registered")
    return found[name]


def find_all(connection: Connection, names: Iterable[str], for_update: bool = False) -> dict[str, Asset]:
    """Return name -> asset, as far as they exist; `for_update` locks them until the transaction ends."""
    found = _find(connection, _BY_NAME_FOR_UPDATE if for_update else _BY_NAME, names)
    return {asset.name: asset for asset in found}


def by_id(connection: Connection, ids: Iterable[int]) -> dict[int, Asset]:
    """Return id -> asset, as far as they exist."""
    return {asset.id: asset for asset in _find(connection, _BY_ID, ids)}


def count_assets(connection: Connection, twin: str) -> int:
    """Return how many assets the twin has."""
    counted = select(func.count()).select_from(tables.assets).where(tables.assets.c.twin == twin)
    return connection.execute(counted).scalar_one()


def register_assets(connection: Connection, twin: str, names: Iterable[str], now: datetime) -> dict[str, Asset]:
    """Return name -> asset, in the order of the names; missing assets are added.

    BadInput where a name is none, Conflict where an asset belongs to another twin already, or has another spelling.
    """
    wanted = list(dict.fromkeys(check_name(name) for name in names))
    found = find_all(connection, wanted)
    missing = [name for name in wanted if name not in found]
    if missing:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        respelt = next(iter(other_spellings(connection, missing).items()), None)
        if respelt:
            raise Conflict("asset", another_spelling(*respelt))
        fixed: dict[str, Any] = {"twin": twin, "tags": {}, "registered_at": now}
        rows = [{**fixed, "name": name, "slot": slot_of(name)} for name in missing]
        connection.execute(dialect.insert(tables.assets).on_conflict_do_nothing(), rows)
        added = find_all(connection, missing)
        spelt = [{"spelling": spelling_key(name), "asset": asset.id} for name, asset in added.items()]
        connection.execute(dialect.insert(summaries.spellings).on_conflict_do_nothing(), spelt)
        begin_urgencies(connection, (asset.id for asset in added.values()))
        found |= added
    other = next((asset for asset in found.values() if asset.twin != twin), None)
    if other:
        raise Conflict("asset", f"{other.name} is a {other.twin} already, and cannot be a {twin} too")
    return {name: found[name] for name in wanted}


def other_spellings(connection: Connection, names: Iterable[str]) -> dict[str, str]:
    """Return name -> the known asset, or the earlier name, of which it is another spelling; others are left out."""
    keys = {name: spelling_key(name) for name in names}
    columns, wanted = summaries.spellings.c, list(dict.fromkeys(keys.values()))
    first: dict[str, str] = {}
    for begin in range(0, len(wanted), AT_ONCE):
        query = select(columns.spelling, tables.assets.c.name).join(tables.assets, tables.assets.c.id == columns.asset)
        found = connection.execute(query.where(columns.spelling.in_(wanted[begin : begin + AT_ONCE])))
        first |= {row.spelling: row.name for row in found}
    known = {name: first.setdefault(key, name) for name, key in keys.items()}
    return {name: other for name, other in known.items() if other != name}


def another_spelling(name: str, other: str) -> str:
    """Describe a name that is another one in other letters."""
    return f"{name!r} and {other!r} are one machine's name in two spellings; write {other!r}, which came first"


def describe_asset(connection: Connection, asset: Asset, changes: Mapping[str, Any]) -> Asset:
    """Change serial_number, location or tags (text -> text) of an asset; BadInput for any other field."""
    unknown = [name for name in changes if name not in DESCRIBED]
    if unknown:
        raise BadInput(unknown[0], f"cannot be changed; there is {', '.join(DESCRIBED)}")
    if changes:
        connection.execute(update(tables.assets).where(tables.assets.c.id == asset.id).values(**changes))
    return replace(asset, **changes)


def fit_part(
    connection: Connection, asset: Asset, part: str, serial_number: str | None, provenance: str | None, now: datetime
) -> None:
    """Fit a part; one of the same name is removed."""
    fitted = (tables.parts.c.asset == asset.id) & (tables.parts.c.part == part) & tables.parts.c.removed_at.is_(None)
    connection.execute(update(tables.parts).where(fitted).values(removed_at=now))
    row = {"asset": asset.id, "part": part, "serial_number": serial_number, "provenance": provenance}
    connection.execute(insert(tables.parts).values(**row, fitted_at=now))


def fitted_parts(connection: Connection, asset_id: int, at: datetime | None = None) -> list[FittedPart]:
    """Return the parts fitted now, or at that moment, by name."""
    parts = tables.parts.c
    if at is None:
        there: ColumnElement[bool] = parts.removed_at.is_(None)
    else:
        there = (parts.fitted_at <= at) & or_(parts.removed_at.is_(None), parts.removed_at > at)
    columns = [parts[field.name] for field in fields(FittedPart)]
    rows = connection.execute(select(*columns).where(parts.asset == asset_id, there).order_by(parts.part, parts.id))
    return [FittedPart(*row) for row in rows]


def begin_run(connection: Connection, asset: Asset, run: int) -> None:
    """Begin a run of the asset; `time` and `received_at` stay until readings come."""
    connection.execute(update(tables.assets).where(tables.assets.c.id == asset.id).values(run=run))
    note_urgency(connection, [asset.id])
    waiting = summaries.waiting_faults
    connection.execute(delete(waiting).where(waiting.c.asset == asset.id, waiting.c.run < run))


def quarter_of(moment: datetime) -> int:
    """Return the quarter of an hour of a moment, since 1970."""
    return int(moment.timestamp()) // 900


def count_quarantined(connection: Connection, counts: Mapping[str, int]) -> None:
    """Add name -> number of quarantined readings to the counters; unknown names are skipped."""
    if not counts:
        return
    columns = tables.assets.c
    statement = update(tables.assets).where(columns.name == bindparam("of"))
    statement = statement.values(quarantined=columns.quarantined + bindparam("more"))
    connection.execute(statement, [{"of": name, "more": count} for name, count in sorted(counts.items())])


def _find(connection: Connection, statement: Select[Any], values: Iterable[Any]) -> list[Asset]:
    wanted = list(dict.fromkeys(values))
    found: list[Asset] = []
    for begin in range(0, len(wanted), AT_ONCE):
        rows = connection.execute(statement, {"wanted": wanted[begin : begin + AT_ONCE]})
        found += [Asset(*row) for row in rows]
    return found
