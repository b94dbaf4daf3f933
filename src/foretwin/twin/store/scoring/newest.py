"""The newest rows of each of many assets in one statement, by a few steps of an index for each."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import (
    CTE,
    Connection,
    Double,
    Integer,
    Select,
    and_,
    column,
    exists,
    or_,
    select,
    true,
    tuple_,
    values,
)

TOGETHER = 500  # assets in one statement
T = TypeVar("T")


def in_parts(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield the items some hundreds at a time: those of one statement."""
    rest = iter(items)
    while part := list(islice(rest, TOGETHER)):
        yield part


def wanted_places(places: Iterable[tuple[int, int, float]]) -> CTE:
    """Return a table of these (asset, run, upto)."""
    named = values(column("asset", Integer), column("run", Integer), column("upto", Double), name="places")
    return named.data(list(places)).cte("wanted")


def newest_of_each(connection: Connection, wanted: CTE, newest: Select[Any], most: int) -> Select[Any]:
    """Return a query of the wanted assets, in order, each with the first `most` rows of `newest`, in its order.

    `newest` is ordered by columns, the largest first.

    Where several rows share the last one's place in SQLite, which knows no LATERAL, there may be more.
    """
    first = newest.limit(most).correlate(wanted)
    if connection.dialect.name == "postgresql":
        part = first.lateral()
        places: list[Any] = [part.c[one.element.name].desc() for one in newest._order_by_clauses]
        return select(wanted.c.asset, part).select_from(wanted.join(part, true())).order_by(wanted.c.asset, *places)
    if most == 1:
        each = [first.with_only_columns(one).scalar_subquery() for one in newest.selected_columns]
        return select(wanted.c.asset, *each).order_by(wanted.c.asset)
    ordered: list[Any] = [one.element for one in newest._order_by_clauses]
    place = tuple_(*ordered)
    last = newest.with_only_columns(*ordered).offset(most - 1).limit(1).correlate(wanted)
    mine = and_(
        newest.whereclause if newest.whereclause is not None else true(),
        or_(~exists(last), place >= last.scalar_subquery()),
    )
    rows = select(wanted.c.asset, *newest.selected_columns).select_from(wanted.join(ordered[0].table, mine))
    return rows.order_by(wanted.c.asset, *(one.desc() for one in ordered))
