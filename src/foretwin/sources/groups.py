"""Parts of a user's table that are held out together, as columns name them: groups, and splits made by somebody."""

from collections import Counter
from decimal import Decimal

import pandas as pd

from foretwin.contract.categories import NUMBER, label_key
from foretwin.dataset.machine_names import Spellings
from foretwin.dataset.table import HISTORY, TEST_SET
from foretwin.sources.files.reading import Reading
from foretwin.sources.labels import shown_values
from foretwin.sources.tabular import is_missing, texts

TEST_WORDS = {"test", "testing", "holdout", "hold-out", "held out"}
TRAIN_WORDS = {"train", "training", "dev", "development", "val", "valid", "validation"}
MOST_FOLDS = 50


def read_subsets(file: Reading, column: str, spellings: Spellings) -> "pd.Series[str]":
    """Return the part that each row (N,) is of, nowhere empty; SourceError at the first empty cell.

    Spellings of one name are one part, under the first of them, and so are those of a number: 1, 1.0 and `1,00`.
    """
    text = texts(file.frame[column])
    plain = {name: _plain(name) for name in text.unique()}
    first = spellings.first(plain.values())
    names = text.map({name: first[one] for name, one in plain.items()})
    empty = is_missing(text).to_numpy()
    if empty.any():
        reason = "is empty; name the part of the data that the row is of"
        raise file.wrong(int(empty.argmax()), column, f"{reason}{file.more(int(empty.sum()))}")
    taken = (names == HISTORY).to_numpy()
    if taken.any():
        reason = f"{HISTORY!r} is reserved for what the twin's own store holds; rename this part"
        raise file.wrong(int(taken.argmax()), column, reason)
    return names


def read_splits(file: Reading, column: str) -> "pd.Series[str]":
    """Return `test`, the number of a fold as text, or nothing for a row (N,) that is trained on in any fold.

    What is said to validate is trained on too, in turn: each fold of the development set is. SourceError at the first
    other word, with what the column holds.
    """
    text = texts(file.frame[column])
    read = {cell: split_part(cell) for cell in text.unique()}
    found = text.map(read)
    wrong = found.isna().to_numpy()
    if wrong.any():
        row, held = int(wrong.argmax()), shown_values(Counter(text))
        cell = repr(text.iat[row]) if text.iat[row] else "an empty cell"
        fix = "write train, test, or the number of a fold"
        raise file.wrong(row, column, f"{cell} is no part of a split; {fix}; it holds {held}")
    return found


def _plain(cell: str) -> str:
    """Return a number in its plainest spelling; other text as it is."""
    return f"{Decimal(label_key(cell)):f}" if NUMBER.fullmatch(cell.strip().casefold()) else cell


def split_part(cell: str) -> str | None:
    """Return the part of a split that a cell names: `test`, nothing for one to train on, or a fold's number.

    None where it names none.
    """
    key = _plain(cell).casefold()
    if key in TEST_WORDS:
        return TEST_SET
    if key in TRAIN_WORDS:
        return ""
    return key if key.isdecimal() and key.isascii() and int(key) < MOST_FOLDS else None
