"""What was known of runs at their cuts: the window, and what a machine's own baseline is learnt from."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.dataset.departures import copy_sources
from foretwin.dataset.windows import Histories, last_rows, name_cuts, truncate

BEGINNINGS = 4  # windows of a run's beginning that a cut holds, for each of which a machine's own baseline is made


def most_rows(contract: Twin) -> int:
    """Return how many rows a cut holds, where a row is a step of the clock."""
    return contract.window.length * (1 + BEGINNINGS * (contract.health.baseline if contract.health else 0))


def truncate_known(rows: pd.DataFrame, ends: NDArray[np.int64], contract: Twin, before: int = 0) -> pd.DataFrame:
    """Truncate histories at each of `ends`, as `truncate`; with what machines' own baselines are learnt from.

    Where the contract asks for such baselines, a cut also holds the beginning of its run, BEGINNINGS windows for each
    that it asks for; of a departed copy that of the run that it is of, until the copy begins.
    """
    length, wanted = contract.window.length, contract.health.baseline if contract.health else 0
    if not wanted or not len(ends):
        return truncate(rows, ends, length, before)
    histories, count = Histories.from_rows(rows, contract), BEGINNINGS * wanted * length
    source, parts = copy_sources(rows, histories.first), []
    lasts = dict(zip(histories.first[(found := last_rows(rows))].tolist(), found.tolist(), strict=True))
    for end in ends.tolist():
        first, origin = int(histories.first[end]), int(source[end])
        known = np.arange(first, end + 1)
        if origin != first:
            whole = np.arange(origin, lasts[origin] + 1)
            known = np.concatenate([whole[histories.time[whole] < histories.time[first]], known])
        since = histories.time[known] - histories.time[known[0]]
        early = since < count * histories.slot if histories.slot else np.arange(len(known)) < count
        early[-length:] = True
        parts.append(known[early])
    return name_cuts(rows, ends, parts, before)
