"""Measure how fast readings are decoded and stored, as ratios to a bare database within one run.

    python -m benchmarks.speed.twin_ingest

The bare ones store the same rows, of Python numbers that are there already, in a table of their own with one commit.
BENCH_POSTGRESQL names an empty PostgreSQL database; without it only SQLite is measured.
"""

import io
import json
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
import orjson
import psycopg
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.speed.pipeline import best_of, contract
from foretwin.contract.twin import Twin
from foretwin.project.entrypoint import exit_on_error
from foretwin.twin.ingest.ingest import ingest
from foretwin.twin.store import Store, open_store
from foretwin.wire.decoder import decode
from foretwin.wire.tables import ARROW, JSON

ROWS, CHANNELS, MESSAGES, ROUNDS = 1000, 9, 500, 30
NAMES = [f"c{i}" for i in range(CHANNELS)]
COLUMNS = ["asset TEXT", "run INTEGER", "time DOUBLE PRECISION", *(f"{name} REAL" for name in NAMES)]
TABLE = f"CREATE TABLE bare ({', '.join(COLUMNS)}, PRIMARY KEY (asset, run, time))"
NOW = datetime(2026, 1, 1, tzinfo=UTC)

Row = tuple[str | int | float, ...]
Way = tuple[Callable[..., Any], Callable[[Any], object]]  # how a batch is prepared, and kept


def batches() -> Iterator[tuple[NDArray[np.float64], NDArray[np.float32]]]:
    """Times and values of one batch after the other, each an hour's readings further on."""
    generator = np.random.default_rng(1)
    begin = 0
    while True:
        yield np.arange(begin, begin + ROWS, dtype=np.float64), generator.normal(size=(ROWS, CHANNELS)).astype("f4")
        begin += ROWS


def as_arrow(times: NDArray[np.float64], values: NDArray[np.float32]) -> bytes:
    """The body of a batch as an Arrow stream."""
    table = pa.table({"time": times} | dict(zip(NAMES, values.T, strict=True)))
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table)
    return out.getvalue()


def as_json(times: NDArray[np.float64], values: NDArray[np.float32]) -> bytes:
    """The body of a batch as one JSON message."""
    channels = {name: np.ascontiguousarray(column) for name, column in zip(NAMES, values.T, strict=True)}
    return orjson.dumps({"run": 1, "time": times, "channels": channels}, option=orjson.OPT_SERIALIZE_NUMPY)


def as_rows(times: NDArray[np.float64], values: NDArray[np.float32]) -> list[Row]:
    """The rows of a batch as Python numbers."""
    return [("A-1", 1, moment, *row) for moment, row in zip(times.tolist(), values.tolist(), strict=True)]


def rates(ways: dict[str, Way]) -> dict[str, float]:
    """Rows a second of each way to keep one batch after the other, where preparing a batch is not measured.

    The ways take turns, so that whatever else the machine does slows all of them.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    source = batches()
    for _ in range(ROUNDS):
        batch = next(source)
        for name, (prepare, keep) in ways.items():
            ready = prepare(*batch)
            seconds[name].append(best_of(partial(keep, ready), 1))
    return {name: ROWS / min(taken) for name, taken in seconds.items()}


def keep_in(store: Store, twin: Twin, kind: str, asset: str) -> Callable[[bytes], object]:
    """Decode and store a body."""
    contracts = {twin.name: twin}
    return lambda body: ingest(store, contracts, [decode(body, kind, contracts, twin.name, asset)], "http", NOW)


def messages_per_second(store: Store, twin: Twin) -> float:
    """Of 500 assets that send one reading each, decoded and stored in one transaction."""
    contracts = {twin.name: twin}
    channels = dict.fromkeys(NAMES, 1.25)

    def listen(body: bytes) -> None:
        messages = [decode(body, JSON, contracts, twin.name, f"M-{i}") for i in range(MESSAGES)]
        ingest(store, contracts, messages, "mqtt", NOW)

    remaining = iter([orjson.dumps({"time": moment, "channels": channels}) for moment in range(6)])
    listen(next(remaining))  # the first registers them
    return MESSAGES / best_of(lambda: listen(next(remaining)))


def keep_in_sqlite(connection: sqlite3.Connection) -> Callable[[list[Row]], object]:
    """Add rows to a bare table in SQLite, as safe from a power cut as the store is."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(TABLE)
    marks = ", ".join("?" * len(COLUMNS))

    def keep(rows: list[Row]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(f"INSERT INTO bare VALUES ({marks})", rows)  # noqa: S608 - marks alone
        connection.execute("COMMIT")

    return keep


def keep_in_postgresql(connection: "psycopg.Connection[tuple[Any, ...]]") -> Callable[[list[Row]], object]:
    """Add rows to a bare table in PostgreSQL."""
    connection.execute(TABLE)
    connection.commit()

    def keep(rows: list[Row]) -> None:
        with connection.cursor() as cursor, cursor.copy("COPY bare FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        connection.commit()

    return keep


def measure_beside(bare: Callable[[list[Row]], object], name: str, arrow: str, json_url: str) -> dict[str, float]:
    """The rates of the stores of these URLs, and as shares of the bare database."""
    twin, store, of_json = contract(CHANNELS), open_store(arrow), open_store(json_url)
    ways: dict[str, Way] = {
        "arrow": (as_arrow, keep_in(store, twin, ARROW, "A-1")),
        "json": (as_json, keep_in(of_json, twin, JSON, "A-2")),
        name: (as_rows, bare),
    }
    found = rates(ways)
    messages = messages_per_second(store, twin)
    store.close()
    of_json.close()
    shares = {f"{kind}_of_{name}": round(found[kind] / found[name], 2) for kind in ("arrow", "json")}
    each = {f"{kind}_rows_per_second": round(rows) for kind, rows in found.items()}
    return {**shares, "messages_per_second": round(messages), **each}


def measure(postgres_url: str | None) -> dict[str, float]:
    """Rates of the store, and as shares of the bare databases; those of PostgreSQL where there is one."""
    with tempfile.TemporaryDirectory() as folder:
        plain = sqlite3.connect(f"{folder}/bare.db", isolation_level=None)
        urls = [f"sqlite:///{folder}/{name}.db" for name in ("arrow", "json")]
        result = measure_beside(keep_in_sqlite(plain), "executemany", *urls)
        plain.close()
    if postgres_url:
        with psycopg.connect(postgres_url) as connection:
            found = measure_beside(keep_in_postgresql(connection), "copy", postgres_url, postgres_url)
        result |= {name if "copy" in name else f"postgresql_{name}": value for name, value in found.items()}
    return result


if __name__ == "__main__":
    with exit_on_error():
        print(json.dumps(measure(os.environ.get("BENCH_POSTGRESQL")), indent=1))
