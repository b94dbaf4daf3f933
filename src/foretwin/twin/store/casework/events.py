"""Outbox: events, and the state of their delivery to each target."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    String,
    Update,
    cast,
    exists,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from foretwin.twin.store.column_types import Moment
from foretwin.twin.store.summaries import event_places
from foretwin.twin.store.tables import IS_NEXT, IS_WAITING, assets, deliveries, events

LOCK = 7085  # of PostgreSQL's advisory locks: what is next for one target, one transaction at a time
FIRST_LOOK = 1000  # numbers, the newest ones, among which those of open transactions are at the first look
LONGEST_TRANSACTION = timedelta(hours=1)  # after which a number that nobody has used belongs to none
_STREAM = events.c.twin + "/" + func.coalesce(cast(events.c.asset, String), "")
_other_waits = text("other.state = 'waiting'")  # as text, so that SQLite sees that the partial index serves


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
    """An event on its way to a target; `error` is that of the last attempt.

    `state` is waiting, delivered, dead, or unknown: it was being sent to a target that is told once, and no answer is
    stored.
    """

    event: Event
    target: str
    state: str
    attempts: int
    due_at: datetime
    error: str | None


@dataclass(frozen=True)
class Seen:
    """How far a target has been given the events: up to `number`, but for the `missing` below it.

    A missing number is of a transaction that has not committed yet, or never will; it is looked for until a moment.
    """

    number: int = 0
    missing: tuple[tuple[int, datetime], ...] = ()


def add_event(connection: Connection, event: Event) -> None:
    """Put an event into the outbox."""
    row = asdict(event)
    del row["asset_name"]
    connection.execute(insert(events).values(row))
    connection.execute(insert(event_places).values(event=event.id))


def assign(connection: Connection, target: str, now: datetime, seen: Seen | None = None) -> Seen:
    """Queue the events that the target has not been given yet: those not `seen`, or all that it lacks.

    Events are found by the order in which they were stored, whatever their senders' clocks say.
    """
    _lock(connection, target)
    place = event_places.c.number
    is_new: ColumnElement[bool] = true()
    if seen is not None:
        is_new = place > seen.number
        is_new = or_(is_new, place.in_([number for number, _ in seen.missing])) if seen.missing else is_new
    found = list(connection.execute(select(place).where(is_new).order_by(place)).scalars())
    if found:
        new = select(event_places.c.event).where(is_new).scalar_subquery()
        given = exists().where(deliveries.c.event == events.c.id, deliveries.c.target == target)
        columns = [events.c.id, literal(target), literal("waiting"), literal(0), literal(now, Moment)]
        lacking = select(*columns, _STREAM, false()).where(events.c.id.in_(new), ~given)
        into = ["event", "target", "state", "attempts", "due_at", "stream", "is_next"]
        upsert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        connection.execute(upsert(deliveries).from_select(into, lacking).on_conflict_do_nothing())
        streams = select(_STREAM).where(events.c.id.in_(new))
        _choose_next(connection, (deliveries.c.target == target, deliveries.c.stream.in_(streams)))
    return _seen(seen, found, now)


def due(connection: Connection, target: str, now: datetime, limit: int) -> list[Delivery]:
    """Return the deliveries that are due now, oldest first.

    Of each asset only its oldest waiting event: later ones wait until that one is delivered or dead, so that a receiver
    learns what happens to an asset in order.
    """
    order = deliveries.c.due_at, deliveries.c.event
    query = _deliveries().where(deliveries.c.target == target, IS_NEXT, deliveries.c.due_at <= now)
    return [_delivery(row) for row in connection.execute(query.order_by(*order).limit(limit))]


def hasten(connection: Connection, target: str, now: datetime) -> None:
    """Make what waits for a later moment due now: the target is there again, or a clock was ahead."""
    later = (deliveries.c.target == target, deliveries.c.state == "waiting", deliveries.c.due_at > now)
    connection.execute(update(deliveries).where(*later).values(due_at=now))


def claim(connection: Connection, found: Delivery, counted: Delivery) -> bool:
    """Store `counted` before the attempt is made; False where another process was first."""
    query = _of_state(found, "waiting").where(deliveries.c.attempts == found.attempts)
    values = {name: getattr(counted, name) for name in ("attempts", "due_at", "state", "error")}
    return connection.execute(query.values(values | {"is_next": counted.state == "waiting"})).rowcount == 1


def settle_delivery(connection: Connection, attempted: Delivery) -> None:
    """Store state and error after the attempt; what another process has delivered in the meantime stays delivered.

    What waited for it is next.
    """
    _lock(connection, attempted.target)
    is_over = attempted.state != "waiting"
    values = {"state": attempted.state, "error": attempted.error, "is_next": not is_over}
    changed = connection.execute(_of_state(attempted, "waiting", "unknown").values(values)).rowcount
    if is_over and changed:
        stream = f"{attempted.event.twin}/{attempted.event.asset or ''}"
        _choose_next(connection, (deliveries.c.target == attempted.target, deliveries.c.stream == stream))


def revive(connection: Connection, event_ids: Sequence[str] | None, now: datetime, state: str = "dead") -> int:
    """Queue deliveries of a state, dead or unknown, of these events, or of all where None, again; return how many."""
    dead = deliveries.c.state == state
    if event_ids is not None:
        dead &= deliveries.c.event.in_(event_ids)
    streams = connection.execute(select(deliveries.c.target, deliveries.c.stream).where(dead).distinct()).all()
    revived = connection.execute(
        update(deliveries).where(dead).values(state="waiting", attempts=0, due_at=now)
    ).rowcount
    for target, stream in sorted(streams):
        _lock(connection, target)
        _choose_next(connection, (deliveries.c.target == target, deliveries.c.stream == stream))
    return revived


def _lock(connection: Connection, target: str) -> None:
    """Wait until no other transaction chooses what is next for the target; SQLite has one writer at a time anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(LOCK, func.hashtext(target))))


