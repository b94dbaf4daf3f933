"""Data values of OPC UA: when they were taken at their source, what they say, and whether they are good."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from asyncua import ua

OVERFLOW = 0x0480  # information bits of a value: the server's queue was full, and values before it are gone
ZONE_FREE = datetime(1970, 1, 1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TagValue(NamedTuple):
    """A value of a tag: `time` in microseconds since 1970, `code` the name of its status where that is not good."""

    time: int
    raw: Any
    code: str | None
    after_loss: bool


def read_data_value(value: ua.DataValue) -> TagValue | None:
    """Return what a data value says; None where it has no time, as before a server has measured anything.

    The time is the source's; a server that tells none is taken at its own.
    """
    moment = value.SourceTimestamp or value.ServerTimestamp
    if moment is None:
        return None
    status = value.StatusCode or ua.StatusCode(0)
    since = moment - (ZONE_FREE if moment.tzinfo is None else EPOCH)
    micros = since.days * 86_400_000_000 + since.seconds * 1_000_000 + since.microseconds
    raw = value.Value.Value if value.Value is not None else None
    good = status.value & 0xC0000000 == 0
    return TagValue(micros, raw if good else None, None if good else status.name, status.value & OVERFLOW == OVERFLOW)
