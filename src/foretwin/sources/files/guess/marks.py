"""Guess of the marks within numbers, from all cells of a table's columns of text."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.sources.files.notation import Notation
from foretwin.sources.files.numbers import MISSING_WORDS, is_error_word, parse_texts
from foretwin.sources.tabular import texts

MOSTLY = 0.5  # share of a column's cells that are numbers, where the column is one of numbers
CODES = 2  # different numbers of a column; so few beside unknown words are codes, as 0 is beside E17
CLOSER = 10.0  # times that one reading of a column must lie closer together than the other to be believed
SPACES = "' \u00a0\u202f\u2019"  # between thousands, whatever the decimal mark
NUMERIC = re.compile(rf"[+-]?[\d.,][\d.,{SPACES}]*(?:[eE][+-]?\d+)?")
FAR_VALUES = (
    *(-99.0, -9.99, -999.0, -9999.0, -99999.0, 999.0, 9999.0, 99999.0, 999999.0, 1e20, 1e30, 1e31),
    *(65535.0, 65534.0, 32767.0, -32768.0, 2147483647.0, -2147483648.0, 4294967295.0, 3.4028235e38),
)
REPEATED, FAR_SPANS = 2, 3.0  # times a sentinel is there at least, and spans of the other values that it is away


@dataclass(frozen=True)
class Marks:
    """Marks within the numbers of a table, with a cell that shows them; `thousands` is `ask` where two are likely.

    `decimal` is empty where a column shows none. `doubt` is a cell that would be another number with thousands.
    """

    decimal: str = "."
    thousands: str | None = None
    example: str = ""
    doubt: str = ""


def guess_marks(columns: Mapping[str, "pd.Series[str]"], separator: str | None) -> Marks:
    """Guess the marks within numbers from columns of stripped texts.

    They are those of one table: a column that can be read in one way alone decides for those that can be read in two.
    """
    found = [marks for cells in columns.values() for marks in _marks_of(cells)]
    if any(is_sure for _, is_sure in found):
        return _agreed(found)
    unsure = [(marks.example, columns[name]) for name in columns for marks, _ in _marks_of(columns[name])]
    decided = [_decided(example, cells, separator) for example, cells in unsure]
    if any(marks.thousands == "ask" for marks in decided) and any(
        marks.thousands not in (None, "ask") for marks in decided
    ):
        decided = [marks for marks in decided if marks.thousands != "ask"]
    return max(decided, key=lambda marks: marks.thousands is not None, default=Marks())


def _agreed(found: Sequence[tuple[Marks, bool]]) -> Marks:
    """Return what most of the columns say that can be read in one way alone, for all of them."""
    sure = [marks for marks, is_sure in found if is_sure]
    spaced = [marks for marks in sure if not marks.decimal]
    # Blanks between thousands leave the other mark of three digits to the decimals.
    told = [marks.decimal for marks in sure if marks.decimal] or [
        "," if "," in marks.example else "." for marks, is_sure in found if spaced and not is_sure
    ]
    decimal = Counter(told or ["."]).most_common(1)[0][0]
    other = "." if decimal == "," else ","
    grouped = [marks for marks in sure if marks.thousands and marks.decimal in (decimal, "")]
    # A column of grouped digits alone, whose mark is not the decimal mark, has that mark between thousands.
    grouped += [replace(marks, thousands=other) for marks, is_sure in found if not is_sure and other in marks.example]
    shown = grouped[0] if grouped else next(marks for marks in sure if marks.decimal == decimal)
    return Marks(decimal, grouped[0].thousands if grouped else None, shown.example)


def _marks_of(cells: "pd.Series[str]") -> Iterator[tuple[Marks, bool]]:
    """Yield what one column shows, and whether it can be read in that way alone."""
    texts = [text for text in cells.unique() if NUMERIC.fullmatch(text) and not text.isdigit()]
    for text in texts:
        both = re.fullmatch(rf"[+-]?\d{{1,3}}(?:([.,{SPACES}])\d{{3}})+([.,])\d+", text)
        if both and both[1] != both[2]:
            yield Marks(both[2], _plain_mark(both[1]), text), True
            return
    for mark, other in ((",", "."), (".", ",")):
        marked = [text for text in texts if mark in text and other not in text]
        if not marked:
            continue
        alike = all(re.fullmatch(rf"[+-]?[1-9]\d{{0,2}}(?:{re.escape(mark)}\d{{3}})+", text) for text in marked)
        several = [text for text in marked if text.count(mark) > 1]
        if alike:
            yield Marks(other, mark, (several or marked)[0]), bool(several)
        elif not several:
            yield Marks(mark, None, next(text for text in marked)), True
        return
    spaced = [text for text in texts if re.fullmatch(rf"[+-]?\d{{1,3}}(?:[{SPACES}]\d{{3}})+", text)]
    if spaced:
        yield Marks("", _plain_mark(re.sub(r"[\d+-]", "", spaced[0])[0]), spaced[0]), True


def _decided(example: str, cells: "pd.Series[str]", separator: str | None) -> Marks:
    """Decide on a column of which each marked cell has three digits after its mark: thousands, or decimals."""
    mark = "," if "," in example else "."
    other = "." if mark == "," else ","
    plain = cells[cells.str.fullmatch(r"[+-]?\d{1,3}")]
    if not len(plain):  # all alike: three decimals, but for a comma where it parts cells too
        doubt = "" if separator == "," else example
        return Marks(other, mark, example) if mark == separator == "," else Marks(mark, None, example, doubt)
    numbers = pd.concat([plain, cells[cells.str.contains(mark, regex=False)]])
    whole = _spread(numbers, Notation(decimal=other, thousands=mark))
    part = _spread(numbers, Notation(decimal=mark))
    if whole * CLOSER < part:
        return Marks(other, mark, example)
    return Marks(mark, None, example) if part * CLOSER < whole else Marks(mark, "ask", example)


def _spread(cells: "pd.Series[str]", notation: Notation) -> float:
    """Return the ratio of the largest and the smallest size of the numbers."""
    sizes = np.abs(parse_texts(cells, notation))
    sizes = sizes[sizes > 0]
    return float(sizes.max() / sizes.min()) if len(sizes) else 1.0


def _plain_mark(mark: str) -> str:
    return {"\u00a0": " ", "\u202f": " ", "\u2019": "'"}.get(mark, mark)


def numbers_and_words(cells: "pd.Series[str]", notation: Notation) -> tuple[NDArray[np.float64], Counter[str]] | None:
    """Return the numbers (N,) of a column that is mostly of them, NaN elsewhere, and counts of its other texts.

    None where it is not, or its few numbers are codes; words that are known to mean no value are counted too, empty
    cells are not.
    """
    known = cells.str.lower().isin(MISSING_WORDS)
    numbers = parse_texts(cells.mask(known, ""), notation)
    is_number = np.isfinite(numbers)
    if not is_number.any() or is_number.sum() < MOSTLY * (~known).sum():
        return None
    words = Counter(cells[~known & ~pd.Series(is_number, index=cells.index)])
    are_codes = len(np.unique(numbers[is_number])) <= CODES and bool(unknown_words(words))
    return None if are_codes else (numbers, words)


def holds_numbers(text: "pd.Series[str]") -> bool:
    """Return whether most of the texts are plain numbers."""
    return bool(pd.to_numeric(text, errors="coerce").notna().mean() > MOSTLY)


def unknown_words(words: Counter[str]) -> list[str]:
    """Return the texts that the contract must list to have them read as missing."""
    texts = pd.Series(list(words), dtype="str")
    return list(texts[~is_error_word(texts, ())]) if len(texts) else []


def far_sentinels(numbers: "np.ndarray") -> Counter[str]:
    """Count the values, usual for `no value` and repeated, that lie far outside of all others."""
    found: Counter[str] = Counter()
    finite = numbers[np.isfinite(numbers)]
    for value in FAR_VALUES:
        same = finite == value
        rest = finite[~same & ~np.isin(finite, FAR_VALUES)]
        if same.sum() < REPEATED or len(rest) < REPEATED or same.mean() > MOSTLY:
            continue
        low, high = float(rest.min()), float(rest.max())
        reach = FAR_SPANS * max(high - low, 1e-9 * max(abs(low), abs(high), 1.0))
        if value < low - reach or value > high + reach:
            found[f"{value!r}".removesuffix(".0")] = int(same.sum())
    return found


def padded_codes(raw: pd.DataFrame) -> dict[str, "pd.Series[str]"]:
    """Return the columns of digits, as text, in which one number is written in two ways, as 7 and 007: codes."""
    found = {}
    for name in raw.columns:
        if pd.api.types.is_string_dtype(raw[name]) and raw[name].str.match(r"\s*0\d").any():
            cells = texts(raw[name])
            different = cells.drop_duplicates()
            if different.str.isdigit().all() and different.str.lstrip("0").duplicated().any():
                found[name] = cells
    return found
