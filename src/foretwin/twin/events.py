"""What others are told: CloudEvents 1.0 in structured JSON mode, written to the outbox with what they tell of.

An event stands in the same transaction as what it tells of: one is kept exactly when the other is. `delivery`
sends what the outbox holds.
"""

import itertools
import secrets
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import orjson

from foretwin.twin.store import Connection
from foretwin.twin.store import events as outbox
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.events import Event

_count = itertools.count()


def emit(  # noqa: PLR0913, PLR0917 - what happened, to whom, when
    connection: Connection,
    kind: str,
    twin: str,
    asset: Asset | None,
    subject: str,
    data: Mapping[str, Any],
    now: datetime,
) -> str:
    """Put an event into the outbox and return its id.

    `kind` is such as `case.opened`, `subject` what it is about, such as `cases/12`, `asset` None for an event of the
    whole fleet. Moments in `data` become RFC 3339, and what is no finite number null.
    """
    event = Event(
        id=str(_identity(now, next(_count))),
        at=now,
        type=f"foretwin.{kind}.v1",
        twin=twin,
        asset=None if asset is None else asset.id,
        asset_name=None if asset is None else asset.name,
        subject=subject,
        data=orjson.loads(orjson.dumps(data)),
    )
    outbox.add(connection, event)
    return event.id


def source_of(twin: str, asset: str | None) -> str:
    """Where an event comes from: `/foretwin/<twin>/<asset>`, or `/foretwin/<twin>` for the fleet; a URI reference."""
    return "/".join(["/foretwin", twin, *([] if asset is None else [quote(asset, safe="")])])


def as_cloud_event(event: Event) -> dict[str, Any]:
    """The event in CloudEvents' structured JSON format (its media type is application/cloudevents+json)."""
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": source_of(event.twin, event.asset_name),
        "type": event.type,
        "subject": event.subject,
        "time": event.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": event.data,
    }


def _identity(now: datetime, count: int) -> uuid.UUID:
    """A UUID of version 7 (RFC 9562, section 5.7): milliseconds, then a counter of this process, then chance.

    So the events of one moment sort in the order in which they happened.
    """
    milliseconds = int(now.timestamp() * 1000) % 2**48
    high, low = divmod(count % 2**32, 2**20)
    chance = secrets.randbits(42)
    return uuid.UUID(int=milliseconds << 80 | 7 << 76 | high << 64 | 0b10 << 62 | low << 42 | chance)
