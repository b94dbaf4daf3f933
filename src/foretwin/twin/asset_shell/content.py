"""What a submodel says, as data: by the names of its template, without its types and meanings.

Of a Property a number, truth, text or moment; of a MultiLanguageProperty a text in English; of a Range its ends; of a
collection or submodel a mapping by idShort; of a list its items. None: not known.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Content = Any
LONGEST_ID = 100  # characters of an idShort; the standard allows 128


@dataclass(frozen=True)
class Called:
    """An element with a name of our own at a place where the template has an example; `value_type` where it differs."""

    example: str  # idShort of the example in the template; none: the meaning is ours
    content: Content
    value_type: str | None = None
    meaning: str | None = None  # semantic id, where the example's is not meant


@dataclass(frozen=True)
class Thing:
    """An entity: its id in the world or its serial number, of which the standard allows one, and what is said of it."""

    global_id: str | None = None
    serial_number: str | None = None
    statements: Mapping[str, Content] = field(default_factory=dict)
    description: str | None = None


@dataclass(frozen=True)
class Link:
    """A relationship between two elements of the same submodel, each by its path of idShorts."""

    first: tuple[str, ...]
    second: tuple[str, ...]


def id_shorts(names: Iterable[str]) -> list[str]:
    """Return an idShort for each name: letters, digits and underscores, beginning with a letter, none of them twice."""
    found: list[str] = []
    for name in names:
        plain = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")[:LONGEST_ID]
        plain = plain if plain[:1].isalpha() else f"x_{plain}"
        count = sum(one == plain or one.startswith(f"{plain}__") for one in found)
        found.append(f"{plain}__{count + 1}" if count else plain)
    return found
