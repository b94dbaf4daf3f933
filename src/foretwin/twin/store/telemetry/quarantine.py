"""Quarantine of rejected readings: stored with their reason until released."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, select, update
from sqlalchemy.dialects import postgresql, sqlite

from foretwin.errors import NotFound
from foretwin.project.digests import text_digest
from foretwin.twin.store import tables
from foretwin.twin.store.telemetry.overflow import (
    LARGEST_CONTENT,
    MOST_KINDS,
    OF_A_CALL,
    OF_A_KIND,
    count_only,
    find_room,
    storable,
)
from foretwin.wire.readings import Rejected

AT_ONCE = 10_000  # digests in one statement
LARGEST_ID = 2**63
MOST_WAITING = 50_000  # readings that are released with one


@dataclass(frozen=True)
class Quarantined:
    """One row of the quarantine."""

    id: int
    received_at: datetime
    via: str
    twin: str | None
    asset: str | None
    field: str
    reason: str
    detail: str
    content: str
    readings: int  # that it stands for; more than one where they are only counted
    released_at: datetime | None


@dataclass(frozen=True)
class SetAside:
    """New rejected readings: those whose content is kept, and those that are only counted."""

    kept: tuple[Rejected, ...] = ()
    counted: tuple[Rejected, ...] = ()


def add_quarantined(connection: Connection, via: str, rejected: Sequence[Rejected], now: datetime) -> SetAside:
    """Store rejected readings, and return the new ones: the same content again adds nothing.

    Beyond the limits of `overflow` they are counted, without their content; the same ones are then counted again.
    """
    if connection.dialect.name == "postgresql":  # those who store readings of other partitions
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7091, 0)")
    first, others = _first_of_each_kind(rejected)
    room = find_room(connection, now)
    crowded, there = room.rows < -MOST_KINDS, _known(connection, first)
    new = {digest: one for digest, one in first.items() if digest not in there}
    kept = {digest: one for digest, one in new.items() if room.take(one)}
    counted = [*(one for digest, one in new.items() if digest not in kept), *others]
    if kept:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        rows = [
            {name: storable(value) for name, value in asdict(one).items()}
            | {"content": storable(one.content, LARGEST_CONTENT), "digest": digest}
            for digest, one in kept.items()
        ]
        statement = dialect.insert(tables.quarantine).values(received_at=now, via=via).on_conflict_do_nothing()
        connection.execute(statement, rows)
    if counted:
        count_only(connection, via, counted, now, crowded)
    return SetAside(tuple(kept.values()), tuple(counted))


def find_quarantined(connection: Connection, quarantine_id: int) -> Quarantined:
    """Return one row; NotFound where there is none of that number."""
    if not 0 < quarantine_id < LARGEST_ID:
        raise NotFound("id", f"there is no {quarantine_id} in quarantine")
    row = connection.execute(_columns().where(tables.quarantine.c.id == quarantine_id)).one_or_none()
    if row is None:
        raise NotFound("id", f"there is no {quarantine_id} in quarantine")
    return Quarantined(*row)


def find_waiting(connection: Connection, held: Quarantined) -> list[Quarantined]:
    """Return the readings that wait for the same run of the same asset as this one, in their order, MOST_WAITING."""
    columns, run = tables.quarantine.c, json.loads(held.content)["run"]
    query = _columns().where(columns.asset == held.asset, columns.twin == held.twin, columns.reason == held.reason)
    query = query.where(columns.id != held.id, columns.released_at.is_(None))
    of_run = query.where(columns.content.contains(f'"run":{run},', autoescape=True)).order_by(columns.id)
    return [Quarantined(*row) for row in connection.execute(of_run.limit(MOST_WAITING))]


def mark_released(connection: Connection, ids: Sequence[int], now: datetime) -> None:
    """Mark these as released and stored."""
    for begin in range(0, len(ids), AT_ONCE):
        statement = update(tables.quarantine).where(tables.quarantine.c.id.in_(ids[begin : begin + AT_ONCE]))
        connection.execute(statement.values(released_at=now))


def _columns() -> Select[Any]:
    return select(*(tables.quarantine.c[field.name] for field in fields(Quarantined)))


def _first_of_each_kind(rejected: Iterable[Rejected]) -> tuple[dict[str, Rejected], list[Rejected]]:
    """Return, by digest, the first different ones of each kind of one call, and the others."""
    seen: Counter[tuple[str | None, ...]] = Counter()
    first: dict[str, Rejected] = {}
    others = []
    for one in rejected:
        kind = (one.twin, one.asset, one.field, one.reason)
        if seen[kind] >= OF_A_KIND or len(first) >= OF_A_CALL:
            others.append(one)
        elif (digest := _digest(one)) not in first:
            first[digest] = one
            seen[kind] += 1
    return first, others


def _known(connection: Connection, wanted: Iterable[str]) -> set[str]:
    digests = list(wanted)
    found: set[str] = set()
    for begin in range(0, len(digests), AT_ONCE):
        among = tables.quarantine.c.digest.in_(digests[begin : begin + AT_ONCE])
        found |= set(connection.execute(select(tables.quarantine.c.digest).where(among)).scalars())
    return found


def _digest(rejected: Rejected) -> str:
    content = rejected.content
    if len(content) > LARGEST_CONTENT:  # written as Python does it would be several times as large
        content = hashlib.sha256(content.encode("utf-8", "backslashreplace")).hexdigest()
    return text_digest(repr((rejected.twin, rejected.asset, rejected.field, rejected.reason, content)))
