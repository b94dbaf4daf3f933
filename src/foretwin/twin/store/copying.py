"""Copy a whole store: a snapshot of one that is written to, and every row from one database to another.

A copy is read back before it counts: the digest of a table is the sum of its rows' digests, so that it depends neither
on the order in which a database returns them nor on how the database keeps a value.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import orjson
from sqlalchemy import Column, Connection, Table, inspect, select, text, update

from foretwin.errors import StoreError
from foretwin.twin.store.aging.partitions import cover_batches
from foretwin.twin.store.database import Store, newest_schema, open_store, schema_of
from foretwin.twin.store.tables import batches, metadata
from foretwin.twin.store.telemetry.readings import SPAN

ROWS = 2_000  # that are in memory at once
PAGES = 2_000  # of SQLite's file between two looks at a signal
VERSION_TABLE = "alembic_version"
MODULUS = 2**128


@dataclass(frozen=True)
class TableContent:
    """What a table holds: how many rows, and their digest as 32 hexadecimal digits."""

    rows: int
    digest: str


def snapshot(store: Store, path: Path) -> dict[str, int]:
    """Write one state of a store to a new SQLite file, while others write to the store; return table -> rows.

    The file keeps the store's schema. StoreError where the file does not hold the rows that were seen, or where
    PostgreSQL's tables are of another schema than this version's.
    """
    counts = _snapshot_sqlite(store, path) if store.is_sqlite else _snapshot_postgresql(store, path)
    found = {name: content.rows for name, content in file_content(path).items()}
    if found != counts:
        raise StoreError(f"{path}: does not hold what {store.name} held; nothing was kept")
    return counts


def file_content(path: Path) -> dict[str, TableContent]:
    """Return what each table of a SQLite file holds, by name; StoreError where the file is damaged."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            if (said := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise StoreError(f"{path}: is damaged: {said}")
            names = [row[0] for row in connection.execute(_TABLES)]
            return {name: _content(connection.execute(_selected("*", name))) for name in names}
    except sqlite3.Error as error:
        raise StoreError(f"{path}: is damaged: {error}") from None


