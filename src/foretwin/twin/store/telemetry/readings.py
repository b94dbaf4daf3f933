"""Readings, stored once each, in batches that are numbered in the order of their commits within each partition."""

from datetime import datetime
from itertools import chain, repeat
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from foretwin.twin.store import tables
from foretwin.twin.store.ownership.partitioning import numbers_of_assets, serialise_writers
from foretwin.twin.store.telemetry.packing import pack, unpack_channels
from foretwin.wire.readings import Readings

AT_ONCE = 5_000  # keys in one SQLite statement, four values each: it takes 32766
TOGETHER = 100  # rows in one INSERT of SQLite: its cost per statement is as large as that per row
SPAN = 10**9  # numbers of batches that one of PostgreSQL's partitions has

LINE = "(?, ?, ?, ?, ?, ?)"
INSERT_SQLITE = "INSERT INTO readings (asset, run, time, batch, layout, channels) VALUES {} ON CONFLICT DO NOTHING"
INSERT_POSTGRESQL = (
    "INSERT INTO readings (asset, run, time, batch, layout, channels)"
    " SELECT asset, run, time, batch, %s, channels"
    " FROM unnest(%b::int8[], %b::int4[], %b::int4[], %b::float8[], %b::bytea[])"
    " AS new (batch, asset, run, time, channels) ON CONFLICT DO NOTHING"
)
# Each partition has an index of its own: what may be in an earlier one is looked for.
INSERT_AGAIN_POSTGRESQL = (
    "INSERT INTO readings (asset, run, time, batch, layout, channels)"
    " SELECT asset, run, time, batch, %s, channels"
    " FROM unnest(%b::int8[], %b::int4[], %b::int4[], %b::float8[], %b::bytea[], %b::bool[])"
    " AS new (batch, asset, run, time, channels, is_old) WHERE NOT (is_old AND EXISTS (SELECT FROM readings AS held"
    " WHERE held.asset = new.asset AND held.run = new.run AND held.time = new.time)) ON CONFLICT DO NOTHING"
)
HELD = (
    "SELECT held.batch, held.layout, held.channels FROM {} LEFT JOIN readings AS held"
    " ON held.asset = wanted.asset AND held.run = wanted.run AND held.time = wanted.time ORDER BY wanted.row"
)
HELD_SQLITE = "WITH wanted (row, asset, run, time) AS (VALUES {}) " + HELD.format("wanted")
HELD_POSTGRESQL = HELD.format(
    "unnest(%b::int4[], %b::int4[], %b::float8[]) WITH ORDINALITY AS wanted (asset, run, time, row)"
)
NEWEST = (
    "SELECT (SELECT max(time) FROM readings AS held WHERE held.asset = wanted.asset AND held.run = wanted.run)"
    " FROM {} ORDER BY wanted.row"
)
NEWEST_SQLITE = NEWEST.format(
    "(SELECT key AS row, json_extract(value, '$[0]') AS asset, json_extract(value, '$[1]') AS run FROM json_each(?))"
    " AS wanted"
)
# Of the newest partition alone where that has the reading which is told to be the newest, or one after it.
NEWEST_POSTGRESQL = (
    "SELECT CASE WHEN recent.time >= wanted.told THEN recent.time ELSE (SELECT max(time) FROM readings AS held"
    " WHERE held.asset = wanted.asset AND held.run = wanted.run) END"
    " FROM unnest(%b::int4[], %b::int4[], %b::float8[]) WITH ORDINALITY AS wanted (asset, run, told, row)"
    " CROSS JOIN LATERAL (SELECT max(held.time) AS time FROM readings AS held"
    " WHERE held.asset = wanted.asset AND held.run = wanted.run"
    " AND held.batch >= (SELECT max(id) / %b::int8 * %b::int8 FROM batches)) AS recent ORDER BY wanted.row"
)
NEAR = (  # there are no two of them: what comes so near to another is that one
    "SELECT (SELECT max(time) FROM readings AS held WHERE held.asset = wanted.asset AND held.run = wanted.run"
    " AND held.time BETWEEN wanted.low AND wanted.high) FROM {} ORDER BY wanted.row"
)
NEAR_SQLITE = NEAR.format(
    "(SELECT key AS row, json_extract(value, '$[0]') AS asset, json_extract(value, '$[1]') AS run,"
    " json_extract(value, '$[2]') AS low, json_extract(value, '$[3]') AS high FROM json_each(?)) AS wanted"
)
NEAR_POSTGRESQL = NEAR.format(
    "unnest(%b::int4[], %b::int4[], %b::float8[], %b::float8[]) WITH ORDINALITY AS wanted (asset, run, low, high, row)"
)
NEW_BATCH = insert(tables.batches).returning(tables.batches.c.id)
_OF: Any = bindparam("of")
_ORDER: Any = bindparam("order")
LAYOUT = select(tables.layouts.c.id).where(tables.layouts.c.twin == _OF, tables.layouts.c.channels == _ORDER)


