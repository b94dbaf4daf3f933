"""Bound what a flood of rejected readings leaves in quarantine: beyond it they are counted, without their content.

A machine with a wrong unit sends thousands of readings that are wrong alike, of which a few show all there is to see.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Connection, func, insert, select, update

from foretwin.project.digests import text_digest
from foretwin.twin.store import tables
from foretwin.wire.readings import Rejected

HOUR = timedelta(hours=1)
OF_A_KIND = 100  # kept of one call with the same asset, field and reason
OF_A_CALL, BYTES_OF_A_CALL = 1_000, 1024 * 1024
OF_AN_ASSET = 1_000  # kept in an hour
OF_AN_HOUR, BYTES_OF_AN_HOUR = 10_000, 16 * 1024 * 1024
LARGEST_CONTENT = 64 * 1024  # bytes that are kept of one
MOST_KINDS = 100  # counted apart in one call; beyond them by their reason alone
MOST_NAMED = 10  # assets and fields that a count names
COUNTED = "counted"


@dataclass
class Room:
    """What may still be kept: rows and bytes of this hour and of this call, and rows of each asset."""

    rows: int
    size: int
    by_asset: Counter[str | None] = field(default_factory=Counter)  # kept already in this hour

    def take(self, one: Rejected) -> bool:
        """Return whether it may be kept; it is then counted as kept."""
        size = min(len(one.content), LARGEST_CONTENT)
        if self.rows < 1 or self.size < size or self.by_asset[one.asset] >= OF_AN_ASSET:
            return False
        self.rows, self.size = self.rows - 1, self.size - size
        self.by_asset[one.asset] += 1
        return True


def find_room(connection: Connection, now: datetime) -> Room:
    """Return the room that the hour before leaves to one call."""
    columns = tables.quarantine.c
    recent = columns.received_at.between(now - HOUR, now)
    query = select(columns.asset, func.count(), func.sum(func.length(columns.content))).where(recent)
    rows = connection.execute(query.group_by(columns.asset)).all()
    kept, size = sum(row[1] for row in rows), sum(int(row[2]) for row in rows)
    by_asset = Counter({row[0]: row[1] for row in rows if row[0] is not None})
    return Room(min(OF_A_CALL, OF_AN_HOUR - kept), min(BYTES_OF_A_CALL, BYTES_OF_AN_HOUR - size), by_asset)


def count_only(connection: Connection, via: str, rejected: Sequence[Rejected], now: datetime, crowded: bool) -> None:
    """Add to the counts of this hour: a row for each twin, asset and reason; where it is `crowded`, for each reason."""
    kinds: dict[tuple[str | None, str | None, str], list[Rejected]] = {}
    for one in rejected:
        kinds.setdefault((storable(one.twin), storable(one.asset), one.reason), []).append(one)
    if crowded or len(kinds) > MOST_KINDS:
        kinds = {}
        for one in rejected:
            kinds.setdefault((None, None, one.reason), []).append(one)
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    for (twin, asset, reason), several in kinds.items():
        digest = text_digest(repr((COUNTED, twin, asset, reason, hour.isoformat())))
        row = {"via": via, "twin": twin, "asset": asset, "reason": reason, "digest": digest}
        _add(connection, row, several, hour, now)


def is_counted(content: str) -> bool:
    """Whether this content of a row is a count of readings that were not kept."""
    return content.startswith('{"' + COUNTED)


def storable(value: str | None, longest: int = 1000) -> str | None:
    """Return the text without characters that a database refuses, cut to so many bytes."""
    if value is None:
        return None
    sound = value[:longest].encode("utf-8", "backslashreplace").replace(b"\0", rb"\x00")
    return sound[:longest].decode("utf-8", "ignore")


def _add(
    connection: Connection, row: dict[str, Any], several: Sequence[Rejected], hour: datetime, now: datetime
) -> None:
    """Add to a count that is there, or begin it."""
    columns = tables.quarantine.c
    found = connection.execute(select(columns.content).where(columns.digest == row["digest"])).scalar_one_or_none()
    before = {} if found is None else orjson.loads(found)
    count = before.get(COUNTED, 0) + len(several)
    content = {
        COUNTED: count,
        "fields": _named(before.get("fields", []), (one.field for one in several)),
        "assets": _named(before.get("assets", []), (one.asset for one in several)),
        "first_time": before.get("first_time", _time(several[0])),
        "last_time": _time(several[-1]),
    }
    detail = f"{count:,} more in the hour from {hour:%H:%M} UTC, only counted; correct them, send them again"
    values = {"content": orjson.dumps(content).decode(), "readings": count, "detail": detail, "received_at": now}
    if found is None:
        connection.execute(insert(tables.quarantine).values(**row, **values, field=content["fields"][0]))
    else:
        connection.execute(update(tables.quarantine).where(columns.digest == row["digest"]).values(values))


def _named(before: Iterable[str], more: Iterable[str | None]) -> list[str]:
    """Return the different names, the first ones only."""
    known = dict.fromkeys(before)
    for one in more:
        if len(known) >= MOST_NAMED:
            break
        if one is not None:
            known[storable(one) or ""] = None
    return list(known)


def _time(one: Rejected) -> float | None:
    """Return the reading's time; None where its content does not say, or is that of a whole message."""
    if len(one.content) > LARGEST_CONTENT:
        return None
    try:
        content = orjson.loads(one.content)
    except orjson.JSONDecodeError:
        return None
    time = content.get("time") if isinstance(content, dict) else None
    return time if isinstance(time, int | float) else None
