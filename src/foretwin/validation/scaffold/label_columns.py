"""Columns of an unknown table that are labels, and fault axes made of them: by their names and by what they hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.categories import label_key
from foretwin.contract.source import TableFault
from foretwin.contract.twin import SCORED
from foretwin.sources.labels import FALSE_WORDS, TRUE_WORDS, label_keys
from foretwin.sources.tabular import is_missing, texts
from foretwin.validation.scaffold.column_names import (
    LABEL_NAMES,
    LABEL_STEMS,
    LABEL_WORDS,
    LIFE_LEFT,
    class_names,
    plain_name,
    squashed,
)

MOST_CLASSES = 24
HEALTHY_WORDS = (
    *("0", "none", "no failure", "nofailure", "normal", "healthy", "ok", "good", "no", "false", "fine", "-"),
    *("i.o.", "io"),
)
# Cells that say what is wrong with a machine, beside the words of labels' names.
FAULT_CELLS = {"faulty", "broken_down", "nok", "not_ok", "n_i_o", "nio", "unhealthy", "damaged", "kaputt", "ko"}
RARE = 0.05  # share of true cells below which a flag is no channel
LATE, MOSTLY = 0.2, 0.8  # of a life, and of the true cells: a flag that is true near the ends of lives is a label
AT_MOST = 0.4  # of the cells: a flag that is true more often says how a machine is run
OVERLAP = 0.1  # of the rows with a true flag that may have two of them, where the flags are the modes of one axis


@dataclass(frozen=True)
class LabelAxis:
    """A fault axis drafted from columns of labels."""

    name: str
    fault: TableFault

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the classes, the healthy one first."""
        return tuple(dict.fromkeys(("healthy", *self.fault.classes_named)))


def is_flag(values: "pd.Series[Any]") -> bool:
    """Return whether a column holds nothing but true and false, in any spelling, or nothing."""
    if pd.api.types.is_numeric_dtype(values):
        return bool(values.notna().any() and (values.isna() | values.isin((0, 1))).all())
    text = texts(values)
    missing = is_missing(text)
    return bool((label_keys(text).isin(TRUE_WORDS | FALSE_WORDS) | missing).all() and not missing.all())


def true_cells(values: "pd.Series[Any]") -> NDArray[np.bool_]:
    """Return bool (N,), True where a flag is."""
    if pd.api.types.is_numeric_dtype(values):
        return np.asarray(values == 1, np.bool_)
    return np.asarray(label_keys(texts(values)).isin(TRUE_WORDS))


def is_label_name(column: str) -> bool:
    """Return whether a column is named as labels are."""
    words = plain_name(column).split("_")
    named = bool(LABEL_WORDS & set(words) or squashed(column) in LABEL_NAMES | LABEL_WORDS)
    return named or any(word.startswith(LABEL_STEMS) for word in words)


def label_reason(values: "pd.Series[Any]", column: str, place: NDArray[np.float64]) -> str | None:
    """Return why a column looks like a label, or None; `place` (N,) is how far through its run each row is, 0 to 1."""
    if LIFE_LEFT.fullmatch(squashed(column)):
        return "looks like what is left of a life, which a network must not see"
    if is_label_name(column):
        return "looks like a label, which a network must not see"
    if not is_flag(values):
        fault = None if pd.api.types.is_numeric_dtype(values) else _fault_cell(texts(values))
        return f"holds {fault!r}, as a label does, which a network must not see" if fault else None
    true = true_cells(values)
    if 0 < true.mean() <= RARE:
        return f"is true on {true.mean():.2g} of the rows, as a label is"
    if RARE < true.mean() <= AT_MOST and np.mean(place[true] >= 1 - LATE) >= MOSTLY:
        return "is true near the ends of lives, as a label is"
    return None


def _fault_cell(text: "pd.Series[str]") -> str | None:
    """Return a cell of a column of few words that says what is wrong with a machine."""
    words = text[~is_missing(text)].unique()
    if not 2 <= len(words) <= MOST_CLASSES:
        return None
    told = (word for word in words if plain_name(word) in FAULT_CELLS or LABEL_WORDS & set(plain_name(word).split("_")))
    return next(told, None)


def label_axes(frame: pd.DataFrame, columns: Sequence[str]) -> list[LabelAxis]:
    """Draft fault axes from columns of labels.

    Flags that exclude each other are the modes of one axis, but for those that ask a question of their own: by their
    name, as `anomaly` does, or since they are true wherever others are.
    """
    flags = [column for column in columns if is_flag(frame[column]) and 0 < true_cells(frame[column]).mean() < 1]
    modes = [column for column in flags if squashed(column) not in LABEL_WORDS | LABEL_NAMES]
    modes = [column for column in modes if not _sums_up(frame, column, modes)]
    axes = []
    if len(modes) > 1 and _exclusive(frame, modes):
        names = class_names(modes, healthy="")
        axes = [LabelAxis("fault", TableFault(flags={column: names[column] for column in modes}))]
        flags = [column for column in flags if column not in modes]
    taken = {axis.name for axis in axes}
    for column in columns:
        values = _values(frame[column], column) if column in flags or not is_flag(frame[column]) else None
        if values is not None:
            name = axis_name(column, taken)
            taken.add(name)
            axes.append(LabelAxis(name, TableFault(column=column, values=values)))
    return axes


def _sums_up(frame: pd.DataFrame, flag: str, flags: Sequence[str]) -> bool:
    """Return whether a flag is true wherever others are: that any of them holds, which is a question of its own."""
    others = [true_cells(frame[column]) for column in flags if column != flag]
    held = [one & true_cells(frame[flag]) for one in others]
    if len([one for one in held if one.any()]) < 2:
        return False
    return bool(np.any(held, axis=0).sum() >= (1 - OVERLAP) * np.any(others, axis=0).sum())


def _exclusive(frame: pd.DataFrame, flags: Sequence[str]) -> bool:
    count = np.sum([true_cells(frame[column]) for column in flags], axis=0)
    return bool((count > 1).sum() <= OVERLAP * (count > 0).sum())


def _values(values: "pd.Series[Any]", column: str) -> dict[str, str] | None:
    """Return the class of each value of a label, the healthy one first; None where they are too many to be classes."""
    text = texts(values)
    if is_flag(values):
        cells = text[~is_missing(text)].drop_duplicates()
        spelt = {label_key(cell) in TRUE_WORDS: cell for cell in cells}
        return {spelt[False]: "healthy", spelt[True]: class_names([column], healthy="")[column]}
    counts = text[~is_missing(text) | (text.str.lower() == "none")].value_counts()
    numeric = pd.api.types.is_numeric_dtype(values)
    whole = not numeric or all("." not in cell for cell in counts.index)
    if not 2 <= len(counts) <= MOST_CLASSES or not whole:
        return None
    healthy = next(
        (cell for word in HEALTHY_WORDS for cell in counts.index if label_key(cell) == word), counts.index[0]
    )
    names = class_names(counts.index, healthy)
    return {value: names[value] for value in [healthy, *(cell for cell in counts.index if cell != healthy)]}


def axis_name(column: str, taken: set[str]) -> str:
    """Return a name for the fault axis of a column, which is not among those `taken`."""
    plain = plain_name(column)[:40].strip("_")
    name = plain if plain and plain[0].isalpha() and plain not in SCORED else f"label_{plain}".rstrip("_")
    return name if name not in taken else f"{name}_{len(taken) + 1}"