class Stored(NamedTuple):
    """What became of N readings: (N,) whether each is new, and the number of the batch of its partition."""

    is_new: NDArray[np.bool_]
    batch: NDArray[np.int64]


def add_readings(
    connection: Connection,
    via: str,
    rows: Readings,
    now: datetime,
    is_old: NDArray[np.bool_] | None = None,
    partition: NDArray[np.int64] | None = None,
) -> Stored:
    """Store new readings, those of each partition as one batch; no batch is left of which nothing was stored.

    Of several rows with one key the first counts. `is_old` (N,) are those that are not after the newest of their run,
    without which no key can be there already; None: any may be. `partition` (N,) are the numbers of partitions that the
    transaction has locked; None: it has not, and all are.
    """
    if partition is None:
        serialise_writers(connection)
        partition = numbers_of_assets(connection, rows.asset)
    batch = _new_batches(connection, via, now, partition)
    old = np.ones(len(rows), dtype=bool) if is_old is None else is_old
    stored = _insert(connection, rows, batch, layout_number(connection, rows.twin, rows.channels), old)
    is_new = np.full(len(rows), stored > 0)
    if 0 < stored < len(rows):
        keys = np.stack([rows.asset, rows.run, rows.time], axis=1)
        is_first = np.zeros(len(rows), dtype=bool)
        is_first[np.unique(keys, axis=0, return_index=True)[1]] = True
        held = np.array([-1 if held is None else held for held, _, _ in _held(connection, rows)], np.int64)
        is_new = is_first & (held == batch)
    if empty := sorted({*batch.tolist()} - {*batch[is_new].tolist()}):
        connection.execute(delete(tables.batches).where(tables.batches.c.id.in_(empty)))
    return Stored(is_new, batch)


