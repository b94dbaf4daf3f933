"""What the machines of each owner used in a month, readings and scores: sums that outlive the machines.

They are kept in the transactions that store the readings and scores, so that nothing is counted twice or left out, and
nobody has to read all of it for a bill.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NamedTuple, TypeAlias

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from foretwin.serving.access.bounds import OWNER, Bounds
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.summaries import usage_counts
from foretwin.twin.store.visibility import visible_usage

Kind: TypeAlias = Literal["readings", "scores"]


class Used(NamedTuple):
    """So many readings or scores of one asset; `partition` is that of whoever stores them, -1 where there is one."""

    asset: Asset
    partition: int
    number: int


@dataclass(frozen=True)
class Usage:
    """What an owner's machines of one type used in a month, which is counted since January of the year 0."""

    month: int
    owner: str
    twin: str
    readings: int
    scores: int


def month_of(moment: datetime) -> int:
    """Return the month of UTC in which a moment lies, since January of the year 0."""
    at = moment.astimezone(UTC)
    return at.year * 12 + at.month - 1


def add_usage(connection: Connection, kind: Kind, used: Iterable[Used], now: datetime) -> None:
    """Add what these assets used to the sums of the month."""
    sums: Counter[tuple[str, str, int]] = Counter()
    for one in used:
        sums[one.asset.twin, one.asset.tags.get(OWNER, ""), one.partition] += one.number
    fixed = {"kind": kind, "month": month_of(now)}
    rows = [
        {"twin": twin, "owner": owner, "partition": partition, "count": count, **fixed}
        for (twin, owner, partition), count in sorted(sums.items())
        if count
    ]
    if rows:
        into = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(usage_counts)
        more = {"count": usage_counts.c["count"] + into.excluded["count"]}
        key = [column.name for column in usage_counts.primary_key]
        connection.execute(into.on_conflict_do_update(index_elements=key, set_=more), rows)


def readings_since(connection: Connection, twin: str) -> tuple[int, int | None]:
    """Return how many readings of a twin were ever stored, and since which month they are counted; 0 and None of none.

    By the sums of owners and months: no reading is looked at.
    """
    table = usage_counts.c
    query = select(func.coalesce(func.sum(table["count"]), 0), func.min(table.month))
    total, month = connection.execute(query.where(table.twin == twin, table.kind == "readings")).one()
    return int(total), month


def recent_owners(connection: Connection, since: int, bounds: Bounds, most: int) -> list[str]:
    """Return at most so many owners whose machines sent something since a month, in order of their names."""
    owner, month = usage_counts.c.owner, usage_counts.c.month
    query = select(owner).distinct().where(month >= since, owner != "", visible_usage(connection, bounds)).limit(most)
    return sorted(connection.execute(query).scalars())


def usage_between(connection: Connection, since: int, until: int, bounds: Bounds, most: int) -> list[Usage]:
    """Return at most so many lines of the months from the first up to and with the last, the newest first."""
    table = usage_counts.c
    count = func.sum(table["count"])
    sums = [func.coalesce(count.filter(table.kind == kind), 0) for kind in ("readings", "scores")]
    key = (table.month, table.owner, table.twin)
    query = select(*key, *sums).where(table.month.between(since, until), visible_usage(connection, bounds))
    query = query.group_by(*key).order_by(table.month.desc(), table.owner, table.twin).limit(most)
    found = connection.execute(query)
    return [Usage(row.month, row.owner, row.twin, int(row[3]), int(row[4])) for row in found]
