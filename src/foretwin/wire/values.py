"""Parse cells to numbers, by one rule for every body and file, and format them for messages.

A number is accepted where it rounds to a finite float32, in which the store keeps it and the network reads it. So
3.4028235e38, the shortest decimal of the largest float32, is one, although it lies a little above that.
"""

import json
import math
from collections.abc import Sequence
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from foretwin.contract.categories import category_code

LARGEST = float(np.nextafter(2.0**128 - 2.0**103, 0))  # the largest double that rounds to a finite float32
LARGEST_RUN = 2**31 - 1
PRESENT_RUN = -1
NUMBERS = {int, float}  # bool is neither
LISTS = {list}
LONGEST_SHOWN = 60  # characters
KINDS = {dict: "an object", list: "a list", bool: "a truth value", type(None): "null"}
NATIVE = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS

Cells: TypeAlias = Sequence[Any] | pa.ChunkedArray  # of a JSON list, or of a column of a table


def parse_numbers(
    time: Cells, columns: Sequence[Cells], texts: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.bool_] | None]:
    """Return times (N,), values (N, C) of C columns, and (N,) whether both are finite in single precision.

    The last is None where all are. With `texts` a column of text may hold numbers, as those of a CSV file do.
    """
    together = [time, *columns]
    if LISTS.issuperset(map(type, together)) and NUMBERS.issuperset(map(type, chain.from_iterable(together))):
        try:
            both = np.fromiter(chain.from_iterable(together), np.float64).reshape(len(together), len(time))
        except OverflowError:  # an integer beyond the largest double
            pass
        else:
            if not both.size or np.abs(both).max() <= LARGEST:
                return both[0], both[1:].T.astype(np.float32, order="C"), None
    values = np.empty((len(time), len(columns)), np.float32)
    with np.errstate(over="ignore"):
        for i, cells in enumerate(columns):
            values[:, i] = _of_any(cells, texts)
        times = _of_any(time, texts).astype(np.float64, copy=False)
    finite = np.isfinite(values)
    right: NDArray[np.bool_] = np.abs(times) <= LARGEST
    right = right if finite.all() else right & finite.all(axis=1)
    return times, values, None if right.all() else right


def code_cells(cells: Cells, categories: Sequence[str]) -> list[float | None]:
    """Return the numbers of cells (N,) that hold words: None where one is empty, False where it holds no word."""
    found: list[float | None] = []
    for cell in cells.to_pylist() if isinstance(cells, pa.ChunkedArray) else cells:
        try:
            found.append(category_code(cell, categories))
        except TypeError:
            found.append(False)
    return found


def wrong_word(cell: Any) -> str:
    """Describe a cell that is no word of a category."""
    return f"is {shown(cell)}, a text is needed"


def is_missing_cell(cell: Any) -> bool:
    """Return whether a cell says that there is no value: null or NaN."""
    return cell is None or (type(cell) is float and math.isnan(cell))


def empty_cells(cells: Cells) -> NDArray[np.bool_]:
    """Return (N,) whether each cell is empty."""
    if not isinstance(cells, pa.ChunkedArray):
        return np.array([is_missing_cell(cell) for cell in cells], dtype=bool)
    is_null: NDArray[np.bool_] = cells.is_null(nan_is_null=pa.types.is_floating(cells.type)).to_numpy()
    return is_null


def runs(cells: Any, texts: bool = False) -> NDArray[np.float64] | float:
    """Return (N,) runs of a column, or one value for all: whole numbers from 0 to LARGEST_RUN, NaN for others.

    PRESENT_RUN stands for None and for an empty cell of a table, -2 for a number below zero.
    """
    if not isinstance(cells, pa.ChunkedArray):
        return _run(cells)
    found = _column(cells, texts).astype(np.float64)
    found = np.where((np.floor(found) == found) & (found <= LARGEST_RUN), found, np.nan)
    found = np.where(found < 0, -2.0, found)
    return np.where(cells.is_null().to_numpy(), float(PRESENT_RUN), found)


def wrong_number(cell: Any) -> str:
    """Describe a cell that is no number, or not a finite one of single precision."""
    if type(cell) in NUMBERS:
        return f"is {shown(cell)}, a finite number up to {LARGEST:.5g} is needed"
    return f"is {shown(cell)}, a number is needed"


def wrong_run(cell: Any) -> str:
    """Describe a cell that is no run."""
    return f"is {shown(cell)}, a whole number from 0 to {LARGEST_RUN} is needed"


def cell_of(cells: Cells, row: int | None) -> Any:
    """Return one cell as a Python value; all of a list where there is no row."""
    if isinstance(cells, pa.ChunkedArray):
        return cells[row].as_py()
    return cells if row is None else cells[row]


def shown(cell: Any) -> str:
    """Format a cell for a message: the kind of a container, the beginning of a long text."""
    if isinstance(cell, str):
        return f'"{clipped(cell)}"'
    if type(cell) is int and abs(cell) >= 10**20:
        return "a huge number"
    return KINDS.get(type(cell)) or clipped(str(cell))


def clipped(text: str) -> str:
    """Return the beginning of a long text, on one line."""
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}... ({len(text)} characters)"


def to_json(value: Any) -> str:
    """Encode any value as JSON; unknown types become text, non-finite numbers null."""
    try:
        return orjson.dumps(value, default=str, option=NATIVE).decode()
    except orjson.JSONEncodeError:  # an integer of more than 64 bits, or half a surrogate pair
        return json.dumps(value, default=str)


def _run(cell: Any) -> float:
    if cell is None:
        return float(PRESENT_RUN)
    if type(cell) is not int or cell > LARGEST_RUN:
        return np.nan
    return -2.0 if cell < 0 else float(cell)


def _of_any(cells: Cells, texts: bool) -> NDArray[Any]:
    if isinstance(cells, pa.ChunkedArray):
        return _column(cells, texts)
    return np.array([float(cell) if _is_number(cell) else np.nan for cell in cells], np.float64)


def _is_number(cell: Any) -> bool:
    return type(cell) in NUMBERS and abs(cell) <= LARGEST


def _column(cells: pa.ChunkedArray, texts: bool) -> NDArray[Any]:
    """Return (N,) numbers, NaN where the cell is empty or no number."""
    kind = cells.type
    if kind in (pa.float64(), pa.float32()):  # the most usual, as they are
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
