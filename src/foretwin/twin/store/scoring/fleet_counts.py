"""How many assets of each twin are in which state, as changes that are kept in the transactions that make them.

The changes are rows of their own, so that no transaction waits for another; now and then one adds them up.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, any_, bindparam, cast, delete, func, insert, select
from sqlalchemy.dialects import postgresql

from foretwin.serving.access.bounds import Bounds
from foretwin.twin.store.summaries import health_changes, urgencies
from foretwin.twin.store.tables import assets
from foretwin.twin.store.visibility import visible_twins

ADD_UP_AFTER = 100  # rows: so many, and those of one more transaction, are what a question reads beside the sums


class AssetState(NamedTuple):
    """What an asset is counted by: its twin, and what its row of `urgencies` says of it."""

    twin: str
    severity: int  # of its worst open case, as the table has it
    word: str | None  # of NAMUR NE 107, that its newest score says by itself
    is_silent: bool
    is_heard: bool  # it has sent something


_STATE = (assets.c.twin, urgencies.c.severity, urgencies.c.word, urgencies.c.was_silent, urgencies.c.was_heard)
_COUNTED = select(*_STATE, func.count()).join(urgencies, urgencies.c.asset == assets.c.id)
_COUNTED = _COUNTED.where(urgencies.c.was_heard.is_not(None)).group_by(*_STATE)  # none: it is not counted yet
_OF_LISTED = _COUNTED.where(urgencies.c.asset.in_(bindparam("wanted", expanding=True)))
_OF_ARRAY = _COUNTED.where(urgencies.c.asset == any_(cast(bindparam("wanted"), postgresql.ARRAY(Integer))))
_CHANGES = tuple(health_changes.c[name] for name in AssetState._fields)


def counted_states(connection: Connection, asset_ids: list[int]) -> Counter[AssetState]:
    """Return how many of these assets, at most `AT_ONCE`, are counted in which state."""
    query = _OF_ARRAY if connection.dialect.name == "postgresql" else _OF_LISTED
    return Counter({AssetState(*row[:-1]): row[-1] for row in connection.execute(query, {"wanted": asset_ids})})


def add_changes(connection: Connection, changes: Mapping[AssetState, int]) -> None:
    """Keep how many assets have come into which state, or have left it (negative)."""
    rows = [{**state._asdict(), "change": change} for state, change in changes.items() if change]
    if not rows:
        return
    connection.execute(insert(health_changes), rows)
    last = connection.execute(select(func.max(health_changes.c.id))).scalar_one()
    if last % ADD_UP_AFTER < len(rows):
        _add_up(connection)


def leave_counts(connection: Connection, asset_id: int) -> None:
    """Count an asset no longer, whose row of `urgencies` is about to be deleted."""
    add_changes(connection, dict.fromkeys(counted_states(connection, [asset_id]), -1))


def fleet_states(connection: Connection, bounds: Bounds) -> dict[AssetState, int]:
    """Return how many assets are in which state; the bounds are of whole twins."""
    total = func.sum(health_changes.c.change)
    query = select(*_CHANGES, total).where(visible_twins(connection, health_changes.c.twin, bounds))
    found = connection.execute(query.group_by(*_CHANGES).having(total != 0))
    return {AssetState(*row[:-1]): int(row[-1]) for row in found}


def _add_up(connection: Connection) -> None:
    """Put sums in the place of the rows that nobody else adds up at this moment."""
    query = select(health_changes.c.id, *_CHANGES, health_changes.c.change).order_by(health_changes.c.id)
    numbers, sums = [], Counter[AssetState]()
    for number, *state, change in connection.execute(query.with_for_update(skip_locked=True)):
        numbers.append(number)
        sums[AssetState(*state)] += change
    connection.execute(delete(health_changes).where(health_changes.c.id == bindparam("of")), _each(numbers))
    if rows := [{**state._asdict(), "change": change} for state, change in sums.items() if change]:
        connection.execute(insert(health_changes), rows)


def _each(numbers: Iterable[int]) -> list[dict[str, Any]]:
    return [{"of": number} for number in numbers]
