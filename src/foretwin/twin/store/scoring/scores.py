"""Scores of readings, and the models that made them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Column, Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from foretwin.champion.identity import ModelIdentity
from foretwin.twin.store.scoring.probabilities import Faults, layouts_for, packed_faults, unpacked, with_chances
from foretwin.twin.store.scoring.urgency import note_urgency
from foretwin.twin.store.tables import models as models_table
from foretwin.twin.store.tables import scores

# Written by hand: thousands of scores in a transaction, which SQLAlchemy would take several times as long over.
KEY = ("asset", "run", "time", "model")
NUMBERS, TEXTS = ("rows", "rul", "rul_low", "rul_high", "layout", "probabilities"), ("diagnosis", "warnings")
COLUMNS = (*KEY, "scored_at", "age", *NUMBERS, *TEXTS, "kept")
INSERT = f"INSERT INTO scores ({', '.join(COLUMNS)})"
REPLACE = f"ON CONFLICT ({', '.join(KEY)}) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in COLUMNS if name not in (*KEY, "kept")
)
REPLACE += ", kept = scores.kept OR excluded.kept"


def _said(table: str, cast: str) -> str:
    """Return a score's content as a row to compare; JSON as text, since PostgreSQL's has no equality."""
    return ", ".join([*(f"{table}.{name}" for name in NUMBERS), *(f"{table}.{name}{cast}" for name in TEXTS)])


ADD_SQLITE = f"""{INSERT} VALUES ({", ".join("?" * len(COLUMNS))})
    {REPLACE} WHERE ({_said("scores", "")}) IS NOT ({_said("excluded", "")})"""
ADD_POSTGRESQL = f"""{INSERT}
    SELECT asset, run, time, model, scored_at, age, rows, rul, rul_low, rul_high, layout, probabilities,
        diagnosis::json, warnings::json, kept
    FROM unnest(%b::int4[], %b::int4[], %b::float8[], %b::int4[], %b::timestamptz[], %b::float8[], %b::int4[],
        %b::float8[], %b::float8[], %b::float8[], %b::int4[], %b::bytea[], %b::text[], %b::text[], %b::bool[])
        AS new ({", ".join(COLUMNS)})
    {REPLACE} WHERE ({_said("scores", "::text")}) IS DISTINCT FROM ({_said("excluded", "::text")})"""  # noqa: S608 - of constants alone


@dataclass(frozen=True)
class Score:
    """A row of the table; RUL and its interval are None where the twin has none, in the contract's unit otherwise."""

    asset: int
    run: int
    time: float  # of the last reading that it saw
    model: int
    scored_at: datetime
    age: float  # s from that reading's receipt to the score
    rows: int  # readings that it saw
    rul: float | None
    rul_low: float | None
    rul_high: float | None
    faults: Faults  # axis -> class -> probability
    diagnosis: dict[str, str]  # axis -> class or unknown
    warnings: list[str]
    p_failure: dict[str, float] = field(default_factory=dict)  # horizon -> chance of a failure within it


@dataclass(frozen=True)
class ScoringModel:
    """A model that has scored; `contract` is the digest of the contract that it was trained under."""

    name: str
    version: str
    run: str
    digest: str
    contract: str
    level: float | None  # share of truths that its RUL's interval should cover


def add_scores(connection: Connection, found: Sequence[Score], for_good: bool = True) -> None:
    """Store scores. An existing one is replaced where its content differs, as after a late reading.

    The same score again changes nothing, its moment included. Those that are not kept for good are thinned out later.
    """
    if not found:
        return
    once = {(score.asset, score.run, score.time, score.model): score for score in found}
    moments = as_stored({score.scored_at for score in found}, connection, scores.c.scored_at)
    layouts = layouts_for(connection, [with_chances(one.faults, one.p_failure) for one in once.values()])
    rows = [
        (
            *key,
            moments[one.scored_at],
            one.age,
            one.rows,
            one.rul,
            one.rul_low,
            one.rul_high,
            *packed_faults(with_chances(one.faults, one.p_failure), layouts),
            orjson.dumps(one.diagnosis).decode(),
            orjson.dumps(one.warnings).decode(),
            for_good,
        )
        for key, one in once.items()
    ]
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(ADD_POSTGRESQL, tuple(list(column) for column in zip(*rows, strict=True)))
    else:
        connection.exec_driver_sql(ADD_SQLITE, rows)
    note_urgency(connection, (asset for asset, *_ in once))


