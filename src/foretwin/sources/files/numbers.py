"""Numbers as they are written: decimal marks, thousands, and cells that mean no value."""

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.sources.files.notation import Notation

MISSING_WORDS = {"", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "nat"}
# What historians and spreadsheets write in the place of a number that they do not have.
ERROR_WORDS = {
    *("bad", "bad input", "bad quality", "bad total", "bad data", "no data", "nodata", "no good data", "no value"),
    *("i/o timeout", "io timeout", "timeout", "scan timeout", "scan off", "intf shut", "comm fail", "no sample"),
    *("over range", "under range", "overrange", "underrange", "out of range", "inp outrange", "out of serv"),
    *("not connect", "not connected", "calc failed", "calc crash", "dcs failed", "invalid", "invalid data"),
    *("pt created", "shutdown", "configure", "snapfix", "arc off-line", "error", "missing", "?", "-", "--", "---"),
    *("#div/0!", "#value!", "#ref!", "#num!", "#name?", "#null!", "#getting_data", "#spill!", "#calc!"),
}  # fmt: skip
GROUPS = {" ": " \u00a0\u202f", "'": "'\u2019", ".": ".", ",": ","}  # how a mark between thousands may be typed


MINUS = "\u2212"  # the sign of typesetting, which some programs write for a hyphen


def with_hyphens(text: "pd.Series[str]") -> "pd.Series[str]":
    """Return texts with minus signs as programs read them."""
    return text.str.replace(MINUS, "-", regex=False)


def parse_texts(text: "pd.Series[str]", notation: Notation) -> NDArray[np.float64]:
    """Parse stripped texts to numbers (N,) float64, NaN where one is no number in this notation."""
    text = with_hyphens(text)
    if notation.decimal != "." or notation.thousands:
        decimal, group = re.escape(notation.decimal), f"[{re.escape(GROUPS.get(notation.thousands or '', ''))}]"
        whole = rf"\d+|\d{{1,3}}(?:{group}\d{{3}})+" if notation.thousands else r"\d+"
        number = rf"[+-]?(?:(?:{whole})(?:{decimal}\d*)?|{decimal}\d+)(?:[eE][+-]?\d+)?"
        text = text.where(text.str.fullmatch(number), "")
        if notation.thousands:
            text = text.str.replace(group, "", regex=True)
        text = text.str.replace(notation.decimal, ".", regex=False)
    return np.array(pd.to_numeric(text.mask(text == ""), errors="coerce"), dtype=np.float64)


def is_error_word(text: "pd.Series[str]", listed: Iterable[str]) -> "pd.Series[bool]":
    """Return a mask of the texts that say why there is no number: known words, and those listed."""
    known = ERROR_WORDS | {word.strip().lower() for word in listed}
    return text.str.lower().isin(known)


def numeric_sentinels(listed: Iterable[str]) -> list[float]:
    """Return the listed missing values that are numbers, such as -999."""
    found = []
    for word in listed:
        try:
            found.append(float(word.replace(",", ".")))
        except ValueError:
            continue
    return found