def _choose_next(connection: Connection, of: Sequence[ColumnElement[bool]]) -> None:
    """Mark the oldest waiting delivery of these streams as next, where none is."""
    other = deliveries.alias("other")
    same = (other.c.target == deliveries.c.target, other.c.stream == deliveries.c.stream, _other_waits)
    oldest = select(func.min(other.c.event)).where(*same).correlate(deliveries).scalar_subquery()
    taken = exists().where(*same, other.c.is_next).correlate(deliveries)
    first = update(deliveries).where(*of, IS_WAITING, ~deliveries.c.is_next, ~taken, deliveries.c.event == oldest)
    connection.execute(first.values(is_next=True))


def _seen(before: Seen | None, found: Sequence[int], now: datetime) -> Seen:
    """Return how far the target has been given them, with numbers that were skipped."""
    before = before or Seen(max(0, (found[-1] if found else 0) - FIRST_LOOK))
    number, present = max([before.number, *found]), set(found)
    waited = [(one, until) for one, until in before.missing if one not in present and until > now]
    skipped = [one for one in range(before.number + 1, number) if one not in present]
    return Seen(number, (*waited, *((one, now + LONGEST_TRANSACTION) for one in skipped)))


def _of_state(delivery: Delivery, *states: str) -> Update:
    mine = (deliveries.c.event == delivery.event.id) & (deliveries.c.target == delivery.target)
    return update(deliveries).where(mine, deliveries.c.state.in_(states))


def _deliveries() -> Select[Any]:
    columns = (deliveries.c.target, deliveries.c.state, deliveries.c.attempts, deliveries.c.due_at, deliveries.c.error)
    return with_name(select(events, assets.c.name, *columns)).join(deliveries, deliveries.c.event == events.c.id)


def with_name(query: Select[Any]) -> Select[Any]:
    """Return a query of `events` that knows the names of their assets too."""
    return query.select_from(events).join(assets, assets.c.id == events.c.asset, isouter=True)


def as_event(row: Row[Any]) -> Event:
    """Return the event of a row of such a query."""
    return Event(row.id, row.at, row.type, row.twin, row.asset, row.name, row.subject, row.data)


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(as_event(row), row.target, row.state, row.attempts, row.due_at, row.error)
