"""Queue of deliveries: how many wait for each target, since when, and how many ended otherwise."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from foretwin.twin.store.tables import deliveries, events

UNDELIVERED = ("dead", "unknown")  # states of which somebody has to hear


@dataclass(frozen=True)
class DeliveryQueue:
    """Deliveries to one target; `since` is the moment of the oldest event that waits.

    `dead` were given up, or nobody knows whether they arrived.
    """

    target: str
    waiting: int
    dead: int
    since: datetime | None


def delivery_queues(connection: Connection) -> list[DeliveryQueue]:
    """Return the queue of each target to which something waits or was given up, in order of their names."""
    oldest = func.min(events.c.at).filter(deliveries.c.state == "waiting")
    query = select(
        deliveries.c.target,
        func.count().filter(deliveries.c.state == "waiting"),
        func.count().filter(deliveries.c.state.in_(UNDELIVERED)),
        oldest,
    ).join(events, events.c.id == deliveries.c.event)
    query = query.where(deliveries.c.state.in_(("waiting", *UNDELIVERED))).group_by(deliveries.c.target)
    return [DeliveryQueue(*row) for row in connection.execute(query.order_by(deliveries.c.target))]
