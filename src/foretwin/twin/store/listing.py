"""Paged lists: the fleet, an asset's readings and scores, cases, quarantine, deliveries.

Each row is a mapping of the table's columns, with what else a list shows of it. The order of a page is total, and the
next page begins after the last row's place in it (its cursor), so that it costs as much as the first.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    and_,
    case,
    false,
    func,
    literal,
    or_,
    select,
    tuple_,
    type_coerce,
)

from foretwin.errors import BadInput
from foretwin.serving.access.bounds import UNBOUND, Bounds
from foretwin.twin.store.health import health, is_silent
from foretwin.twin.store.scoring.probabilities import unpacked
from foretwin.twin.store.scoring.urgency import UNKNOWN
from foretwin.twin.store.summaries import urgencies
from foretwin.twin.store.tables import assets, batches, cases, deliveries, events, layouts, quarantine, readings, scores
from foretwin.twin.store.telemetry.packing import unpack_channels
from foretwin.twin.store.visibility import visible_assets, visible_cases, visible_quarantine

Row = dict[str, Any]
Filters = Mapping[str, Any]  # column -> value
Cursor = tuple[Any, ...]  # values of the columns by which a list is ordered

BY_PLACE = ("urgency", "rul_low", "open_cases")  # which `urgencies` has; the first by an index
FLEET_SORTS = ("name", *BY_PLACE, "twin", "received_at", "registered_at", "late", "quarantined")
TAGS = ("site", "line", "owner")  # which a plant names most, so that they are filters of their own
READING_SORTS = ("time", "received_at")
SCORE_SORTS = ("time", "scored_at", "rul_low")
CASE_SORTS = ("opened_at", "updated_at", "latest_safe_date", "rul_low", "severity", "asset", "id")
QUARANTINE_SORTS = ("received_at", "id", "reason", "asset")
DELIVERY_SORTS = ("due_at", "attempts", "target")


@dataclass(frozen=True)
class Page:
    """At most `limit` rows after the first `offset` or after the cursor `after`, ordered by the field `sort`."""

    limit: int
    offset: int
    sort: str
    descending: bool
    after: Cursor | None = None


class Listed(list[Row]):
    """The rows of a page, and of each the cursor after which the next page begins."""

    cursors: tuple[Cursor, ...] = ()


def list_fleet(
    connection: Connection,
    page: Page,
    filters: Filters,
    stale: bool | None,
    silent_since: Mapping[str, datetime],
    bounds: Bounds = UNBOUND,
) -> Listed:
    """List assets with `health`, `open_cases`, their number, and `score`: the present run's newest, or None.

    In the order of `urgency` those with an urgent case come first, then those with a planned one, of either the one
    with the earliest safe date; the others follow by the lower end of their remaining life.
    Beside columns, `filters` takes `health`, `search` (a part of the name), `tag` (name and value), and TAGS by their
    values.
    `silent_since` says for each twin that can be stale before which moment its last reading must have come for that.
    """
    word = health(silent_since)
    query = select(assets, urgencies.c.open_cases, word.label("health"))
    query = query.join(urgencies, urgencies.c.asset == assets.c.id)
    query = query.where(_of_fleet(filters, word), visible_assets(connection, bounds))
    if stale is not None:
        query = query.where(is_silent(silent_since) if stale else ~is_silent(silent_since))
    rows = _page(connection, query, page, *_fleet_order(page))
    found = last_scores(connection, [row["id"] for row in rows])
    for row in rows:
        row["score"] = found.get(row["id"])
    return rows


def last_scores(connection: Connection, asset_ids: Iterable[int]) -> dict[int, Row]:
    """Return by asset the newest score of its present run; of several models the latest."""
    wanted = assets.c.id.in_(list(asset_ids))
    newest = select(assets.c.id, assets.c.run, _newest_score("time").label("time")).where(wanted).subquery()
    same = (newest.c.id == scores.c.asset, newest.c.run == scores.c.run, newest.c.time == scores.c.time)
    query = select(scores).join(newest, and_(*same)).order_by(scores.c.scored_at)
    return {row["asset"]: row for row in unpacked(connection, _rows(connection, query))}


def list_scores(
    connection: Connection, asset_id: int, page: Page, run: int | None, period: tuple[datetime | None, datetime | None]
) -> Listed:
    """List scores of an asset, those made in the period from its first moment to its second, where given."""
    query = select(scores).where(scores.c.asset == asset_id, *_within(scores.c.scored_at, period))
    query = query if run is None else query.where(scores.c.run == run)
    order = {"time": (scores.c.run, scores.c.time), "scored_at": (scores.c.scored_at,), "rul_low": (scores.c.rul_low,)}
    rows = _page(connection, query, page, *order[page.sort], scores.c.run, scores.c.time, scores.c.model)
    rows[:] = unpacked(connection, rows)
    return rows


def list_readings(
    connection: Connection, asset_id: int, page: Page, run: int | None, period: tuple[datetime | None, datetime | None]
) -> Listed:
    """List readings of an asset received in the period: run, time, received_at, via, and `channels` by name."""
    columns = (readings.c.run, readings.c.time, readings.c.channels, batches.c.received_at, batches.c.via)
    query = select(*columns, layouts.c.channels.label("layout"))
    query = query.join(batches, batches.c.id == readings.c.batch).join(layouts, layouts.c.id == readings.c.layout)
    query = query.where(readings.c.asset == asset_id, *_within(batches.c.received_at, period))
    query = query if run is None else query.where(readings.c.run == run)
    order = {"time": (readings.c.run, readings.c.time), "received_at": (batches.c.received_at,)}
    rows = _page(connection, query, page, *order[page.sort], readings.c.run, readings.c.time)
    for row in rows:
        _name_channels(row)
    return rows


def list_cases(connection: Connection, page: Page, filters: Filters, bounds: Bounds = UNBOUND) -> Listed:
    """List cases, each with `asset_name`.

    Beside columns, `filters` takes `asset` (a name), `tag` (name and value of its asset's), and by a moment `resting`
    (snoozed beyond it) or `awake` (not so), `due_since` and `due_before`: with a planned or safe date from the one
    on, before the other; `has_date` and `is_open` are true or false. In the order of `latest_safe_date` a case without
    one comes in that of what is left.
    """
    query = select(cases, assets.c.name.label("asset_name")).outerjoin(assets, assets.c.id == cases.c.asset)
    query = query.where(_of_cases(filters), visible_cases(connection, bounds))
    name = type_coerce(assets.c.name, String)  # which a case of the fleet lacks, although the column never does
    order = {"asset": (name,), "latest_safe_date": (cases.c.latest_safe_date, cases.c.rul_low)}
    return _page(connection, query, page, *order.get(page.sort, (cases.c.get(page.sort),)), cases.c.id)


def list_quarantine(
    connection: Connection, page: Page, filters: Filters, released: bool | None, bounds: Bounds = UNBOUND
) -> Listed:
    """List quarantined readings and messages; `released` those that were sent again, or the others."""
    query = select(quarantine).where(_equal(quarantine, filters), visible_quarantine(connection, bounds))
    if released is not None:
        query = query.where(quarantine.c.released_at.is_not(None) if released else quarantine.c.released_at.is_(None))
    return _page(connection, query, page, quarantine.c[page.sort], quarantine.c.id)


def list_deliveries(connection: Connection, page: Page, filters: Filters) -> Listed:
    """List deliveries, each with the event's type, subject and moment (`at`)."""
    query = select(deliveries, events.c.type, events.c.subject, events.c.at)
    query = query.join(events, events.c.id == deliveries.c.event).where(_equal(deliveries, filters))
    return _page(connection, query, page, deliveries.c[page.sort], deliveries.c.event, deliveries.c.target)


def _newest_score(column: str) -> ColumnElement[Any]:
    """Return a column of the score of each asset's newest reading in its present run."""
    mine = (scores.c.asset == assets.c.id, scores.c.run == assets.c.run)
    newest = select(scores.c[column]).where(*mine).order_by(scores.c.time.desc(), scores.c.scored_at.desc()).limit(1)
    return newest.correlate(assets).scalar_subquery()


def _fleet_order(page: Page) -> tuple[Any, ...]:
    """Return the columns by which the fleet is ordered; where an index has them, none of them can be unknown."""
    table = urgencies.c
    if page.sort == "urgency":
        return table.severity, table.due, table.rul_low, table.asset
    order = {"rul_low": case((table.rul_low < UNKNOWN, table.rul_low)), "open_cases": table.open_cases}
    return order.get(page.sort, assets.c.get(page.sort)), assets.c.name


def _of_fleet(filters: Filters, word: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition of the fleet's filters; `word` is the column of its health."""
    meant = dict(filters)
    conditions: list[ColumnElement[bool]] = []
    if "health" in meant:
        conditions.append(word == meant.pop("health"))
    if "search" in meant:
        conditions.append(assets.c.name.icontains(meant.pop("search"), autoescape=True))
    if "tag" in meant:
        tag, value = meant.pop("tag")
        conditions.append(assets.c.tags[tag].as_string() == value)
    conditions += [assets.c.tags[tag].as_string() == meant.pop(tag) for tag in TAGS if tag in meant]
    return and_(_equal(assets, meant), *conditions)


def _of_cases(filters: Filters) -> ColumnElement[bool]:
    """Return the condition of the filters of cases."""
    due, until = func.coalesce(cases.c.planned_for, cases.c.latest_safe_date), cases.c.snoozed_until
    meant: dict[str, Callable[[Any], ColumnElement[bool]]] = {
        "asset": lambda name: assets.c.name == name,
        "tag": lambda tag: assets.c.tags[tag[0]].as_string() == tag[1],
        "resting": lambda now: until > now,
        "awake": lambda now: or_(until.is_(None), until <= now),
        "due_since": lambda moment: due >= moment,
        "due_before": lambda moment: due < moment,
        "has_date": lambda has: due.is_not(None) if has else due.is_(None),
        "is_open": lambda is_open: cases.c.state != "closed" if is_open else cases.c.state == "closed",
    }
    special = [meant[name](value) for name, value in filters.items() if name in meant]
    return and_(_equal(cases, {name: value for name, value in filters.items() if name not in meant}), *special)


def _equal(table: Any, filters: Filters) -> ColumnElement[bool]:
    return and_(True, *(table.c[name] == value for name, value in filters.items()))


def _within(column: Any, period: tuple[datetime | None, datetime | None]) -> list[ColumnElement[bool]]:
    since, until = period
    return ([] if since is None else [column >= since]) + ([] if until is None else [column <= until])


def _page(connection: Connection, query: Select[Any], page: Page, *order: Any) -> Listed:
    """Return a page ordered by the columns, unknown values last; the ones after the first make the order total."""
    columns = list(dict.fromkeys(order))
    places = [column.desc() if page.descending else column.asc() for column in columns]
    # Where nothing can be unknown, saying where it would stand would only keep an index from serving.
    ordered = [one.nulls_last() if _may_lack(column) else one for column, one in zip(columns, places, strict=True)]
    if page.after is not None:
        query = query.where(_beyond(columns, page.after, page.descending))
    named = [column.label(f"_place{i}") for i, column in enumerate(columns)]
    paged = query.add_columns(*named).order_by(*ordered).limit(page.limit).offset(page.offset)
    rows = Listed(_rows(connection, paged))
    rows.cursors = tuple(tuple(row.pop(f"_place{i}") for i in range(len(columns))) for row in rows)
    return rows


def _beyond(columns: Sequence[Any], after: Cursor, descending: bool) -> ColumnElement[bool]:
    """Return whether a row comes after the cursor's; BadInput where it is none of this order."""
    if len(columns) != len(after) or not all(map(_fits, columns, after)):
        raise BadInput("after", "is no place in this list; take the path in `next` as it is")
    values = [
        None if value is None else literal(value, column.type) for column, value in zip(columns, after, strict=True)
    ]
    if not any(map(_may_lack, columns)):
        here, there = tuple_(*columns), tuple_(*values)
        return here < there if descending else here > there
    ways: list[ColumnElement[bool]] = []
    same: list[ColumnElement[bool]] = []
    for column, value in zip(columns, values, strict=True):
        if value is not None:
            later = column < value if descending else column > value
            ways.append(and_(*same, or_(later, column.is_(None)) if _may_lack(column) else later))
        same.append(column.is_(None) if value is None else column == value)
    return or_(false(), *ways)


def _may_lack(column: Any) -> bool:
    return bool(getattr(column, "nullable", True))


def _fits(column: Any, value: Any) -> bool:
    if value is None:
        return _may_lack(column)
    kind: type = column.type.python_type
    if (isinstance(value, int) and abs(value) >= 2**63) or (isinstance(value, str) and "\0" in value):
        return False
    return isinstance(value, (int, float) if kind is float else kind) and not isinstance(value, bool)


def _rows(connection: Connection, query: Select[Any]) -> list[Row]:
    return [{str(name): value for name, value in row.items()} for row in connection.execute(query).mappings()]


def _name_channels(row: Row) -> None:
    names: Sequence[str] = row.pop("layout").split(",")
    values = unpack_channels([row["channels"]], names, names)[0].tolist()
    row["channels"] = dict(zip(names, values, strict=True))
