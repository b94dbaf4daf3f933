"""What a person should know about the labels of a table, though it breaks no rule."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.dataset.labels.label_leaks import MOST_ROWS, best_f1_of_rank, rank_correlation
from foretwin.dataset.pieces import RowPieces
from foretwin.dataset.table import RUN, fault_column

TELLING_F1 = 0.8
TELLING_AGE = 0.98  # rank correlation of age and remaining life over all lives
FEWEST_RUNS = 2


def label_hints(rows: pd.DataFrame | RowPieces, contract: Twin) -> list[str]:
    """Return a sentence per label that the row number within the run tells by itself; canonical rows."""
    pieces = RowPieces.of(rows) if isinstance(rows, pd.DataFrame) else rows
    hints, before = LabelHints(contract, pieces.count), 0
    for piece in pieces:
        hints.see(piece, before)
        before += len(piece)
    return hints.sentences()


class LabelHints:
    """What `label_hints` needs to know of a table of so many rows, whose pieces of whole runs come in turn."""

    def __init__(self, contract: Twin, rows: int) -> None:
        self._contract, self._step = contract, -(-rows // MOST_ROWS) or 1
        self._counts = {axis: _RankCounts() for axis in contract.axes}
        self._lives: list[pd.DataFrame] = []

    def see(self, piece: pd.DataFrame, before: int) -> None:
        """Take in a piece, which `before` rows precede."""
        number = np.asarray(piece.groupby(RUN, sort=False).cumcount(), np.int64)
        for axis, counts in self._counts.items():
            counts.see(number, piece[fault_column(axis)].to_numpy())
        if self._contract.rul:
            kept = piece[[*RUN, "time", "rul"]].iloc[-before % self._step :: self._step]
            self._lives.append(kept[kept["rul"].notna()].copy())  # a view would hold the whole piece

    def sentences(self) -> list[str]:
        """Return a sentence per label that is told."""
        found = []
        for axis, counts in self._counts.items():
            best, always = counts.best()
            if best >= TELLING_F1 and best >= (1 + always) / 2:
                found.append(f"the row number within a run tells {axis} by itself, with an F1 of {best:.2f}")
        known = pd.concat(self._lives, ignore_index=True) if self._lives else None
        if known is not None and len(known[RUN].drop_duplicates()) >= FEWEST_RUNS:
            told = abs(rank_correlation(known["time"].to_numpy(), known["rul"].to_numpy()))
            if told >= TELLING_AGE:
                found.append(
                    f"the age of a run tells its remaining life by itself, with a rank correlation of {told:.3f}"
                )
        return [f"{one}: figures on these data say little about sensors" for one in found]


class _RankCounts:
    """How many rows there are of each number within their run, and how many of them are of a fault."""

    def __init__(self) -> None:
        self._rows, self._hits = np.zeros(0, np.int64), np.zeros(0, np.int64)

    def see(self, number: NDArray[np.int64], classes: NDArray[np.int8]) -> None:
        known = classes >= 0
        self._rows = _summed(self._rows, np.bincount(number[known]))
        self._hits = _summed(self._hits, np.bincount(number[known & (classes > 0)]))

    def best(self) -> tuple[float, float]:
        hits = np.zeros_like(self._rows)
        hits[: len(self._hits)] = self._hits
        return best_f1_of_rank(self._rows, hits)


def _summed(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    long, short = (first, second) if len(first) >= len(second) else (second, first)
    total: NDArray[np.int64] = long.copy()
    total[: len(short)] += short
    return total