def last(connection: Connection, asset_id: int, at: datetime | None = None) -> Score | None:
    """Return the asset's newest score, or the newest of those made up to `at`; None where there is none."""
    found = history(connection, asset_id, None, at, 1)
    return found[0] if found else None


def find_score(connection: Connection, asset_id: int, run: int, time: float, model: int) -> Score | None:
    """Return the score that a model gave of a reading; None where it is not kept."""
    columns = scores.c
    mine = (columns.asset == asset_id, columns.run == run, columns.time == time, columns.model == model)
    found = as_given(connection, connection.execute(select(scores).where(*mine)).mappings().all())
    return found[0] if found else None


def history(
    connection: Connection, asset_id: int, since: datetime | None, until: datetime | None, limit: int
) -> list[Score]:
    """Return the asset's newest `limit` scores of those made from `since` up to and with `until`, the newest first.

    The newest is that of the newest reading: a clock that ran ahead dates an older score later.
    """
    query = select(scores).where(scores.c.asset == asset_id)
    if since is not None:
        query = query.where(scores.c.scored_at >= since)
    if until is not None:
        query = query.where(scores.c.scored_at <= until)
    newest = query.order_by(scores.c.run.desc(), scores.c.time.desc(), scores.c.scored_at.desc()).limit(limit)
    return as_given(connection, connection.execute(newest).mappings().all())


def course(connection: Connection, asset_id: int, run: int) -> list[tuple[float | None, ...]]:
    """Return time, RUL and its lower and upper end of a run's scores in order of time; of several models the latest."""
    columns = scores.c.time, scores.c.rul, scores.c.rul_low, scores.c.rul_high
    query = select(*columns).where(scores.c.asset == asset_id, scores.c.run == run)
    rows = connection.execute(query.order_by(scores.c.time, scores.c.scored_at))
    return list({row.time: tuple(row) for row in rows}.values())


def model_id(
    connection: Connection,
    twin: str,
    identity: ModelIdentity,
    contract: str,
    now: datetime,
    level: float | None = None,
) -> int:
    """Return the model's number, assigned at its first use.

    `contract` is the digest of the contract of its bundle, `level` that of its RUL's interval.
    """
    columns = models_table.c
    named = (columns.twin == twin, columns.version == identity.version, columns.digest == identity.digest)
    known = select(columns.id).where(*named)
    present = connection.execute(known).scalar()
    if present is None:  # who scores other partitions may record it now
        values = {"twin": twin, "contract": contract, "level": level, "first_used_at": now}
        values |= {name: getattr(identity, name) for name in ("name", "version", "run", "digest")}
        into = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(models_table)
        connection.execute(into.values(values).on_conflict_do_nothing())
        present = connection.execute(known).scalar_one()
    return int(present)


def models(connection: Connection, ids: Iterable[int]) -> dict[int, ScoringModel]:
    """Return the models of these numbers."""
    rows = connection.execute(select(models_table).where(models_table.c.id.in_(set(ids))))
    return {row.id: ScoringModel(row.name, row.version, row.run, row.digest, row.contract, row.level) for row in rows}


def as_stored(moments: Iterable[datetime], connection: Connection, column: Column[Any]) -> dict[datetime, Any]:
    """Convert moments as the driver takes them for a column."""
    kind: Any = column.type
    written = kind.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    return {moment: written(moment) for moment in moments}


def as_given(connection: Connection, rows: Sequence[Mapping[Any, Any]]) -> list[Score]:
    """Return the scores of whole rows of the table."""
    return [Score(**row) for row in unpacked(connection, rows)]