def _new_batches(connection: Connection, via: str, now: datetime, partition: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (N,) the number of a new batch of each row's partition."""
    numbers, places = np.unique(partition, return_inverse=True)
    rows = ({"received_at": now, "via": via, "partition": None if one < 0 else one} for one in numbers.tolist())
    new = [connection.execute(NEW_BATCH, row).scalar_one() for row in rows]
    return np.array(new, np.int64)[places]


def are_same(connection: Connection, rows: Readings) -> NDArray[np.bool_]:
    """Return (N,) True where the store holds the reading's key with the same values in every common channel.

    A value that is missing in both is the same; a channel that the stored layout lacks is not common.
    """
    held = _held(connection, rows)
    layouts = {layout for _, layout, _ in held if layout is not None}
    table = tables.layouts.c
    found = connection.execute(select(table.id, table.channels).where(table.id.in_(layouts)))
    channels = {layout: tuple(names.split(",")) for layout, names in found}
    same = np.zeros(len(rows), dtype=bool)
    for layout in layouts:
        here = np.array([of == layout for _, of, _ in held])
        values = unpack_channels([packed for _, of, packed in held if of == layout], channels[layout], rows.channels)
        given, lacking = rows.values[here], ~np.isin(rows.channels, channels[layout])
        same[here] = ((values == given) | (np.isnan(values) & np.isnan(given)) | lacking).all(axis=1)
    return same


def newest_times(
    connection: Connection,
    asset: NDArray[np.int64],
    run: NDArray[np.int64],
    told: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return (K,) the time of the newest reading of each of K runs; NaN where it has none.

    `told` (K,) are times of which none is before the newest reading of its run, if any, that came with earlier batches;
    NaN where there is none to tell. They spare PostgreSQL a search of all its partitions.
    """
    if connection.dialect.name == "postgresql":
        least = np.full(len(asset), np.nan) if told is None else told
        columns = (asset.tolist(), run.tolist(), least.tolist(), SPAN, SPAN)
        found = connection.exec_driver_sql(NEWEST_POSTGRESQL, columns)
    else:
        keys = ",".join(f"[{a},{r}]" for a, r in zip(asset.tolist(), run.tolist(), strict=True))
        found = connection.exec_driver_sql(NEWEST_SQLITE, (f"[{keys}]",))
    return np.array([time for (time,) in found], np.float64)


def near_times(
    connection: Connection, asset: NDArray[np.int64], run: NDArray[np.int64], time: NDArray[np.float64], near: float
) -> NDArray[np.float64]:
    """Return (N,) the time of the stored reading that is no farther than `near` from each time; NaN without one."""
    columns = (asset.tolist(), run.tolist(), (time - near).tolist(), (time + near).tolist())
    if connection.dialect.name == "postgresql":
        found = connection.exec_driver_sql(NEAR_POSTGRESQL, columns)
    else:
        keys = orjson.dumps(list(zip(*columns, strict=True))).decode()
        found = connection.exec_driver_sql(NEAR_SQLITE, (keys,))
    return np.array([held for (held,) in found], np.float64)


def _insert(
    connection: Connection, rows: Readings, batch: NDArray[np.int64], layout: int, is_old: NDArray[np.bool_]
) -> int:
    """Insert them; return how many were new."""
    asset, run, time, packed = rows.asset.tolist(), rows.run.tolist(), rows.time.tolist(), pack(rows.values)
    if connection.dialect.name == "postgresql":
        columns = (layout, batch.tolist(), asset, run, time, packed)
        if is_old.any():
            return connection.exec_driver_sql(INSERT_AGAIN_POSTGRESQL, (*columns, is_old.tolist())).rowcount
        return connection.exec_driver_sql(INSERT_POSTGRESQL, columns).rowcount
    lines = zip(asset, run, time, batch.tolist(), repeat(layout), packed, strict=False)
    numbers = tuple(chain.from_iterable(lines))
    whole, size = len(rows) // TOGETHER, 6 * TOGETHER
    stored = 0
    if whole:
        parts = [numbers[i * size : (i + 1) * size] for i in range(whole)]
        stored = connection.exec_driver_sql(INSERT_SQLITE.format(", ".join([LINE] * TOGETHER)), parts).rowcount
    rest = numbers[whole * size :]
    if rest:
        lines_left = ", ".join([LINE] * (len(rest) // 6))
        stored += connection.exec_driver_sql(INSERT_SQLITE.format(lines_left), rest).rowcount
    return stored


def layout_number(connection: Connection, twin: str, channels: tuple[str, ...]) -> int:
    """Return the number of that order of channels; a new one is recorded."""
    key = {"of": twin, "order": ",".join(channels)}
    found: int | None = connection.execute(LAYOUT, key).scalar_one_or_none()
    if found is None:  # who stores something of another partition may just add it too
        into = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(tables.layouts)
        connection.execute(into.values(twin=_OF, channels=_ORDER).on_conflict_do_nothing(), key)
        found = connection.execute(LAYOUT, key).scalar_one()
    return found


def _held(connection: Connection, rows: Readings) -> list[tuple[Any, Any, Any]]:
    """Return batch, layout and bytes stored under each row's key; None three times where nothing is."""
    asset, run, time = rows.asset.tolist(), rows.run.tolist(), rows.time.tolist()
    if connection.dialect.name == "postgresql":
        return [tuple(row) for row in connection.exec_driver_sql(HELD_POSTGRESQL, (asset, run, time))]
    found: list[tuple[Any, Any, Any]] = []
    keys = list(zip(range(len(rows)), asset, run, time, strict=True))
    for begin in range(0, len(keys), AT_ONCE):
        part = keys[begin : begin + AT_ONCE]
        statement = HELD_SQLITE.format(",".join(["(?, ?, ?, ?)"] * len(part)))
        found += [tuple(row) for row in connection.exec_driver_sql(statement, tuple(v for key in part for v in key))]
    return found
