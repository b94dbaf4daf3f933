"""What the sections of the contract are made of: their base, words, fields that may be unset, times and patterns."""

import re
from datetime import timedelta, timezone, tzinfo
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
TIME_FORMATS = (
    *("iso", "day_first", "month_first", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns"),
    *("number", "duration", "row", "ask"),
)


class ContractPart(BaseModel):
    """Base of the contract's sections: frozen, and without unknown fields, so that a typo is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def unset(description: str) -> Any:
    """Return a field that is None by default, and then left out of the contract's digest."""
    return Field(default=None, exclude_if=lambda value: value is None, description=description)


def zone_of(name: str) -> tzinfo:
    """Return the time zone of an IANA name or of an offset such as +01:00; ValueError for any other text."""
    offset = re.fullmatch(r"([+-])(\d\d):?(\d\d)", name)
    if offset:
        size = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(-size if offset[1] == "-" else size)
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ValueError(f"{name} is no time zone; write one such as Europe/Berlin, or an offset as +01:00") from None


def pattern_words(pattern: str | None) -> tuple[str, ...]:
    """Return the words in braces of a pattern of paths."""
    return tuple(dict.fromkeys(re.findall(r"{(\w+)(?::d)?}", pattern or "")))
