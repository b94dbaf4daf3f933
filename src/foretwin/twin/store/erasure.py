"""Remove an asset from every table, so that not even its bytes stay in the file."""

import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, String, delete, func, literal, or_, select, tuple_, update
from sqlalchemy import cast as sql_cast
from sqlalchemy.exc import DBAPIError

from foretwin.errors import StoreError
from foretwin.twin.store import assets, database
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.casework.audit_chain import delete_entries, mark_gone
from foretwin.twin.store.database import Store
from foretwin.twin.store.holdings import holdings, quoted
from foretwin.twin.store.ownership.partitioning import serialise_partitions, serialise_writers
from foretwin.twin.store.scoring.fleet_counts import leave_counts
from foretwin.twin.store.scoring.kpis import forget_counts
from foretwin.twin.store.summaries import case_comments, event_places, exports
from foretwin.twin.store.tables import audit, cases, events, metadata, readings, scores, shadow_scores

MENTIONS = (audit.c.detail, cases.c.evidence, events.c.data)  # where rows about no single asset may name one
NUMBERS = (audit.c.id, cases.c.id, event_places.c.number)  # of these, in the order in which they were stored
PIECE = 500  # readings that are deleted in one transaction
PAGES = 200  # of SQLite's file that are given back at once
BRIEFLY_MS, PAUSE = 20, 0.1  # how long emptying the log keeps writers out, and s between two attempts
NAMING = ("asset", "name")  # the fields by which they do
ERASED = "erased"


@dataclass(frozen=True)
class Mentions:
    """Rows about no single asset that name one, and how far the tables were looked through for them."""

    keys: Mapping[str, list[Any]]  # table -> keys
    newest: Mapping[str, int]  # table -> the number of its newest row


def find_mentions(connection: Connection, name: str) -> Mentions:
    """Look through everything for rows that mention the name: a read, while others write."""
    newest = {str(number.table.name): connection.execute(select(func.max(number))).scalar() or 0 for number in NUMBERS}
    return Mentions({str(column.table.name): list(_naming(connection, column, name)) for column in MENTIONS}, newest)


def erase_history(store: Store, asset: Asset) -> dict[str, int]:
    """Delete the asset's readings and scores a piece at a time, so that others write between two pieces.

    Returns table -> number of deleted rows. What comes in meanwhile is left to `erase`.
    """
    counts: dict[str, int] = {}
    left = True
    while left:
        with store.write() as connection:
            serialise_partitions(connection, [asset.slot])  # and whoever moves readings from one partition to another
            _zero_deleted(connection)
            key = (readings.c.run, readings.c.time)
            mine = select(*key).where(readings.c.asset == asset.id).order_by(*key)
            last = connection.execute(mine.offset(PIECE).limit(1)).first()
            left = last is not None
            for table in (scores, shadow_scores, readings) if last is not None else ():
                before = tuple_(table.c.run, table.c.time) < tuple_(*(literal(value) for value in last or ()))
                deleted = connection.execute(delete(table).where(table.c.asset == asset.id, before)).rowcount
                counts[str(table.name)] = counts.get(str(table.name), 0) + deleted
    return counts


def erase(connection: Connection, asset: Asset, mentions: Mentions | None = None) -> dict[str, int]:
    """Delete everything about the asset; return table -> number of deleted rows.

    What others share with it stays without it: a fleet's digest no longer lists it, an export no longer counts it.
    `mentions` are those found before; only newer rows are then looked through.
    """
    serialise_writers(connection)
    assets.find_all(connection, [asset.name], for_update=True)
    _zero_deleted(connection)
    forget_counts(connection, asset.twin, asset.id)
    leave_counts(connection, asset.id)
    cases_of = select(cases.c.id).where(cases.c.asset == asset.id)
    connection.execute(update(cases).where(cases.c.merged_into.in_(cases_of)).values(merged_into=None))
    counts = {
        str(table.name): delete_entries(connection, mine, "erased")
        if table is audit
        else connection.execute(delete(table).where(mine)).rowcount
        for table, mine in holdings(asset).items()
    }
    _forget_mentions(connection, asset.name, mentions)
    named = case_comments.c.text.contains(asset.name, autoescape=True)
    connection.execute(update(case_comments).where(named).values(text=ERASED))
    _forget_exports(connection, asset.id)
    return {name: count for name, count in counts.items() if count}


