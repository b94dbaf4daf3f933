"""Spellings of one machine's name: `M-01` and `m-01 ` are one machine, and so are 7 and 07."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

FORMAT = "Cf"  # Unicode's category of characters that no reader sees: zero-width and direction marks, soft hyphens
SLOTS = 2**15  # among which names are dealt
REMEMBERED = 200_000  # names whose slots are
WHOLE = re.compile(r"([+-]?)0*(\d+)(\.0*)?")


def spelling_key(name: str) -> str:
    """Return what all spellings of one machine's name have in common.

    Case, width and other compatibility forms (NFKC), blanks around it and characters without a width do not count, nor
    do the zeros of a whole number: 07 and 7.0 are 7.
    """
    if name.isascii():  # the most frequent, at a tenth of the time
        seen = name.lower().strip()
    else:
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
        seen = "".join(one for one in folded if unicodedata.category(one) != FORMAT).strip()
    number = WHOLE.fullmatch(seen)
    if number is None:
        return " ".join(seen.split())
    sign, digits, _ = number.groups()
    return digits if sign != "-" or digits == "0" else f"-{digits}"


@lru_cache(REMEMBERED)
def slot_of(name: str) -> int:
    """Return the slot of a machine's name, below SLOTS, the same for each spelling of it and for ever."""
    digest = hashlib.sha256(spelling_key(name).encode("utf-8", "backslashreplace")).digest()
    return int.from_bytes(digest[:4], "big") % SLOTS


class Spellings:
    """The first spelling of each machine's name, of names that come in pieces."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def first(self, names: Iterable[str]) -> dict[str, str]:
        """Return each distinct name with the spelling of its machine that came first."""
        return {name: self._known.setdefault(spelling_key(name), name) for name in dict.fromkeys(names)}


def first_spellings(names: Iterable[str]) -> dict[str, str]:
    """Return each distinct name with the spelling of its machine that comes first."""
    return Spellings().first(names)


def find_other_spelling(names: Sequence[str]) -> tuple[int, int] | None:
    """Return the places of two names of one machine, an earlier and a later one; None where each has its own."""
    keys = [spelling_key(str(name)) for name in names]
    if len(set(keys)) == len(keys):
        return None
    first: dict[str, int] = {}
    for place, key in enumerate(keys):
        if first.setdefault(key, place) != place:
            return first[key], place
    return None
