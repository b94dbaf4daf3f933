"""Outbox: events, and the state of their delivery to each target."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, Update, exists, func, insert, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from foretwin.twin.store.column_types import Moment
from foretwin.twin.store.tables import assets, deliveries, events


@dataclass(frozen=True)
class Event:
    """A row of the outbox; `asset` and `asset_name` are None for an event of the whole fleet."""

    id: str
    at: datetime
    type: str
    twin: str
    asset: int | None
    asset_name: str | None
    subject: str
    data: Any


@dataclass(frozen=True)
class Delivery:
    """An event on its way to a target; `error` is that of the last attempt."""

    event: Event
    target: str
    state: str
    attempts: int
    due_at: datetime
    error: str | None


def add_event(connection: Connection, event: Event) -> None:
    """Put an event into the outbox."""
    row = asdict(event)
    del row["asset_name"]
    connection.execute(insert(events).values(row))


def assign(connection: Connection, target: str, now: datetime, since: datetime | None = None) -> None:
    """Queue the events that the target has not been given yet; those before `since` are skipped."""
    given = exists().where(deliveries.c.event == events.c.id, deliveries.c.target == target)
    columns = [events.c.id, literal(target), literal("waiting"), literal(0), literal(now, Moment)]
    missing = select(*columns).where(~given)
    if since is not None:  # ids begin with their milliseconds: this is a range of the primary key
        missing = missing.where(events.c.id >= f"{int(since.timestamp() * 1000):012x}"[:8])
    into = ["event", "target", "state", "attempts", "due_at"]
    upsert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    waiting = upsert(deliveries).from_select(into, missing).on_conflict_do_nothing()  # another process may do the same
    connection.execute(waiting)


def newest_event(connection: Connection) -> datetime | None:
    """Return the latest moment of any event; None without events."""
    last: str | None = connection.execute(select(func.max(events.c.id))).scalar_one()  # the end of the primary key
    return None if last is None else datetime.fromtimestamp(int(last.replace("-", "")[:12], 16) / 1000, UTC)


def due(connection: Connection, target: str, now: datetime, limit: int) -> list[Delivery]:
    """Return the deliveries that are due now, oldest first.

    Of each asset only its oldest waiting event: later ones wait until that one is delivered or dead, so that a receiver
    learns what happens to an asset in order.
    """
    place = func.row_number().over(partition_by=(events.c.twin, events.c.asset), order_by=(events.c.at, events.c.id))
    waiting = (
        select(deliveries.c.event, deliveries.c.target, place.label("place"))
        .join(events, events.c.id == deliveries.c.event)
        .where(deliveries.c.target == target, deliveries.c.state == "waiting")
        .subquery()
    )
    query = _deliveries().join(
        waiting, (waiting.c.event == deliveries.c.event) & (waiting.c.target == deliveries.c.target)
    )
    query = query.where(waiting.c.place == 1, deliveries.c.due_at <= now)
    return [_delivery(row) for row in connection.execute(query.order_by(events.c.at, events.c.id).limit(limit))]


def claim(connection: Connection, found: Delivery, counted: Delivery) -> bool:
    """Store attempts and due_at of `counted` before the attempt is made; False where another process was first."""
    query = _waiting(found).where(deliveries.c.attempts == found.attempts)
    return connection.execute(query.values(attempts=counted.attempts, due_at=counted.due_at)).rowcount == 1


def settle_delivery(connection: Connection, attempted: Delivery) -> None:
    """Store state and error after the attempt; what another process has delivered in the meantime stays delivered."""
    connection.execute(_waiting(attempted).values(state=attempted.state, error=attempted.error))


def revive(connection: Connection, event_ids: Sequence[str] | None, now: datetime) -> int:
    """Queue dead deliveries of these events, or of all where None, again; return how many."""
    query = update(deliveries).where(deliveries.c.state == "dead")
    if event_ids is not None:
        query = query.where(deliveries.c.event.in_(event_ids))
    return connection.execute(query.values(state="waiting", attempts=0, due_at=now)).rowcount


def _waiting(delivery: Delivery) -> Update:
    mine = (deliveries.c.event == delivery.event.id) & (deliveries.c.target == delivery.target)
    return update(deliveries).where(mine, deliveries.c.state == "waiting")


def _deliveries() -> Select[Any]:
    columns = (deliveries.c.target, deliveries.c.state, deliveries.c.attempts, deliveries.c.due_at, deliveries.c.error)
    return _with_name(select(events, assets.c.name, *columns)).join(deliveries, deliveries.c.event == events.c.id)


def _with_name(query: Select[Any]) -> Select[Any]:
    return query.select_from(events).join(assets, assets.c.id == events.c.asset, isouter=True)


def _event(row: Row[Any]) -> Event:
    return Event(row.id, row.at, row.type, row.twin, row.asset, row.name, row.subject, row.data)


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(_event(row), row.target, row.state, row.attempts, row.due_at, row.error)
