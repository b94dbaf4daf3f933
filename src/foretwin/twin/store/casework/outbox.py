"""Put events into the outbox in the transaction that causes them: both are stored, or neither."""

import itertools
import secrets
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection

from foretwin.twin.store.assets import Asset
from foretwin.twin.store.casework.events import Event, add_event

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
    add_event(connection, event)
    return event.id


def _identity(now: datetime, count: int) -> uuid.UUID:
    """Return a UUID of version 7 (RFC 9562, section 5.7): milliseconds, a counter of this process, random bits.

    So the events of one moment sort in the order in which they happened.
    """
    milliseconds = int(now.timestamp() * 1000) % 2**48
    high, low = divmod(count % 2**32, 2**20)
    chance = secrets.randbits(42)
    return uuid.UUID(int=milliseconds << 80 | 7 << 76 | high << 64 | 0b10 << 62 | low << 42 | chance)
