"""Whether something urgent waits behind an event that is held back."""

from sqlalchemy import Connection, exists, select

from foretwin.twin.store.casework.events import Delivery
from foretwin.twin.store.tables import deliveries, events


def urgent_waits(connection: Connection, held: Delivery) -> bool:
    """Whether an urgent event of the same asset waits for the same target: it comes after the one that is held."""
    same = (deliveries.c.target == held.target, deliveries.c.state == "waiting")
    about = (events.c.twin == held.event.twin, events.c.asset == held.event.asset)
    urgent = events.c.data["severity"].as_string() == "urgent"
    query = select(deliveries.c.event).join(events, events.c.id == deliveries.c.event).where(*same, *about, urgent)
    return bool(connection.execute(select(exists(query))).scalar_one())