def archived_files(path: Path) -> list[tuple[str, str, str]]:
    """Return twin, name and SHA-256 of each file of the archive that the store in a SQLite file knows of."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        if "archives" not in {row[0] for row in connection.execute(_TABLES)}:
            return []
        return connection.execute("SELECT twin, file, digest FROM archives ORDER BY id").fetchall()


def is_empty(connection: Connection) -> bool:
    """Whether no table holds a row."""
    names = set(inspect(connection).get_table_names()) - {VERSION_TABLE}
    return not any(connection.exec_driver_sql(_selected("1", name) + " LIMIT 1").first() for name in names)


def asset_names(connection: Connection) -> list[str]:
    """Return the names of all assets, whatever the schema."""
    if "assets" not in inspect(connection).get_table_names():
        return []
    return list(connection.execute(text("SELECT name FROM assets ORDER BY name")).scalars())


def overwrite_file(path: Path, store: Store) -> None:
    """Put the content of a SQLite file, with its schema, into a SQLite store; others see the old state or the new."""
    borrowed = store.engine.raw_connection()
    try:
        with closing(sqlite3.connect(path)) as source:
            source.backup(cast("sqlite3.Connection", borrowed.driver_connection), pages=-1)
    except sqlite3.Error as error:
        raise StoreError(f"{store.name}: {error}; stop the processes that use it, then restore again") from None
    finally:
        borrowed.close()


def copy_rows(source: Connection, target: Connection) -> dict[str, int]:
    """Copy every row into empty tables of the same schema, and read them back; return table -> rows.

    Numbers go on where those of the source would have. StoreError where a table does not read back equal.
    """
    if target.dialect.name == "postgresql":
        cover_batches(target, list(source.execute(select(batches.c.id // SPAN * SPAN).distinct()).scalars()))
    copied = {table.name: _copy_table(source, target, table) for table in metadata.sorted_tables}
    _go_on_counting(source, target)
    for table in metadata.sorted_tables:
        if _content(_rows(target, table)) != copied[table.name]:
            raise StoreError(f"{table.name}: does not read back as it was written; nothing was kept")
    return {name: content.rows for name, content in copied.items()}


_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('alembic_version', 'sqlite_sequence')"


def _selected(what: str, table: str) -> str:
    """Return the query for something of a table that is named by the database itself."""
    return f'SELECT {what} FROM "{table.replace(chr(34), chr(34) * 2)}"'  # noqa: S608 - quoted


def _snapshot_sqlite(store: Store, path: Path) -> dict[str, int]:
    with store.read() as connection:
        names = connection.exec_driver_sql(_TABLES).scalars().all()  # the first read: from here on one state is seen
        counts = {name: int(connection.exec_driver_sql(_selected("count(*)", name)).scalar_one()) for name in names}
        driver = cast("sqlite3.Connection", connection.connection.driver_connection)
        with closing(sqlite3.connect(path)) as copy:
            driver.backup(copy, pages=PAGES)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
    return counts


def _snapshot_postgresql(store: Store, path: Path) -> dict[str, int]:
    if (schema := schema_of(store)) != newest_schema():
        advice = "let the version that made it take the backup, or let a process of this one migrate it first"
        raise StoreError(f"{store.name}: has schema {schema}, this version's is {newest_schema()}; {advice}")
    copy = open_store(f"sqlite:///{path}")
    try:
        with store.read() as source, copy.write() as target:
            return copy_rows(source, target)
    finally:
        copy.close()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")


def _copy_table(source: Connection, target: Connection, table: Table) -> TableContent:
    """Copy one table; a row that names another one of its table gets that name once all are there."""
    to_itself = [column for column in table.columns if any(key.column.table is table for key in column.foreign_keys)]
    later: list[dict[str, Any]] = []
    sums = _Sums()
    for rows in _pieces(_rows(source, table)):
        values = [dict(zip(table.columns.keys(), row, strict=True)) for row in rows]
        sums.add(rows)
        for column in to_itself:
            later += [dict(row) for row in values if row[column.name] is not None]
            values = [{**row, column.name: None} for row in values]
        target.execute(table.insert(), values)
    for row in later:
        named = {column.name: row[column.name] for column in to_itself}
        mine = [column == row[column.name] for column in table.primary_key.columns]
        target.execute(update(table).where(*mine).values(named))
    return sums.content()


def _rows(connection: Connection, table: Table) -> Iterator[Any]:
    """Yield every row, of which the driver holds a few at a time."""
    options = {"stream_results": True, "yield_per": ROWS}
    yield from connection.execute(select(table), execution_options=options)


def _go_on_counting(source: Connection, target: Connection) -> None:
    """Let numbers that were given go on: that of an erased asset must not be given again."""
    for table in metadata.sorted_tables:
        column = table.autoincrement_column
        if column is None or column.foreign_keys:
            continue
        last = max(_last_number(source, table, column), _highest(target, column))
        if target.dialect.name == "postgresql":
            sequence = target.execute(_SEQUENCE, {"table": table.name, "column": column.name}).scalar()
            if sequence is not None:
                target.execute(_CONTINUE, {"sequence": sequence, "last": max(last, 1), "used": last > 0})
        elif table.dialect_options["sqlite"]["autoincrement"]:
            target.execute(text("DELETE FROM sqlite_sequence WHERE name = :table"), {"table": table.name})
            target.execute(
                text("INSERT INTO sqlite_sequence VALUES (:table, :last)"), {"table": table.name, "last": last}
            )


_SEQUENCE = text("SELECT pg_get_serial_sequence('\"' || :table || '\"', :column)")
_CONTINUE = text("SELECT setval(CAST(:sequence AS regclass), :last, :used)")


def _last_number(connection: Connection, table: Table, column: Column[Any]) -> int:
    """Return the last number that the database gave to a row of the table; 0 where it does not remember."""
    if connection.dialect.name == "sqlite":
        if not table.dialect_options["sqlite"]["autoincrement"]:
            return 0
        query = text("SELECT seq FROM sqlite_sequence WHERE name = :table")
        return int(connection.execute(query, {"table": table.name}).scalar() or 0)
    sequence = connection.execute(_SEQUENCE, {"table": table.name, "column": column.name}).scalar()
    if sequence is None:
        return 0
    remembered = f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}"  # noqa: S608 - PostgreSQL quoted it
    return int(connection.exec_driver_sql(remembered).scalar() or 0)


def _highest(connection: Connection, column: Column[Any]) -> int:
    return int(connection.execute(select(column).order_by(column.desc()).limit(1)).scalar() or 0)


class _Sums:
    """Digest of rows that come in pieces."""

    def __init__(self) -> None:
        self._rows = self._sum = 0

    def add(self, rows: Iterable[Any]) -> None:
        for row in rows:
            written = orjson.dumps(list(row), default=_plain, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SORT_KEYS)
            self._rows += 1
            self._sum += int.from_bytes(hashlib.blake2b(written, digest_size=16).digest())

    def content(self) -> TableContent:
        return TableContent(self._rows, f"{self._sum % MODULUS:032x}")


def _content(rows: Iterable[Any]) -> TableContent:
    sums = _Sums()
    sums.add(rows)
    return sums.content()


def _plain(value: Any) -> str:
    """Write what JSON has not: bytes."""
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    raise TypeError(f"{type(value).__name__} is no value of a row")


def _pieces(rows: Iterator[Any]) -> Iterator[list[Any]]:
    piece: list[Any] = []
    for row in rows:
        piece.append(row)
        if len(piece) == ROWS:
            yield piece
            piece = []
    if piece:
        yield piece
