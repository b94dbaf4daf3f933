"""Machine types of which the loop has something to do, whatever their number in one look."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, String, Table, TextClause, column, func, select, true, values

from foretwin.twin.store.summaries import IS_PENDING, pending_samples, unscored
from foretwin.twin.store.tables import IS_HEARD, assets


@dataclass(frozen=True)
class TwinsWithWork:
    """What waits of each twin, in all partitions."""

    news: frozenset[str]  # with readings that no score has seen
    waiting: dict[str, datetime]  # twin -> when the last value came of the asset whose values wait longest
    heard: dict[str, int]  # twin -> quarter of an hour of the oldest receipt of its assets that are not told as silent


def twins_with_work(connection: Connection, looked_at: Iterable[str]) -> TwinsWithWork:
    """Read it by steps through indexes: it costs as much as there is news and waiting, whatever twins and assets are.

    Of silence, which every twin with assets may come to, only that of the twins that are `looked_at`.
    """
    news = _firsts(connection, unscored, unscored.c.asset, None)
    waiting = _firsts(connection, pending_samples, pending_samples.c.heard_at, IS_PENDING)
    return TwinsWithWork(frozenset(news), waiting, _heard(connection, looked_at))


def _firsts(connection: Connection, table: Table, least: Column[Any], which: TextClause | None) -> dict[str, Any]:
    """Return twin -> the least value of a column, of the rows that `which` names; an index of these has twin and it."""
    twin, those = table.c.twin, true() if which is None else which
    steps = select(func.min(twin).label("twin")).where(those).cte("steps", recursive=True)
    further = select(func.min(twin)).where(those, twin > steps.c.twin).scalar_subquery()
    steps = steps.union_all(select(further).where(steps.c.twin.is_not(None)))
    first = select(func.min(least)).where(those, twin == steps.c.twin).scalar_subquery()
    found = connection.execute(select(steps.c.twin, first).where(steps.c.twin.is_not(None)))
    return {name: value for name, value in found}  # noqa: C416 - mypy takes rows for no pairs


def _heard(connection: Connection, twins: Iterable[str]) -> dict[str, int]:
    asked = [(twin,) for twin in twins]
    if not asked:
        return {}
    names = values(column("twin", String)).data(asked).cte("looked_at")
    ever = assets.c.heard_in > 0  # 0: nothing has come of it
    first = select(func.min(assets.c.heard_in)).where(IS_HEARD, assets.c.twin == names.c.twin, ever).scalar_subquery()
    return {twin: quarter for twin, quarter in connection.execute(select(names.c.twin, first)) if quarter is not None}