def overwrite(store: Store) -> None:
    """Free the space of deleted rows, whose bytes are zeros by now; StoreError where that is impossible now.

    SQLite's file gives it back a few pages at a time, and its write-ahead log is emptied; readings wait for neither.
    PostgreSQL's tables are vacuumed: their room is used again; its own log and archives are not touched.
    """
    if not store.is_sqlite:
        try:
            with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql(f"VACUUM {', '.join(sorted(metadata.tables))}")
        except DBAPIError as error:
            raise StoreError(f"{store.name}: {' '.join(str(error.orig).split())}") from error
        return
    borrowed = store.engine.raw_connection()
    driver = cast("sqlite3.Connection", borrowed.driver_connection)  # outside any transaction
    try:
        free = driver.execute("PRAGMA freelist_count").fetchone()[0]
        for _ in range(-(-free // PAGES)):
            driver.execute(f"PRAGMA incremental_vacuum({PAGES})").fetchall()
        is_busy = not _empties_log(driver)
    except sqlite3.Error as error:
        raise StoreError(f"{store.name}: {error}") from error
    finally:
        driver.execute(f"PRAGMA busy_timeout = {database.PATIENCE * 1000:.0f}")
        borrowed.close()
    if is_busy:
        raise StoreError(f"{store.name}: another process reads it, so that its log could not be emptied")


def _empties_log(driver: sqlite3.Connection) -> bool:
    """Empty the write-ahead log; while it waits for readers it would keep writers out, so it asks briefly and again."""
    end = time.monotonic() + database.PATIENCE
    driver.execute(f"PRAGMA busy_timeout = {BRIEFLY_MS}")
    while driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() > end:
            return False
        time.sleep(PAUSE)
    return True


def _zero_deleted(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")  # zeros over what is deleted


def _naming(connection: Connection, column: Any, name: str, *among: ColumnElement[bool]) -> Iterator[Any]:
    """Yield the keys of rows whose JSON names it."""
    text = sql_cast(column, String)
    named = or_(*(text.contains(form[1:-1], autoescape=True) for form in quoted(name)))
    yield from connection.execute(select(column.table.c.id).where(named, *among)).scalars()


def _forget_mentions(connection: Connection, name: str, found: Mentions | None) -> None:
    """Remove the name from rows about several assets."""
    for column, number in zip(MENTIONS, NUMBERS, strict=True):
        table, keys = column.table, list[Any]()
        among: list[ColumnElement[bool]] = []
        if found is not None:
            keys += found.keys[str(table.name)]
            later = number > found.newest[str(number.table.name)]
            is_own = number.table is table
            among = [later if is_own else table.c.id.in_(select(event_places.c.event).where(later))]
        for key in dict.fromkeys([*keys, *_naming(connection, column, name, *among)]):
            value = connection.execute(select(column).where(table.c.id == key)).first()
            if value is not None:
                kept = {column.name: without(value[0], name)}
                if table is audit:
                    mark_gone(connection, [key], "erased")
                connection.execute(update(table).where(table.c.id == key).values(kept))


def without(value: Any, name: str) -> Any:
    """Return a JSON value without the asset of that name: lists lose the objects that are about it."""
    if isinstance(value, dict):
        kept = {key: without(part, name) for key, part in value.items() if key != name}
        return {key: ERASED if key in NAMING and part == name else part for key, part in kept.items()}
    if isinstance(value, list):
        return [without(part, name) for part in value if part != name and not _is_about(part, name)]
    return value


def _is_about(value: Any, name: str) -> bool:
    return isinstance(value, dict) and any(value.get(key) == name for key in NAMING)


def _forget_exports(connection: Connection, asset_id: int) -> None:
    for row in connection.execute(select(exports.c.id, exports.c.assets)).all():
        if asset_id in row.assets:
            others = [number for number in row.assets if number != asset_id]
            connection.execute(update(exports).where(exports.c.id == row.id).values(assets=others))
