"""Guess of the meaning of an unknown table's columns, by names and contents, for a person to check."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.categories import UNKNOWN_WORD, label_key
from foretwin.errors import SourceError
from foretwin.sources.files.file_names import SINGLE
from foretwin.sources.files.guess.time_forms import DISORDER
from foretwin.sources.tabular import TableFile, is_missing, texts
from foretwin.validation.scaffold.column_meanings import (
    CHANNEL,
    LABEL,
    LEFT_OUT,
    TOLD_LABEL,
    TOLD_LEFT_OUT,
    Told,
    check_found,
    check_told,
    names_as_told,
)
from foretwin.validation.scaffold.column_names import (
    ASSET_NAMES,
    FAILURE_NAMES,
    INDEX_NAMES,
    RUL_NAMES,
    RUN_NAMES,
    TIME_NAMES,
    channel_names,
    squashed,
)
from foretwin.validation.scaffold.column_times import (
    LONG_ENOUGH,
    counts_each,
    counts_rows,
    instants,
    is_moment,
    is_number,
    is_time,
    time_order,
    unnamed_time,
)
from foretwin.validation.scaffold.label_columns import (
    RARE,
    LabelAxis,
    is_flag,
    is_label_name,
    label_axes,
    label_reason,
    true_cells,
)
from foretwin.validation.scaffold.sides.side_draft import NO_SIDES, SideDraft
from foretwin.validation.scaffold.unfit_columns import LARGEST_SHARE_WITHOUT, unfit_reason

ROW = "source row"  # the number of the row in its file, where the file has no header to name a time
MOST_ENDS = 0.5  # share of the machines that failed at last, where a flag of an unknown name says so
SHORTEST_RUN = 5  # rows; in a shorter one no row is near the end
MOST_WORDS, REPEATED, LONGEST_WORD = 24, 5, 60  # of a category: different ones, rows of each at least, characters


@dataclass(frozen=True)
class Guess:
    """Guessed meaning of a file's columns; `channels` maps names for the contract to columns."""

    asset: str
    time: str
    run: str | None
    failure: str | None
    rul: str | None
    axes: tuple[LabelAxis, ...]
    channels: dict[str, str]
    left_out: dict[str, str]  # column -> reason
    single_rows: bool  # each row is of a machine of its own: there is no history, and no clock is needed
    split: str | None = None
    subset: str | None = None
    categories: dict[str, tuple[str, ...]] = field(default_factory=dict)  # channel -> its words
    sides: SideDraft = NO_SIDES  # of tables beside the readings

    @property
    def knows_ends(self) -> bool:
        """Return whether something says when machines failed, or how much life was left."""
        return bool(self.failure or self.rul or self.sides.tells_ends)

    @property
    def all_axes(self) -> tuple[LabelAxis, ...]:
        """Return the fault axes of columns and of tables beside the readings."""
        return (*self.axes, *([self.sides.axis] if self.sides.axis else []))


