"""Labels in a user's table: cells of any spelling to the classes of a fault axis, and flags to true and false."""

from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.categories import label_key
from foretwin.contract.source import TableFault
from foretwin.dataset.table import FAULT_UNKNOWN
from foretwin.errors import ContractError, SourceError
from foretwin.sources.files.reading import Reading
from foretwin.sources.tabular import is_missing, texts

# English, what spreadsheets write in German and French, and switches.
TRUE_WORDS = {"true", "t", "yes", "y", "1", "on", "wahr", "ja", "j", "vrai", "oui"}
FALSE_WORDS = {"false", "f", "no", "n", "0", "off", "falsch", "nein", "faux", "non"}
SHOWN_VALUES = 6
MOST_OTHERS = 10_000  # values without a class that are counted
ROUNDING = 1e-9  # of a span of time


def label_keys(text: "pd.Series[str]") -> "pd.Series[str]":
    """Return `label_key` of each text (N,)."""
    return text.map({value: label_key(value) for value in text.unique()})


def read_flags(file: Reading, frame: pd.DataFrame, column: str) -> NDArray[np.bool_]:
    """Return bool (N,), True where the cell says so; an empty cell is False. SourceError at the first other word."""
    text = texts(frame[column])
    keys = label_keys(text)
    true = keys.isin(TRUE_WORDS)
    wrong = ~(true | keys.isin(FALSE_WORDS) | is_missing(text))
    if wrong.any():
        row, more = int(wrong.to_numpy().argmax()), file.more(int(wrong.sum()))
        raise file.wrong(row, column, f"{text.iat[row]!r} is neither true nor false{more}")
    return true.to_numpy()


def shown_values(counts: Counter[str]) -> str:
    """Return the most frequent values of a column, and how many rows each has, for a message."""
    told = [f"{value!r} ({rows} rows)" for value, rows in counts.most_common(SHOWN_VALUES)]
    more = [f"{len(counts) - SHOWN_VALUES} other values"] if len(counts) > SHOWN_VALUES else []
    return ", ".join([*told, *more])


class ClassReader:
    """Reads the classes of one axis from pieces of a table, and knows whether any cell named one."""

    def __init__(self, axis: str, fault: TableFault, classes: Sequence[str]) -> None:
        self._axis, self._fault, self._classes = axis, fault, classes
        self._spelt = {key: classes.index(name) for key, name in _spelt(axis, fault).items()}
        self._found, self._others = False, Counter[str]()

    def read(self, file: Reading, frame: pd.DataFrame) -> NDArray[np.int8]:
        """Return the class (N,) of each row, -1 where it is unknown."""
        if self._fault.column is None:
            return _flagged(file, frame, self._fault, self._classes)
        text = texts(frame[self._fault.column])
        found = label_keys(text).map(self._spelt)
        if found.notna().any():
            self._found = True
        elif not self._found and len(self._others) < MOST_OTHERS:
            self._others.update(text[~is_missing(text)])
        return np.asarray(found.fillna(FAULT_UNKNOWN), np.int8)

    def check(self, shown: str) -> None:
        """Raise SourceError where no cell had one of the contract's values: it lists those that were there."""
        if self._found or not self._others:
            return
        wanted = ", ".join(map(repr, self._fault.values))
        raise SourceError(
            f"{shown}: column {self._fault.column!r}: no row holds {wanted}; it holds {shown_values(self._others)};"
            f" correct source.faults.{self._axis}.values"
        )


def hold_from(file: Reading, frame: pd.DataFrame, column: str, globs: Mapping[str, float]) -> NDArray[np.int8]:
    """Return the classes (N,) with the first class on the rows of a glob's files before the time that it has.

    The index of `frame` are rows of the files; it has the time of the run, and the classes in `column`.
    """
    result = np.asarray(frame[column], np.int8).copy()
    names = file.file_names(frame.index.to_numpy())
    for glob, start in globs.items():
        named = {one.path.name for one in file.files if fnmatch(one.path.name, glob)}
        if not named:
            raise SourceError(f"{file.shown}: no file is named as {glob}; correct it in holds_from of {column}")
        result[np.isin(names, list(named)) & (frame["time"].to_numpy() < start * (1 - ROUNDING))] = 0
    return result


def hold_before(frame: pd.DataFrame, column: str, span: float) -> NDArray[np.int8]:
    """Return the classes (N,) with each mark of a fault also on the rows of its run up to `span` before it.

    Rows that are marked themselves keep their class; `frame` has asset, run, time and the classes in `column`.
    """
    marked = frame[column] > 0
    runs = [frame["asset"], frame["run"]]
    mark = frame["time"].where(marked).groupby(runs, sort=False).bfill()
    label = frame[column].where(marked).groupby(runs, sort=False).bfill()
    held = ~marked & (mark - frame["time"] <= span * (1 + ROUNDING))
    return np.asarray(frame[column].mask(held, label), np.int8)


def _spelt(axis: str, fault: TableFault) -> dict[str, str]:
    """Return key of a cell -> class; where all values are flags, each word for true or false counts."""
    found: dict[str, str] = {}
    for value, name in fault.values.items():  # noqa: PD011 - a dict
        if found.setdefault(label_key(value), name) != name:
            raise ContractError(f"source.faults.{axis}.values: {value!r} is there in two spellings; keep one")
    for words in (TRUE_WORDS, FALSE_WORDS):
        named = {found[word] for word in words & found.keys()}
        if len(named) == 1 and found.keys() <= TRUE_WORDS | FALSE_WORDS:
            found |= dict.fromkeys(words, named.pop())
    return found


def _flagged(file: Reading, frame: pd.DataFrame, fault: TableFault, classes: Sequence[str]) -> NDArray[np.int8]:
    result, count = np.zeros(len(frame), np.int8), np.zeros(len(frame), np.int8)
    for column, name in fault.flags.items():
        true = read_flags(file, frame, column)
        result[true] = classes.index(name)
        count += true
    result[count > 1] = FAULT_UNKNOWN
    return result
