"""Profile of a whole canonical table, merged from those of its pieces: what the rules of a contract are about."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from foretwin.contract.twin import Twin
from foretwin.dataset.labels.label_leaks import MOST_ROWS, counts_life, stands_for_classes
from foretwin.dataset.machine_names import first_spellings
from foretwin.dataset.pieces import RowPieces
from foretwin.dataset.table import RUN, fault_column
from foretwin.validation.profile import Behind, PieceProfile

MOST_DISTINCT = 10_000  # distinct values of a channel are counted so far: two are enough for every rule
MOST_PAIRS = 300  # of a channel's value and a class: more than there are classes, so that it does not stand for them
Labels = dict[str, tuple[int, Behind]]


@dataclass(frozen=True)
class Profile:
    """Measures of one canonical table of N rows."""

    rows: pd.DataFrame
    """A single row: of each measure of single rows, how many rows break its rule (`profile.row_masks`)."""
    runs: pd.DataFrame
    """One row per (asset, run), in order of appearance: `asset`, `run`, `rows`, and counts of rows of the run:

    `out_of_order`       time is not later than on the row before
    `further_stretches`  the run continues after rows of another run
    `mixed_split`        the asset is both in the fixed test set and outside it
    `rul_out_of_step`    RUL does not fall by as much as time rises (with `contract.rul`)
    `stuck_<sensor>`     the longest stretch of one unchanged value (with `quality.max_stuck_rows`)
    """
    fleet: pd.DataFrame
    """A single row: `assets`, `respelt` assets whose name another one spells differently, `distinct_<channel>` values
    (counted up to MOST_DISTINCT), `tells_<channel>` (0 or 1, whether it tells a label by itself),
    `known_fault_<axis>` share of rows from 0 to 1, `missing_<channel>` share of one that may be missing, and with
    `contract.rul` also `known_rul` share and `failures`, the runs outside the fixed test set that were seen to fail.

    The shares are of the twin's own source where it has one: a history has labels only where there are verdicts."""
    behind: dict[str, Behind]
    """Measure -> the rows that break its rule. `assets` has none: it does not depend on single rows."""

    @classmethod
    def of(cls, rows: pd.DataFrame | RowPieces, contract: Twin) -> Self:
        """Measure a table with the canonical columns and dtypes, in one pass."""
        pieces = RowPieces.of(rows) if isinstance(rows, pd.DataFrame) else rows
        channels = _Channels(contract, -(-pieces.count // MOST_ROWS) or 1)
        stretches, before = list[pd.DataFrame](), 0
        behind: dict[str, Behind] = {}
        labels: Labels = {}
        for piece in pieces:
            one = PieceProfile.of(piece, contract, before)
            stretches.append(one.stretches)
            behind |= {name: behind.get(name, Behind()).plus(found) for name, found in one.rows.items()}
            labels |= {name: _added(labels.get(name), found) for name, found in one.labels.items()}
            channels.see(piece, before)
            before += len(piece)
        whole = pd.concat(stretches, ignore_index=True)
        of_rows = {name: found.count for name, found in behind.items()}
        runs, behind_runs = _runs(whole, contract)
        fleet, behind_fleet = _fleet(whole, contract, labels)
        measures = fleet | channels.measures()
        behind |= behind_runs | behind_fleet | channels.behind(before)
        return cls(pd.DataFrame([of_rows]), runs, pd.DataFrame([measures]), behind)


def _added(earlier: tuple[int, Behind] | None, later: tuple[int, Behind]) -> tuple[int, Behind]:
    return (earlier[0] + later[0], earlier[1].plus(later[1])) if earlier else later


def _runs(stretches: pd.DataFrame, contract: Twin) -> tuple[pd.DataFrame, dict[str, Behind]]:
    stretches["further_stretches"] = stretches.duplicated(RUN).astype(np.int64)
    whole = "asset" if contract.holdout.by == "asset" else RUN
    together = stretches.groupby(whole, sort=False, dropna=False)
    tests, rows = together["in_test"].transform("sum"), together["rows"].transform("sum")
    mixed = ((tests > 0) & (tests < rows)).to_numpy(bool)
    stretches["mixed_split"] = np.where(mixed, stretches["rows"], 0)
    counted = ["rows", "out_of_order", "further_stretches", "mixed_split"]
    how = dict.fromkeys([*counted, *(["rul_out_of_step"] if contract.rul else [])], "sum")
    how |= dict.fromkeys((name for name in stretches.columns if name.startswith("stuck_")), "max")
    grouped = stretches.groupby(RUN, sort=False, dropna=False)
    short = (grouped["rows"].transform("sum") < contract.quality.min_run_rows).to_numpy(bool)
    further = stretches["further_stretches"] > 0
    behind = {
        "further_stretches": Behind.of_stretches(stretches["begin"][further], [1] * int(further.sum())),
        "mixed_split": _rows_of(stretches, mixed),
        "rows": _rows_of(stretches, short),
    }
    return grouped.agg(how).reset_index(), behind


def _fleet(stretches: pd.DataFrame, contract: Twin, labels: Labels) -> tuple[dict[str, float], dict[str, Behind]]:
    names = stretches["asset"].dropna().unique()
    measures: dict[str, float] = {"assets": len(names)}
    respelt = {name for name, first in first_spellings(names).items() if name != first}
    measures["respelt"] = len(respelt)
    behind = {"assets": Behind(), "respelt": _rows_of(stretches, stretches["asset"].isin(respelt).to_numpy(bool))}
    if contract.rul:
        failed = stretches.groupby(RUN, sort=False, dropna=False)["failed"].transform("any").to_numpy(bool)
        last = ~stretches.duplicated(RUN, keep="last").to_numpy(bool)
        measures["failures"] = int((failed & last).sum())
        ends = stretches["begin"] + stretches["rows"] - 1
        alive = ends[last & ~failed & stretches["ends_outside"].to_numpy(bool)]
        behind["failures"] = Behind.of_stretches(alive, [1] * len(alive))
    own = {name: found for name, found in labels.items() if not name.endswith(" of history")}
    for name, found in own.items():
        rows, unknown = found if found[0] else labels[f"{name} of history"]
        measures[name] = (rows - unknown.count) / rows if rows else 0.0
        behind[name] = unknown
    return measures, behind


def _rows_of(stretches: pd.DataFrame, chosen: "np.ndarray") -> Behind:
    return Behind.of_stretches(stretches["begin"][chosen], stretches["rows"][chosen])


class _Channels:
    """What is known of each channel's values: distinct ones, and whether they tell a label."""

    def __init__(self, contract: Twin, step: int) -> None:
        self._contract, self._step = contract, step
        self._distinct: dict[str, pd.Index] = {name: pd.Index([]) for name in contract.channel_names}
        judged = [name for name in contract.channel_names if name not in contract.quality.allow]
        self._pairs = {(name, axis): _Pairs() for name in judged for axis in contract.axes}
        self._sample: list[pd.DataFrame] = []
        self._missing = {n: Behind() for n, one in contract.channels.items() if one.may_be_missing}
        self._rows = 0

    def see(self, piece: pd.DataFrame, before: int) -> None:
        """Take in a piece which `before` rows precede; of all rows every `step`-th is kept."""
        for name, known in self._distinct.items():
            if len(known) < MOST_DISTINCT:
                self._distinct[name] = known.union(pd.Index(piece[name].dropna().unique()))[:MOST_DISTINCT]
        for (name, axis), pairs in self._pairs.items():
            pairs.see(piece[name].to_numpy(), piece[fault_column(axis)].to_numpy())
        for name, lost in self._missing.items():
            self._missing[name] = lost.plus(Behind.of(piece[name].isna().to_numpy(bool), before))
        self._rows += len(piece)
        columns = [*RUN, "time", "rul", *self._contract.channel_names]
        self._sample.append(piece[columns].iloc[-before % self._step :: self._step].copy())  # a view would hold it all

    def measures(self) -> dict[str, float]:
        """Return the measures of each channel."""
        sample = pd.concat(self._sample, ignore_index=True)
        sample["number"] = sample.groupby(RUN, sort=False, dropna=False).ngroup()
        found: dict[str, float] = {}
        for name, known in self._distinct.items():
            found[f"distinct_{name}"] = len(known)
            told = any(self._pairs[name, axis].stand for axis in self._contract.axes if (name, axis) in self._pairs)
            told |= name not in self._contract.quality.allow and self._counts_life(sample, name)
            found[f"tells_{name}"] = float(told)
        return found | {f"missing_{n}": lost.count / (self._rows or 1) for n, lost in self._missing.items()}

    def _counts_life(self, sample: pd.DataFrame, name: str) -> bool:
        known = sample[sample[name].notna()] if name in self._missing else sample
        return counts_life(*(known[column].to_numpy() for column in (name, "time", "rul", "number")))

    def behind(self, rows: int) -> dict[str, Behind]:
        """Return the rows behind the measures: all for a constant channel, none for one that tells a label."""
        names = self._contract.channel_names
        every = Behind.of_stretches([0], [rows])
        constant = {f"distinct_{name}": every for name in names} | {f"tells_{name}": Behind() for name in names}
        return constant | {f"missing_{name}": lost for name, lost in self._missing.items()}


class _Pairs:
    """The distinct pairs of a channel's value and a known class, as long as they are few."""

    def __init__(self) -> None:
        self._known, self._rows = list[pd.DataFrame](), 0
        self._settled = False

    def see(self, values: "np.ndarray", classes: "np.ndarray") -> None:
        """Take in the rows of a piece (N,)."""
        known = (classes >= 0) & ~np.isnan(values)
        self._rows += int(known.sum())
        if self._settled or not known.any():
            return
        pairs = pd.concat([*self._known, pd.DataFrame({"value": values[known], "label": classes[known]})])
        self._known = [pairs.drop_duplicates()]
        self._settled = len(self._known[0]) > MOST_PAIRS

    @property
    def stand(self) -> bool:
        """Return whether each class has one value of its own."""
        if self._settled or not self._known:
            return False
        pairs = self._known[0]
        return stands_for_classes(pairs["value"].to_numpy(), pairs["label"].to_numpy(), self._rows)
