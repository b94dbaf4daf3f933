"""Units of the splits other than machines: lives, groups of runs, stretches of time.

In the files of `prepare` a unit stands as an asset of its own, `<asset>#<run>` or `<asset>#<stretch>`, so that
everything after it, folds, held-out cuts and resampling, keeps units apart as it keeps machines apart.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.holdout import Holdout
from foretwin.contract.twin import Twin
from foretwin.dataset.pieces import RowPieces
from foretwin.dataset.table import HISTORY, TEST_SET, run_starts
from foretwin.dataset.windows import TEST, place_by_name
from foretwin.errors import RowsError

FEWEST = 3  # labelled units: one to hold out, and two to train on and to calibrate by
PART = re.compile(r"(#\d+)?(~departed-\d+)?$")  # a unit, or a copy of one
MOST_NAMED = 10  # machines of a table, in a message
UNTOLD = -2  # the place of a unit that the source puts neither into a fold nor into the test set


def asset_of(unit: str) -> str:
    """Return the machine's name in the name of a unit."""
    return PART.sub("", unit)


class UnitNames:
    """Names the units of a table that comes in pieces of whole runs, in order."""

    def __init__(self, holdout: Holdout, test_share: float, folds: int, rows_of: Mapping[str, int]) -> None:
        """`rows_of` has the number of rows of each asset, which only stretches of time need."""
        self._holdout, self._rows_of = holdout, rows_of
        self._shares = np.append(np.arange(1, folds + 1) * (1 - test_share) / folds, 1.0)
        self._seen: dict[str, int] = {}

    def name(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows (index 0, 1, 2, ...) with units as `asset`, without those of a gap between stretches."""
        match self._holdout.by:
            case "asset":
                return rows
            case "time":
                return self._stretches(rows)
        return rows.assign(asset=_numbered(rows["asset"], rows["run"].to_numpy()))

    def _stretches(self, rows: pd.DataFrame) -> pd.DataFrame:
        assets = rows["asset"]
        before = assets.map(self._seen).fillna(0).to_numpy(np.int64)
        position = before + assets.groupby(assets, sort=False).cumcount().to_numpy()
        for asset, count in assets.value_counts(sort=False).items():
            self._seen[str(asset)] = self._seen.get(str(asset), 0) + int(count)
        share = (position + 0.5) / assets.map(self._rows_of).to_numpy(np.float64)
        stretch = np.searchsorted(self._shares, share) + 1
        named = rows.assign(asset=_numbered(assets, stretch))
        starts = run_starts(named)
        first = np.maximum.accumulate(np.where(starts, np.arange(len(rows)), 0))
        within = (starts & ~run_starts(rows))[first]  # rows of a stretch that begins within a run
        time = named["time"].to_numpy()
        gap = within & (time - time[first] < (self._holdout.gap or 0))
        kept: pd.DataFrame = named[~gap]
        return kept.reset_index(drop=True)


def names_held_out(contract: Twin) -> bool:
    """Return whether a column or the contract names what is held out: whole runs, to be cut."""
    return contract.has_split or contract.holdout.assets is not None


def mark_held_out(pieces: RowPieces, holdout: Holdout) -> RowPieces:
    """Return the table with the machines that the contract names in the test set.

    RowsError where the table has no such machine, or where its source fixes a test set of its own.
    """
    if holdout.assets is None:
        return pieces
    named, there = holdout.assets, set[str]()
    for piece in pieces.read():
        there |= set(piece["asset"].unique())
        if (piece["fixed_split"] != "").any():
            raise RowsError("holdout.assets: the source says what is held out; leave holdout.assets out")
    for asset in named:
        if asset not in there:
            known = ", ".join(sorted(there)[:MOST_NAMED])
            raise RowsError(f"holdout.assets: {asset} is no machine of the table, which has {known}; name one")

    def read() -> Iterator[pd.DataFrame]:
        for piece in pieces.read():
            yield piece.assign(fixed_split=piece["fixed_split"].mask(piece["asset"].isin(named), TEST_SET))

    return RowPieces(pieces.count, read, pieces.least)


def name_units(pieces: RowPieces, holdout: Holdout, test_share: float, folds: int) -> RowPieces:
    """Return the table with its units as assets."""
    if holdout.by == "asset":
        return pieces
    rows_of: Counter[str] = Counter()
    if holdout.by == "time":
        for piece in pieces:
            rows_of.update(Counter(piece["asset"]))

    def read() -> Iterator[pd.DataFrame]:
        names = UnitNames(holdout, test_share, folds, rows_of)
        return (names.name(piece) for piece in pieces)

    return RowPieces(pieces.count, read, pieces.least)


def _numbered(assets: "pd.Series[str]", numbers: NDArray[np.int64]) -> "pd.Series[str]":
    return assets + "#" + pd.Series(numbers, index=assets.index).astype("str")


def describe_units(rows: pd.DataFrame, axes: Iterable[str]) -> pd.DataFrame:
    """Return what decides where each unit of these rows goes, by its name: group, whether labelled, and its stratum.

    `place` is the fold that the source names, TEST, or UNTOLD.
    """
    faults = rows[[f"fault_{axis}" for axis in axes]]
    ended = rows["rul"].notna()
    known = ended | (faults >= 0).any(axis=1)
    read = {one: _place(one) for one in rows["fixed_split"].unique()}
    place = rows["fixed_split"].map(read).astype("int64")
    table = faults.assign(place=place, labelled=known, ended=ended, group=rows["subset"])
    return _per_unit(table.assign(mixed=False, split=False), rows["asset"])


def _place(fixed_split: str) -> int:
    if fixed_split.isdecimal():
        return int(fixed_split)
    return TEST if fixed_split == TEST_SET else UNTOLD


def join_units(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return the descriptions of a table's pieces as that of the whole: an asset may be in several of them."""
    table = pd.concat(parts)
    return _per_unit(table, table.index.to_series())


def _per_unit(table: pd.DataFrame, units: "pd.Series[str]") -> pd.DataFrame:
    grouped = table.groupby(units.to_numpy(), sort=False)
    found = grouped.agg({name: "max" for name in table.columns if name != "group"} | {"group": "first"})
    for column, differs in {"group": "mixed", "place": "split"}.items():
        both = grouped[column].agg(["min", "max"])
        found[differs] |= both["min"] != both["max"]
    return found


def deal_units(units: pd.DataFrame, holdout: Holdout, test_share: float, folds: int, seed: int) -> dict[str, int]:
    """Assign each unit, as `describe_units` describes them, a fold number from 0, or TEST if it is held out.

    Where the source fixes a test set, that set is held out; else a share of the units, alike in how they ended and what
    failed. There are as many folds as `folds`, or as there are labelled units or groups left; where the source numbers
    them, they are those, of which the last is held out if no unit is named for the test. RowsError for too few.
    """
    if holdout.by == "time":
        stretches = {str(unit): int(str(unit).rpartition("#")[2]) - 1 for unit in units.index}
        return {unit: TEST if stretch == folds else stretch for unit, stretch in stretches.items()}
    split = units.index[units["split"]]
    if len(split):
        raise RowsError(f"split: changes within {split[0]}; what is held out as a whole is in one part of the split")
    history = units["group"] == HISTORY
    if (units["place"] >= 0).any():
        return _as_numbered(units, history, seed)
    fixed = (units["place"] == TEST).to_numpy(bool)
    free = units[~fixed & ~history] if (~fixed & ~history).any() else units[~fixed]
    items = _groups(free) if holdout.by == "subset" else {str(unit): [str(unit)] for unit in free.index}
    order, labelled = _ordered(free, items, seed)
    held_out = 0 if fixed.any() or test_share == 0 else max(1, round(test_share * labelled))
    if labelled - held_out < 2:
        what = {"run": "lives", "subset": "groups"}.get(holdout.by, "machines")
        raise RowsError(
            f"{labelled} labelled {what} are too few to hold {held_out} out and train on the others in turn;"
            f" at least {FEWEST} are needed: add some, or hold out by time"
        )
    dealt = _dealt(order, labelled, held_out, min(folds, labelled - held_out))
    found = {unit: fold for item, fold in dealt.items() for unit in items[item]}
    used = max(found.values()) + 1
    found |= {str(unit): TEST for unit in units.index[fixed]}
    share = 0 if fixed.any() else test_share
    return found | {
        str(unit): place_by_name(str(unit), share, used, seed) for unit in units.index if str(unit) not in found
    }


def _as_numbered(units: pd.DataFrame, history: "pd.Series[bool]", seed: int) -> dict[str, int]:
    """Return the folds that the source numbers, from 0."""
    told = units[~history]
    untold = told.index[told["place"] == UNTOLD]
    if len(untold):
        raise RowsError(f"split: names no fold for {untold[0]}, but one for others; name one for each, or for none")
    numbers = sorted(set(told["place"]) - {TEST})
    last = numbers[-1] if not (told["place"] == TEST).any() else None
    fold_of = {TEST: TEST} | {number: i for i, number in enumerate(one for one in numbers if one != last)}
    fold_of |= {} if last is None else {last: TEST}
    used = max(fold_of.values()) + 1
    if used < 2:
        raise RowsError(f"split: {used} fold is left beside the held-out part; at least 2 are needed to train in turn")
    empty = sorted(set(told["place"]) - set(told.loc[told["labelled"], "place"]))
    if empty:
        part = "the test set" if empty[0] == TEST else f"fold {empty[0]}"
        raise RowsError(f"split: {part} has no labelled row; nothing could be measured on it")
    dealt = {str(unit): fold_of[place] for unit, place in told["place"].items()}
    return dealt | {str(unit): place_by_name(str(unit), 0, used, seed) for unit in units.index[history]}


def _groups(units: pd.DataFrame) -> dict[str, list[str]]:
    mixed = units.index[units["mixed"]]
    if len(mixed):
        raise RowsError(f"subset: changes within {mixed[0]}; a group that is held out holds whole runs")
    groups = {str(group): [str(unit) for unit in part.index] for group, part in units.groupby("group")}
    if "" in groups:
        raise RowsError(f"subset: names no group for {groups[''][0]}; name one for each run, or hold out by run")
    return groups


def _ordered(units: pd.DataFrame, items: Mapping[str, list[str]], seed: int) -> tuple[list[str], int]:
    """Return the items in random order within their stratum, labelled ones first, and how many are labelled."""
    faults = [name for name in units.columns if name.startswith("fault_")]
    keys = units[["labelled", "ended", *faults]].astype(np.int64)
    strata = {item: tuple(keys.loc[names].max()) for item, names in items.items()}
    shuffled = [str(item) for item in np.random.default_rng(seed).permutation(sorted(items))]
    order = sorted(shuffled, key=lambda item: tuple(-part for part in strata[item]))
    return order, sum(strata[item][0] for item in order)


def _dealt(order: list[str], labelled: int, held_out: int, folds: int) -> dict[str, int]:
    """Put some of the first `labelled` items, evenly, into TEST, and deal all others into the folds in turn."""
    places = {int((part + 0.5) * labelled / held_out) for part in range(held_out)}
    tests = [item for at, item in enumerate(order) if at in places]
    others = [item for at, item in enumerate(order) if at not in places]
    return dict.fromkeys(tests, TEST) | {item: at % folds for at, item in enumerate(others)}
