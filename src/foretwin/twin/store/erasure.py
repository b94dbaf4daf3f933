"""Remove an asset from every table, so that not even its bytes stay in the file."""

import sqlite3
from typing import Any, cast

from sqlalchemy import Connection, String, delete, or_, select, update
from sqlalchemy import cast as sql_cast
from sqlalchemy.exc import DBAPIError

from foretwin.errors import StoreError
from foretwin.twin.store import assets
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.database import Store
from foretwin.twin.store.holdings import holdings, quoted
from foretwin.twin.store.tables import audit, cases, events, exports, metadata
from foretwin.twin.store.telemetry.readings import serialise_writers

MENTIONS = (audit.c.detail, cases.c.evidence, events.c.data)  # where rows about no single asset may name one
NAMING = ("asset", "name")  # the fields by which they do
ERASED = "erased"


def erase(connection: Connection, asset: Asset) -> dict[str, int]:
    """Delete everything about the asset; return table -> number of deleted rows.

    What others share with it stays without it: a fleet's digest no longer lists it, an export no longer counts it.
    """
    serialise_writers(connection)
    assets.find_all(connection, [asset.name], for_update=True)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")  # zeros over what is deleted
    cases_of = select(cases.c.id).where(cases.c.asset == asset.id)
    connection.execute(update(cases).where(cases.c.merged_into.in_(cases_of)).values(merged_into=None))
    counts = {
        str(table.name): connection.execute(delete(table).where(mine)).rowcount
        for table, mine in holdings(asset).items()
    }
    _forget_mentions(connection, asset.name)
    _forget_exports(connection, asset.id)
    return {name: count for name, count in counts.items() if count}


def overwrite(store: Store) -> None:
    """Rewrite the store without the space of deleted rows; StoreError where that is impossible now.

    SQLite's file is written anew, for which its disk must have room for a second one, and its write-ahead log is
    emptied. PostgreSQL's tables are vacuumed: their room is used again; its own log and archives are not touched.
    """
    if not store.is_sqlite:
        try:
            with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql(f"VACUUM {', '.join(sorted(metadata.tables))}")
        except DBAPIError as error:
            raise StoreError(f"{store.name}: {' '.join(str(error.orig).split())}") from error
        return
    borrowed = store.engine.raw_connection()
    try:
        driver = cast("sqlite3.Connection", borrowed.driver_connection)  # outside any transaction, as VACUUM must be
        driver.execute("VACUUM")
        (busy, *_) = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:
        raise StoreError(f"{store.name}: {error}") from error
    finally:
        borrowed.close()
    if busy:
        raise StoreError(f"{store.name}: another process reads it, so that its log could not be emptied")


def _forget_mentions(connection: Connection, name: str) -> None:
    """Remove the name from rows about several assets."""
    for column in MENTIONS:
        table = column.table
        text = sql_cast(column, String)
        named = or_(*(text.contains(form[1:-1], autoescape=True) for form in quoted(name)))
        for key, value in connection.execute(select(table.c.id, column).where(named)).all():
            connection.execute(update(table).where(table.c.id == key).values({column.name: without(value, name)}))


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