def guess_columns(table: TableFile, frame: pd.DataFrame, told: Told | None = None) -> Guess:
    """Guess the meaning of all columns from their names and contents, but for those of which it was `told`.

    SourceError where no column can be the time or the machine, none is left to be a channel, or one cannot be as told.
    """
    told = told or {}
    check_told(table.shown, frame.columns, told)
    numbered = [one for one in frame.columns if squashed(one) in INDEX_NAMES and is_number(frame[one])]
    numbered = [column for column in numbered if column not in told]
    free = names_as_told({column: squashed(column) for column in frame.columns if column not in numbered}, told)
    left_out = dict.fromkeys(numbered, "looks like a row number")
    left_out |= {column: TOLD_LEFT_OUT for column, meaning in told.items() if meaning == LEFT_OUT}
    asset, time, single_rows = _identity(table, frame, free)
    free = {column: plain for column, plain in free.items() if column not in (asset, time, SINGLE, ROW)}
    run = _taken(free, RUN_NAMES, lambda column: not is_missing(texts(frame[column])).any())
    order = time_order(frame, asset, time)
    ordered = frame.iloc[order].reset_index(drop=True)
    failure = _taken(free, FAILURE_NAMES, lambda column: _ends_lives(ordered, asset, run, column))
    rul = None if failure else _taken(free, RUL_NAMES, lambda column: is_number(frame[column]))
    if failure is None and rul is None:
        guessed = (column for column in free if column not in told)
        failure = next((column for column in guessed if _marks_last_rows(ordered, asset, run, column)), None)
        free = {column: plain for column, plain in free.items() if column != failure}
    place = _place_in_run(ordered, asset, run, failure)[np.argsort(order)]
    check_found(table.shown, {"asset": asset, "time": time, "run": run, "failure": failure, "rul": rul}, told)
    said = {LABEL: TOLD_LABEL, CHANNEL: None}
    labels = {one: said[told[one]] if told.get(one) in said else label_reason(frame[one], one, place) for one in free}
    words = {column: category_words(frame[column], frame[asset]) for column in free if not labels[column]}
    in_file = SINGLE not in frame or bool((frame[SINGLE] == frame[SINGLE].iloc[0]).all())
    reasons = {
        column: labels[column] or (None if words[column] else unfit_reason(table, frame[column], frame[asset], in_file))
        for column in free
    }
    left_out |= {column: reason for column, reason in reasons.items() if reason}
    channels = channel_names(column for column, reason in reasons.items() if not reason)
    if not channels:
        why = "; ".join(f"{column!r} {reason}" for column, reason in islice(left_out.items(), 3))
        seen = f" ({why})" if why else ""
        raise SourceError(f"{table.shown}: no numeric column is left for a channel{seen}; add columns of readings")
    axes = label_axes(frame, [column for column, reason in labels.items() if reason and "left of a life" not in reason])
    categories = {name: words[column] for name, column in channels.items() if words.get(column)}
    return Guess(asset, time, run, failure, rul, tuple(axes), channels, left_out, single_rows, categories=categories)


def category_words(values: "pd.Series[Any]", machines: "pd.Series[Any]") -> tuple[str, ...]:
    """Return the words of a column that holds few, often repeated ones, and no number; none where it is no category.

    A word that only one machine has would tell the machine.
    """
    if pd.api.types.is_numeric_dtype(values) or is_time(values):
        return ()
    text = texts(values)
    text = text[~is_missing(text)]
    words = text.unique()
    if (
        not 2 <= len(words) <= min(MOST_WORDS, len(text) / REPEATED)
        or pd.to_numeric(text, errors="coerce").notna().any()
    ):
        return ()
    if instants(pd.Series(words)).notna().any() or max(map(len, words)) > LONGEST_WORD:
        return ()
    several = machines[text.index].groupby(text.to_numpy()).nunique()
    several_machines = bool((machines != machines.iloc[0]).any())
    tells = several_machines and machines.duplicated().any() and (several == 1).mean() > LARGEST_SHARE_WITHOUT
    first = dict(zip(map(label_key, reversed(words)), reversed(words), strict=True))
    return () if tells or len(first) < 2 else tuple(sorted(set(first.values()) - {UNKNOWN_WORD}))


def _named(free: dict[str, str], names: Sequence[str], fits: Callable[[str], bool] = lambda _: True) -> str | None:
    """Return the free column whose squashed name is first in `names` and whose content fits."""
    known = sorted((names.index(plain), column) for column, plain in free.items() if plain in names)
    return next((column for _, column in known if fits(column)), None)


def _taken(free: dict[str, str], names: Sequence[str], fits: Callable[[str], bool]) -> str | None:
    """Return a column as `_named` does, and remove it from the free ones."""
    column = _named(free, names, fits)
    if column is not None:
        del free[column]
    return column


