"""What a sender wrote, cell by cell: as numbers where it is some, and as text for those who have to look at it."""

import json
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

# Readings are kept as float32: this is the largest double that rounds to a finite one.
LARGEST = float(np.nextafter(2.0**128 - 2.0**103, 0))
LARGEST_RUN = 2**31 - 1
PRESENT_RUN = -1
NUMBERS = {int, float}  # bool is neither
NATIVE = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS

Cells: TypeAlias = Sequence[Any] | pa.ChunkedArray  # of a JSON list, or of a column of a table


def matrix(columns: Sequence[Cells], texts: bool = False) -> NDArray[np.float64]:
    """(K, N) of K columns; NaN for whatever is no finite number of single precision.

    With `texts` a column of text may hold numbers, as those of a CSV file do.
    """
    if all(type(cells) is list and NUMBERS.issuperset(map(type, cells)) for cells in columns):
        try:
            return _within(np.array(columns, np.float64))
        except OverflowError:  # an integer beyond the largest double
            pass
    return _within(np.array([_of_any(cells, texts) for cells in columns], np.float64))


def runs(cells: Cells, texts: bool = False) -> NDArray[np.float64]:
    """(N,) whole numbers; -1, the present run, for an empty cell of a table; -2 below zero; NaN for what is no run."""
    if isinstance(cells, pa.ChunkedArray):
        found = _column(cells, texts)
        empty = cells.is_null().to_numpy()
    else:
        found = np.array(
            [max(cell, -2) if type(cell) is int and cell <= LARGEST_RUN else np.nan for cell in cells], float
        )
        empty = np.zeros(len(cells), dtype=bool)
    found = np.where((np.floor(found) == found) & (found <= LARGEST_RUN), found, np.nan)
    return np.where(empty, float(PRESENT_RUN), np.where(found < 0, -2.0, found))


def cell_of(cells: Cells, row: int) -> Any:
    """One cell as a Python value."""
    return cells[row].as_py() if isinstance(cells, pa.ChunkedArray) else cells[row]


def shown(cell: Any) -> str:
    """A cell as a message may show it."""
    return clipped(to_json(cell))


def clipped(text: str) -> str:
    """The beginning of a long text, on one line."""
    text = " ".join(text.split())
    return text if len(text) <= 100 else f"{text[:100]}... ({len(text)} characters)"


def to_json(value: Any) -> str:
    """JSON of whatever came; what JSON does not know becomes text, and a number that is none null."""
    try:
        return orjson.dumps(value, default=str, option=NATIVE).decode()
    except orjson.JSONEncodeError:  # an integer of more than 64 bits, or half a surrogate pair
        return json.dumps(value, default=str)


def _within(found: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.abs(found) <= LARGEST
    return found if inside.all() else np.where(inside, found, np.nan)


def _of_any(cells: Cells, texts: bool) -> NDArray[np.float64]:
    if isinstance(cells, pa.ChunkedArray):
        return _column(cells, texts)
    return np.array([float(cell) if _is_number(cell) else np.nan for cell in cells], np.float64)


def _is_number(cell: Any) -> bool:
    return type(cell) in NUMBERS and abs(cell) <= LARGEST


def _column(cells: pa.ChunkedArray, texts: bool) -> NDArray[np.float64]:
    """(N,) numbers, NaN where the cell is empty or holds something other than one."""
    kind = cells.type
    if kind in (pa.float64(), pa.float32()):
        return cells.to_numpy()  # type: ignore[no-any-return]  # pyarrow is not typed
    if pa.types.is_dictionary(kind):
        cells, kind = cells.cast(kind.value_type), kind.value_type
    if texts and (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return _of_texts(cells)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return np.full(len(cells), np.nan)
    return cells.cast(pa.float64(), safe=False).to_numpy()  # type: ignore[no-any-return]


def _of_texts(cells: pa.ChunkedArray) -> NDArray[np.float64]:
    try:
        found: NDArray[np.float64] = cells.cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid:  # at the first cell that is no number; this way is slower and takes each as it is
        found = pd.to_numeric(pd.Series(cells.to_pylist(), dtype=object), errors="coerce").to_numpy(np.float64)
    return found
