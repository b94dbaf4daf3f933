"""Rows of a query on a user's database, by SQLAlchemy; it is only read."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foretwin.contract.source import TableSource
from foretwin.errors import SourceError
from foretwin.sources.files.file_names import shown_path

STATE = "watermark.json"
ROWS = 50_000  # in memory at once, and in one file
READS = re.compile(r"\s*(select|with|values|table)\b", re.IGNORECASE)


def bring_query(source: TableSource, previous: Path, out: Path) -> None:
    """Write the query's rows to `out`/table, in pieces; with a watermark, only those beyond the `previous` fetch.

    SourceError where the database is away or refuses the query.
    """
    import sqlalchemy

    query, shown = (source.query or "").strip().rstrip(";"), shown_path(source.path)
    if not READS.match(query):
        raise SourceError(f"{shown}: source.query: only reads, such as SELECT, are run; correct it")
    target, state = out / "table", _state(source, query, previous)
    target.mkdir()
    parameters: dict[str, Any] = {}
    if state is not None and source.watermark:
        for part in sorted((previous / "table").iterdir()):
            shutil.copyfile(part, target / part.name)
        parameters = {"known": state["known"]}
    try:
        engine = sqlalchemy.create_engine(source.path, poolclass=sqlalchemy.NullPool)
        with engine.connect() as connection:
            _read_only(connection)
            if parameters:
                mark = engine.dialect.identifier_preparer.quote(source.watermark or "")
                query = f"SELECT * FROM ({query}) AS fetched WHERE fetched.{mark} > :known"  # noqa: S608 - the user's own
            rows = connection.execution_options(stream_results=True).execute(sqlalchemy.text(query), parameters)
            known = _write_parts(list(rows.keys()), rows.partitions(ROWS), target, source.watermark)
    except (sqlalchemy.exc.SQLAlchemyError, ImportError) as error:
        reason = " ".join(str(getattr(error, "orig", None) or error).split())
        raise SourceError(f"{shown}: cannot be read ({reason}); correct source.path or source.query") from None
    if source.watermark:
        known = known if known is not None else parameters.get("known")
        content = {"query": _digest(source, source.query or ""), "known": known}
        (out / STATE).write_text(json.dumps(content, default=str), encoding="utf-8")


def _read_only(connection: Any) -> None:
    """Forbid the transaction to write, where the database can."""
    import sqlalchemy

    statement = {
        "sqlite": "PRAGMA query_only = ON",
        "postgresql": "SET TRANSACTION READ ONLY",
        "mysql": "SET TRANSACTION READ ONLY",
        "mariadb": "SET TRANSACTION READ ONLY",
    }.get(connection.dialect.name)
    if statement:
        connection.execute(sqlalchemy.text(statement))


def _write_parts(names: list[str], parts: Iterator[Sequence[Any]], target: Path, watermark: str | None) -> Any:
    """Write each piece of rows as a Parquet file after those that are there; return the largest watermark."""
    largest: Any = None
    number = len(list(target.iterdir()))
    if watermark is not None and watermark not in names:
        raise SourceError(f"source.watermark: {watermark} is no column of the query; it has {', '.join(names)}")
    for rows in parts:
        frame = pd.DataFrame([tuple(row) for row in rows], columns=names)
        frame = frame.map(lambda cell: float(cell) if isinstance(cell, Decimal) else cell)
        number += 1
        frame.to_parquet(target / f"part-{number:06d}.parquet", index=False)
        if watermark is not None:
            most = frame[watermark].max()
            largest = most if largest is None or most > largest else largest
    return largest.item() if isinstance(largest, np.generic) else largest


def _state(source: TableSource, query: str, previous: Path) -> dict[str, Any] | None:
    """Return what the previous fetch of the same query wrote, or None."""
    try:
        state = dict(json.loads((previous / STATE).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    same = state.get("query") == _digest(source, query) and state.get("known") is not None
    return state if same and (previous / "table").is_dir() else None


def _digest(source: TableSource, query: str) -> str:
    parts = [source.path, query.strip().rstrip(";"), source.watermark]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
