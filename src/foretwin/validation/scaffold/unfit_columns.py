"""Why a column should not be a channel."""

from typing import Any

import pandas as pd

from foretwin.sources.files.numbers import with_hyphens
from foretwin.sources.tabular import TableFile, is_missing, texts
from foretwin.validation.scaffold.column_times import is_time, not_measured

LARGEST_GAP = 0.5  # share of missing values that a channel may have, unless it is one that is measured seldom
SLOWEST = 5  # values that such a channel has at least of a machine
LARGEST_SHARE_WITHOUT = 0.5  # of the machines may have fewer

NUMBER_AND_UNIT = r"^[+-]?\d[\d.,' ]*?\s*([^\d\s.,'][^\d]*)$"


def unfit_reason(table: TableFile, values: "pd.Series[Any]", machines: "pd.Series[Any]", in_file: bool) -> str | None:
    """Return why a column should not be a channel, or None."""
    slow = (values.notna().groupby(machines).sum() >= SLOWEST).mean() >= LARGEST_SHARE_WITHOUT
    if values.isna().mean() > LARGEST_GAP and not (slow and pd.api.types.is_numeric_dtype(values)):
        return "is empty on more than half of the rows"
    if is_time(values):
        return "holds times"
    if pd.api.types.is_numeric_dtype(values):
        return not_measured(values)
    return _no_numbers(table, texts(values), in_file)


def _no_numbers(table: TableFile, text: "pd.Series[str]", in_file: bool) -> str | None:
    """Return why a column of text should not be a channel, or None; `in_file` where its rows are those of the file."""
    number = pd.to_numeric(with_hyphens(text).mask(is_missing(text)), errors="coerce").notna() | is_missing(text)
    if number.all():
        return None
    row, others = int((~number).to_numpy().argmax()), text[~number]
    where = f" on {table.place(row)}" if in_file else ""
    seen = f"holds text on {len(others)} of {len(text)} rows, such as {text.iat[row]!r}{where}"
    if number.any():
        return f"{seen}; its other cells are numbers: correct or empty these"
    units = others.str.extract(NUMBER_AND_UNIT, expand=False)
    if (units == units.iat[0]).all():
        return f"{seen}: numbers with {units.iat[0]!r} after them; write the numbers alone, and the unit in the header"
    if (others == others.iat[0]).all():
        return f"holds one text on every row, {text.iat[row]!r}"
    return f"{seen}; it has {others.nunique()} values: list those that machines share as `categories` of a channel"
