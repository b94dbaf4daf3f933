"""Cells of a user's table that hold categories: words to their numbers, and which words there was no number for."""

import logging
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.categories import UNKNOWN_CODE, category_codes
from foretwin.sources.files.reading import Reading
from foretwin.sources.labels import shown_values
from foretwin.sources.tabular import is_missing, texts

LOG = logging.getLogger(__name__)


class CategoryReader:
    """Reads the categories of one channel from pieces of a table, and counts the words that are none of them."""

    def __init__(self, column: str, categories: Sequence[str], missing: Sequence[str]) -> None:
        """`missing` are words that mean: no value."""
        self._column, self._categories, self._missing = column, categories, missing
        self._others = Counter[str]()

    def read(self, file: Reading) -> NDArray[np.float64]:
        """Return the numbers (N,) of a piece: NaN where a cell is empty, 0 where it holds no category."""
        text: pd.Series[str] = texts(file.frame[self._column])
        text = text.mask(is_missing(text) | text.isin(self._missing), "")
        codes = np.asarray(category_codes(text.tolist(), self._categories), np.float64)
        self._others.update(text[codes == UNKNOWN_CODE])
        return codes

    def tell_unknown(self, shown: str) -> None:
        """Tell in the log which words were taken as unknown, under the name of the files."""
        if self._others:
            told = shown_values(self._others)
            LOG.warning("%s: column %r: none of its categories, taken as unknown: %s", shown, self._column, told)