def _identity(table: TableFile, frame: pd.DataFrame, free: dict[str, str]) -> tuple[str, str, bool]:
    """Return the columns of machine and time, and whether each row is of a machine of its own.

    SourceError where there is none. The time of single rows is their date, or none: the age of a machine of which
    only one moment is known is a reading.
    """
    others = [name for name in free if name not in (SINGLE, ROW)]
    date = _named(free, TIME_NAMES, lambda name: is_moment(frame[name]))
    moments = [name for name in others if is_moment(frame[name])]
    date = date or max(moments, key=lambda name: frame[name].nunique(), default=None)  # of a date and a time, the time
    time = _named(free, TIME_NAMES, lambda name: is_number(frame[name]) or is_moment(frame[name])) or date
    named = [name for name in others if name != time]
    asset = _named({name: free[name] for name in named}, ASSET_NAMES, lambda name: not counts_rows(frame[name]))
    if asset is None and time is None:
        asset = next((name for name in named if not is_number(frame[name]) and _names_each_row(frame[name])), None)
    asset = asset or next((name for name in named if not is_label_name(name) and _groups(frame[name])), None)
    if asset is not None and _names_each_row(frame[asset]):
        return asset, date or ROW, True
    time = time or unnamed_time(frame, [name for name in named if name != asset], asset)
    time = time or (ROW if ROW in free else _refuse_time(table, frame, free))
    asset = asset or (SINGLE if SINGLE in free else None)
    if asset is None:
        raise SourceError(f"{table.shown}: no column seems to name the machine; name one `asset`")
    if _falls(frame, time, asset):  # a duration, perhaps, beside the number of the row
        counting = (name for name in named if free[name] not in RUL_NAMES and counts_each(frame, name, asset))
        time = next(counting, time)
    return asset, time, False


def _refuse_time(table: TableFile, frame: pd.DataFrame, free: dict[str, str]) -> str:
    named = _named(free, TIME_NAMES)
    if named is None:
        advice = "name one `time` or `timestamp`, or say which it is by --column COLUMN=time"
        raise SourceError(f"{table.shown}: no column seems to hold the time; {advice}")
    example = texts(frame[named]).iat[0]
    raise table.wrong(0, named, f"{example!r} is not a time; write numbers, or times such as 2024-05-31T08:00:00")


def _falls(frame: pd.DataFrame, column: str, asset: str) -> bool:
    """Return whether a column of numbers falls too often from row to row of a machine to be its clock."""
    return is_number(frame[column]) and bool((frame[column].groupby(frame[asset]).diff() < 0).mean() > DISORDER)


def _names_each_row(values: "pd.Series[Any]") -> bool:
    """Return whether a column has another name on each row, as of machines with one row each."""
    if is_time(values) or pd.api.types.is_float_dtype(values) or len(values) < LONG_ENOUGH:
        return False
    text = texts(values)
    return not is_missing(text).any() and not text.duplicated().any()


def _groups(values: "pd.Series[Any]") -> bool:
    """Return whether a text column has few, often repeated names, as of machines."""
    if pd.api.types.is_numeric_dtype(values) or is_time(values) or is_flag(values):
        return False
    text = texts(values)
    return not is_missing(text).any() and 2 <= text.nunique() <= len(text) / 5


def _ends_lives(frame: pd.DataFrame, asset: str, run: str | None, column: str) -> bool:
    """Return whether a flag marks single rows at which lives end: never two in turn, nor one within a run.

    Where a machine has no more than one row, there is no life, and the flag is a label.
    """
    if not is_flag(frame[column]) or not frame[asset].duplicated().any():
        return False
    failed = pd.Series(true_cells(frame[column]))
    lives = [frame[name].to_numpy() for name in (asset, run) if name]
    after = failed.groupby(lives, sort=False).shift(-1)
    return not bool((failed & (after.notna() if run else after.fillna(value=False).astype(bool))).any())


def _marks_last_rows(frame: pd.DataFrame, asset: str, run: str | None, column: str) -> bool:
    """Return whether a flag of an unknown name is true on most machines' last rows, and nowhere but where lives end."""
    if len(frame) < LONG_ENOUGH or not _ends_lives(frame, asset, run, column):
        return False
    last = ~frame.duplicated([name for name in (asset, run) if name], keep="last").to_numpy()
    true = true_cells(frame[column])
    return bool(true[last].mean() > MOST_ENDS and true.mean() <= RARE)


def _place_in_run(frame: pd.DataFrame, asset: str, run: str | None, failure: str | None) -> NDArray[np.float64]:
    """Return how far through its run each row is, (N,) from 0 to 1; 0.5 in runs of a few rows."""
    keys = [frame[name].to_numpy() for name in (asset, run) if name]
    if failure and not run:
        failed = pd.Series(true_cells(frame[failure]).astype(int))
        keys.append((failed.groupby(keys[0], sort=False).cumsum() - failed).to_numpy())
    rows = pd.Series(0, index=range(len(frame))).groupby(keys, sort=False)
    size = rows.transform("size").to_numpy()
    place = rows.cumcount().to_numpy() / np.maximum(size - 1, 1)
    return np.where(size >= SHORTEST_RUN, place, 0.5)
