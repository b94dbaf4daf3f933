"""Columns of an unknown table that say what is held out together: a split made by somebody, or parts of the data."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from foretwin.sources.groups import split_part
from foretwin.sources.tabular import is_missing, texts
from foretwin.validation.scaffold.column_names import squashed
from foretwin.validation.scaffold.column_roles import Guess
from foretwin.validation.scaffold.label_columns import true_cells

SPLIT_NAMES = ("split", "datasplit", "traintest", "traintestsplit", "set", "subset", "partition", "fold", "foldid")
SUBSET_NAMES = (
    *("load", "speed", "condition", "operatingcondition", "site", "plant", "location", "line", "rig", "campaign"),
    *("batch", "last", "drehzahl", "standort", "werk", "linie", "charge"),
)
FEWEST_PARTS, MOST_PARTS = 3, 24
LIVES_OF_A_PART = 2  # on average; of parts with a life each, lives themselves can be held out


def with_splits(guess: Guess, frame: pd.DataFrame, path_words: pd.DataFrame) -> Guess:
    """Return the guess with the columns of a split and of parts of the data, if there are some.

    `path_words` has what the user named in the pattern of the paths, which is constant in each file. A column that
    holds a split, or names of parts, is no channel; numbers that name parts, as a load does, remain one.
    """
    words = [str(name) for name in path_words]
    columns = frame.assign(**{name: path_words[name] for name in words})
    named = {column: squashed(column) for column in [*guess.channels.values(), *guess.left_out, *words]}
    lives = _lives(frame, guess)
    split = next((column for column in _by_name(named, SPLIT_NAMES) if _is_split(columns[column], lives)), None)
    found = [*_by_name(named, SUBSET_NAMES), *(word for word in words if named[word] not in SUBSET_NAMES)]
    subset = next((one for one in found if one != split and _are_parts(columns[one], lives)), None)
    taken = {split} if subset is None or pd.api.types.is_numeric_dtype(columns[subset]) else {split, subset}
    channels = {name: column for name, column in guess.channels.items() if column not in taken}
    left_out = {column: reason for column, reason in guess.left_out.items() if column not in taken}
    categories = {name: found for name, found in guess.categories.items() if name in channels}
    if not channels:
        return guess
    return replace(guess, channels=channels, categories=categories, left_out=left_out, split=split, subset=subset)


def _by_name(named: dict[str, str], names: Sequence[str]) -> list[str]:
    return sorted((one for one, plain in named.items() if plain in names), key=lambda one: names.index(named[one]))


def _lives(frame: pd.DataFrame, guess: Guess) -> "pd.Series[int]":
    """Return the number (N,) of each row's life, or of its machine where lives are not told apart."""
    keys = [frame[name].to_numpy() for name in (guess.asset, guess.run) if name]
    if guess.failure and not guess.run:
        failed = pd.Series(true_cells(frame[guess.failure]).astype(int))
        keys.append((failed.groupby(keys[0], sort=False).cumsum() - failed).to_numpy())
    return pd.Series(0, index=np.arange(len(frame))).groupby(keys, sort=False).ngroup()


def _is_split(values: "pd.Series[str]", lives: "pd.Series[int]") -> bool:
    """Return whether a column says test and train, or numbers at least three folds, and never within a life."""
    parts = {split_part(cell) for cell in texts(values).unique()}
    if None in parts or not _constant(values, lives):
        return False
    return parts == {"test", ""} or len(parts) >= FEWEST_PARTS


def _are_parts(values: "pd.Series[str]", lives: "pd.Series[int]") -> bool:
    text = texts(values)
    if is_missing(text).any() or not FEWEST_PARTS <= text.nunique() <= MOST_PARTS:
        return False
    return lives.nunique() >= LIVES_OF_A_PART * text.nunique() and _constant(values, lives)


def _constant(values: "pd.Series[str]", lives: "pd.Series[int]") -> bool:
    """Return whether a column holds one text within each life."""
    first = texts(values).groupby(lives.to_numpy()).transform("first")
    return bool((texts(values) == first).all())
