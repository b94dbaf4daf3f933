"""Categories of a channel: words that are kept as numbers, 1, 2, ... in the contract's order.

A word is mapped to its number where it comes in, in whatever form; past there a category is a channel like others, of
whole numbers. UNKNOWN_CODE stands for every other word, and for padding: a network sees neither as any category.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from math import isnan, nan

UNKNOWN_CODE = 0.0
UNKNOWN_WORD = "unknown"
NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?")


def label_key(text: str) -> str:
    """Return what all spellings of one label have in common: 1, 1.0 and `1,00` are one, and so are `No` and `no `."""
    folded = text.strip().casefold()
    if not NUMBER.fullmatch(folded):
        return folded
    return str((Decimal(folded.replace(",", ".")) + 0).normalize())


def category_code(cell: object, categories: Sequence[str]) -> float | None:
    """Return the number of a cell's category, UNKNOWN_CODE for another word; None where the cell is empty.

    TypeError for anything but a word, a number or a truth value.
    """
    if cell is None or cell == "" or (isinstance(cell, float) and isnan(cell)):
        return None
    if not isinstance(cell, (str, int, float)):
        raise TypeError
    return _codes(tuple(categories)).get(label_key(str(cell)), UNKNOWN_CODE)


def category_codes(cells: Sequence[object], categories: Sequence[str]) -> list[float]:
    """Return the number of each cell's category, as `category_code`; NaN where it is empty."""
    found = {cell: category_code(cell, categories) for cell in set(cells)}
    codes = {cell: nan if code is None else code for cell, code in found.items()}
    return [codes[cell] for cell in cells]


def find_twice(categories: Sequence[str]) -> str | None:
    """Return the first word that is another spelling of one before it; None where there is none."""
    seen: set[str] = set()
    for word in categories:
        if label_key(word) in seen:
            return word
        seen.add(label_key(word))
    return None


@lru_cache(maxsize=256)
def _codes(categories: tuple[str, ...]) -> dict[str, float]:
    return {label_key(word): float(code) for code, word in enumerate(categories, 1)}
