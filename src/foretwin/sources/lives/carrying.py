"""What the first row of a file goes on from: the last values of its run, of counters and of values that hold on."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from foretwin.contract.source import TableSource
from foretwin.dataset.table import RUN

CARRIED = "source carried"  # marks the row before a file; with a space, as no channel


class LastRow(NamedTuple):
    """The time of a run's newest row, and the last value of each channel as the source has it."""

    time: float
    values: dict[str, float | None]


def carries(source: TableSource) -> bool:
    """Return whether a row of the source depends on the rows before it."""
    return bool(source.rates) or source.missing != "refuse"


def with_last(frame: pd.DataFrame, last: Mapping[tuple[str, int], LastRow], names: Sequence[str]) -> pd.DataFrame:
    """Return rows (asset, run, time, channels) that go on from the last known row of each run.

    That row is put in its place, where the rows do not have it. CARRIED marks it, and the first row of those up to it,
    which goes on from an earlier file and came with that.
    """
    parts = []
    for _, part in frame.assign(**{CARRIED: False}).groupby(RUN, sort=False):
        known = last.get((str(part["asset"].iat[0]), int(part["run"].to_numpy(np.int64)[0])))
        parts.append(part if known is None else _gone_on(part, known, list(names)))
    return pd.concat(parts)


def _gone_on(part: pd.DataFrame, known: LastRow, names: list[str]) -> pd.DataFrame:
    """Return the rows of one run with the last known one among them."""
    before, after = part[part["time"] <= known.time], part[part["time"] > known.time]
    again = (before["time"] == known.time).to_numpy()
    time, cells = known
    row = part.iloc[:1].assign(time=time, **cells, **{CARRIED: True}).astype(part.dtypes.to_dict())
    if again.any():
        held = {name: before[name].mask(again & before[name].isna(), cells[name]) for name in names}
        before, row = before.assign(**held), row.iloc[:0]
    before = before[before[names].ffill().notna().all(axis=1)]
    before = before.assign(**{CARRIED: np.arange(len(before)) == 0})
    return pd.concat([before, row, after])


def without_last(frame: pd.DataFrame) -> pd.DataFrame:
    """Return rows without those that `with_last` put in."""
    return frame[~frame[CARRIED].astype(bool)].drop(columns=CARRIED) if CARRIED in frame else frame


def last_rows_of(frame: pd.DataFrame, names: Sequence[str]) -> dict[tuple[str, int], LastRow]:
    """Return the last row of each run; a value that was not there is the one before it."""
    held = frame.assign(**frame.groupby(RUN, sort=False)[list(names)].ffill())
    newest = held.sort_values("time", kind="stable").drop_duplicates(RUN, keep="last")
    found = {}
    for row in newest[[*RUN, "time", *names]].itertuples(index=False, name=None):
        values = {name: None if np.isnan(value) else float(value) for name, value in zip(names, row[3:], strict=True)}
        found[str(row[0]), int(row[1])] = LastRow(float(row[2]), values)
    return found
