"""Read events in the order in which they were stored, as far as a key may see them."""

from collections.abc import Sequence

from sqlalchemy import Connection, and_, func, or_, select

from foretwin.serving.access.bounds import Bounds
from foretwin.twin.store.casework.events import Event, as_event, with_name
from foretwin.twin.store.summaries import event_places
from foretwin.twin.store.tables import assets, events
from foretwin.twin.store.visibility import visible_assets, visible_twins


def newest_number(connection: Connection) -> int:
    """Return the number of the event that was stored last, 0 where there is none."""
    return int(connection.execute(select(func.max(event_places.c.number))).scalar_one() or 0)


def numbers_after(connection: Connection, number: int, most: int) -> Sequence[int]:
    """Return the numbers of the next events."""
    place = event_places.c.number
    return list(connection.execute(select(place).where(place > number).order_by(place).limit(most)).scalars())


def number_of(connection: Connection, event_id: str) -> int:
    """Return the number of an event; of one that is no longer there, that before the first one that is newer."""
    place = event_places.c.number
    found = connection.execute(select(place).where(event_places.c.event == event_id)).scalar()
    if found is not None:
        return int(found)
    newer = connection.execute(select(func.min(place)).where(event_places.c.event > event_id)).scalar()
    return newest_number(connection) if newer is None else int(newer) - 1


def events_between(
    connection: Connection, after: int, upto: int, bounds: Bounds, twin: str | None, most: int
) -> list[tuple[int, Event]]:
    """Return number and event of the next ones within the bounds, of one twin where that is given."""
    place = event_places.c.number
    query = with_name(select(events, assets.c.name, place)).join(event_places, event_places.c.event == events.c.id)
    query = query.where(place > after, place <= upto)
    query = query if twin is None else query.where(events.c.twin == twin)
    if bounds:
        seen = and_(events.c.asset.is_not(None), visible_assets(connection, bounds))
        if bounds.are_of_twins:
            seen = or_(seen, and_(events.c.asset.is_(None), visible_twins(connection, events.c.twin, bounds)))
        query = query.where(seen)
    rows = connection.execute(query.order_by(place).limit(most)).all()
    return [(row.number, as_event(row)) for row in rows]
