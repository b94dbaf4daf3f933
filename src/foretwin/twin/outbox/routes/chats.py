"""Service requests to chats and phones through Apprise, an optional extra: the only importer of it."""

from collections.abc import Iterator
from contextlib import contextmanager

from foretwin.errors import ConnectionsError
from foretwin.twin.connectors.extras import needing_extra
from foretwin.twin.outbox.delivery_targets import DeliveryOutcome, Send
from foretwin.twin.outbox.routes.messages import as_plain_text, headline
from foretwin.twin.outbox.routes.routes_file import FILE, NamedRoute
from foretwin.twin.store.casework.events import Event


@contextmanager
def chats_told(route: NamedRoute) -> Iterator[Send]:
    """Yield what sends an event; ConnectionsError where Apprise is not there, or knows no such URL."""
    with needing_extra(f"{FILE}: {route.name}", "chat"):
        import apprise
    variable = route.settings.chat_from or ""
    chat = apprise.Apprise()
    if not chat.add(route.secret(variable)):
        raise ConnectionsError(f"{FILE}: {route.name}: {variable} holds no URL that Apprise knows")

    def send(event: Event) -> DeliveryOutcome:
        kind = apprise.NotifyType.FAILURE if event.data["severity"] == "urgent" else apprise.NotifyType.WARNING
        body = as_plain_text(event.data, event.data["links"]["case"])
        took = chat.notify(body=body, title=headline(event.data), notify_type=kind)
        return DeliveryOutcome() if took else DeliveryOutcome("the chat did not take it", away=True)

    yield send
