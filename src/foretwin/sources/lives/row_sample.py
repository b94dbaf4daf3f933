"""The rows that are looked at of a table which is too long to be looked at as a whole: those of whole machines."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MOST_ROWS = 300_000
FEWEST_MACHINES = 5  # of which a sample of whole machines is made; fewer are seen from the beginning of the table


@dataclass(frozen=True)
class RowSample:
    """Which rows are looked at: those of some machines, named in a column, of some files, or the first of each file."""

    column: str | None = None
    machines: frozenset[str] = frozenset()
    files: frozenset[str] | None = None
    first: int | None = None

    def has(self, file: str) -> bool:
        """Return whether rows of the file of that relative name are looked at."""
        return self.files is None or file in self.files

    def mask(self, names: "pd.Series[str] | None", before: int, rows: int) -> NDArray[np.bool_]:
        """Return bool (N,), True for the rows of a block that `before` rows precede; `names` are of their machines."""
        if names is not None:
            return names.isin(self.machines).to_numpy(bool)
        return np.arange(before, before + rows) < (rows + before if self.first is None else self.first)


def some_names(counts: Mapping[str, int]) -> frozenset[str] | None:
    """Choose machines or files by their names' hashes until there are enough rows; None where they would be too few.

    `counts` are the rows of each name.
    """
    chosen, rows = list[str](), 0
    for name in sorted(counts, key=lambda name: sha256(name.encode()).digest()):
        if rows + counts[name] > MOST_ROWS:
            continue
        chosen.append(name)
        rows += counts[name]
    return frozenset(chosen) if len(chosen) >= FEWEST_MACHINES else None
