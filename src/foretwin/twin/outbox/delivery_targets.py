"""A receiver of the outbox's events, how one is sent to it, and what came of it."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime

from foretwin.twin.connectors.connections.addresses import split_url
from foretwin.twin.store import Store
from foretwin.twin.store.casework.events import Delivery, Event

TIMEOUT = 15  # seconds that a receiver has for its answer


@dataclass(frozen=True)
class Target:
    """A receiver. `url` may hold credentials, `name` never does; `secret` signs what goes to a webhook.

    `connect` reaches it where the URL does not; `hold` says until when an event is not to be sent, None for now; `once`
    which events are sent at most once, since the receiver cannot know one that comes twice.
    """

    url: str = field(repr=False)
    secret: bytes = field(default=b"", repr=False)
    connect: "Callable[[threading.Event], AbstractContextManager[Send]] | None" = field(default=None, repr=False)
    hold: "Callable[[Store, Delivery], datetime | None] | None" = field(default=None, repr=False)
    once: Callable[[Event], bool] | None = field(default=None, repr=False)

    @property
    def is_webhook(self) -> bool:
        """Whether it is reached by HTTP, not MQTT."""
        return split_url(self.url).scheme in ("http", "https")

    @property
    def name(self) -> str:
        """Return the URL without user, password and query: any of them may be a secret."""
        parts = split_url(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


@dataclass(frozen=True)
class DeliveryOutcome:
    """The outcome of one delivery attempt.

    `error` is None where it took it; `gone`: it wants no more of them; `broken`: the connection is to be made anew;
    `away`: nobody answered.
    """

    error: str | None = None
    gone: bool = False
    broken: bool = False
    away: bool = False


Send = Callable[[Event], DeliveryOutcome]
