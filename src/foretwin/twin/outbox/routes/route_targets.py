"""The routes of a project as targets of the outbox."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from foretwin.twin.outbox.delivery_targets import DeliveryOutcome, Send, Target
from foretwin.twin.outbox.routes.chats import chats_told
from foretwin.twin.outbox.routes.mails import mails_sent
from foretwin.twin.outbox.routes.routes_file import HELD, NamedRoute, load_routes
from foretwin.twin.outbox.routes.work_order_template import load_template
from foretwin.twin.outbox.routes.work_orders import WorkOrders
from foretwin.twin.outbox.signatures import webhook_secret
from foretwin.twin.store import Store
from foretwin.twin.store.casework.events import Delivery, Event
from foretwin.twin.store.casework.stream_urgency import urgent_waits
from foretwin.twin.store.visibility import is_visible

TAKEN = "foretwin.service_request.issued.v1"
URGENT = "urgent"


def route_targets(store: Store, root: Path, environ: Mapping[str, str]) -> tuple[Target, ...]:
    """Return a target for each route of routes.yaml; ConnectionsError where one cannot be used as it stands."""
    return tuple(_target(store, route, environ) for route in load_routes(root, environ))


def target_name(route: NamedRoute) -> str:
    """Return the name of a route's target."""
    return f"route:{route.name}"


def _target(store: Store, route: NamedRoute, environ: Mapping[str, str]) -> Target:
    route.check_secrets()
    if route.settings.work_orders is not None:
        template = load_template(route.root / route.settings.work_orders)
        connect: Callable[[], AbstractContextManager[Send]] = WorkOrders(
            store, route, template, webhook_secret(environ)
        ).connected
    elif route.settings.mail is not None:
        connect = partial(mails_sent, route)
    else:
        connect = partial(chats_told, route)
        with connect():  # what is not installed or no URL is told now, not with the first request
            pass
    return Target(
        target_name(route),
        connect=partial(_connected, store, route, connect),
        hold=partial(_held_until, route),
        once=partial(_takes, store, route) if route.settings.chat_from else None,
    )


@contextmanager
def _connected(
    store: Store, route: NamedRoute, connect: Callable[[], AbstractContextManager[Send]], _: threading.Event
) -> Iterator[Send]:
    with connect() as send:
        yield lambda event: send(event) if _takes(store, route, event) else DeliveryOutcome()


def _takes(store: Store, route: NamedRoute, event: Event) -> bool:
    """Whether the event is a service request that the route is for."""
    own = route.settings
    if event.type != TAKEN or event.asset_name is None:
        return False
    if own.severity == URGENT and event.data["severity"] != URGENT:
        return False
    with store.read() as connection:
        return bool(is_visible(connection, event.asset_name, own.bounds))


def _held_until(route: NamedRoute, store: Store, delivery: Delivery) -> datetime | None:
    """Return when a request that is not urgent is looked at again in quiet hours; None: it is sent now.

    Something urgent about the same machine would wait behind it: then both are sent.
    """
    quiet, event = route.settings.quiet, delivery.event
    if quiet is None or event.type != TAKEN or event.data["severity"] == URGENT:
        return None
    now = datetime.now(UTC)
    end = quiet.end_after(now)
    if end is None:
        return None
    with store.read() as connection:
        if urgent_waits(connection, delivery):
            return None
    return min(end.astimezone(UTC), now + HELD)
