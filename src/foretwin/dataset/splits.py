"""Splits of the canonical table for training and evaluation, written by the stage `prepare`.

data/<twin>/windows/ holds `splits.json` (asset -> fold, -1 = held out), `development.parquet` (the rows of the
development assets), `test.parquet` (the held-out assets as known at each cut, `truncate_known`) and `example.parquet`
(one held-out run from beginning to end, for plots). In them `rul` is infinite where all that is known
is that the run was followed for the cap or longer (`censoring`).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.lead_times import LATE_WEIGHT, longest_lead_time
from foretwin.contract.twin import Twin
from foretwin.dataset.departures import Departures, copied_from, copy_sources, draw_cuts, is_copy, is_made
from foretwin.dataset.known_rows import truncate_known
from foretwin.dataset.labels.censoring import draw_weights, with_outlived
from foretwin.dataset.mapped import mapped_array, moved
from foretwin.dataset.pieces import RowPieces, RowsWriter
from foretwin.dataset.table import HISTORY, TEST_SET, read_rows, run_starts, write_rows
from foretwin.dataset.units import deal_units, describe_units, join_units, mark_held_out, name_units, names_held_out
from foretwin.dataset.windows import TEST, Histories, deal_folds, last_rows
from foretwin.errors import RowsError
from foretwin.project.json import strict_json
from foretwin.project.params import PrepareParams

ASSET = ["asset", "fixed_split", "subset"]  # what says in which split an asset is


@dataclass(frozen=True)
class Split:
    """Training and held-out windows of one fold, as positions into the histories' rows."""

    histories: Histories
    rows: NDArray[np.int64]  # every recorded row of the training assets, for the scaling
    train: NDArray[np.int64]  # those rows at which a training window may end
    held_out: NDArray[np.int64]  # cuts of the held-out assets
    weights: NDArray[np.float64] | None = None  # of `train`, by which they are drawn; None where all are alike


@dataclass(frozen=True)
class Development:
    """Rows of the development assets, their folds, and the cuts at which a held-out fold is predicted."""

    histories: Histories
    fold: NDArray[np.int64]  # (R,) of each row
    asset: NDArray[np.int64]  # (R,) number of each row's asset
    made: NDArray[np.bool_]  # (R,) rows of copies with a departure that was put in: no readings of a machine
    ends: NDArray[np.int64]  # rows with enough history and a label: where a training window may end
    cuts: NDArray[np.int64]  # random cuts of every run, labelled too
    cap: float | None = None  # of the RUL, in the contract's time unit; None without an RUL
    late: float = 0.0  # the longest lead time, in that unit: windows within it are drawn more often
    source: NDArray[np.int64] | None = None  # (R,) first row of the run that a copy is of, or the row's own; of health
    overlap: float | None = None  # windows that share no row, for each of a run's dense cuts; None: they are random

    @classmethod
    def load(cls, folder: Path, contract: Twin, params: PrepareParams) -> "Development":
        """Read the files of `prepare`, run by run unless copies of runs are drawn from all: then memory is bounded."""
        folds = json.loads((folder / "splits.json").read_text())
        file = folder / "development.parquet"
        if contract.health is not None:
            return cls.of(read_rows(file, contract), folds, contract, params.cuts, params.seed)
        pieces = RowPieces.open(file, contract)
        each = (
            (cls.of(one, folds, contract, params.cuts, params.seed), one["asset"].unique().tolist()) for one in pieces
        )
        joined = _joined(each, pieces.count)
        return replace(joined, cap=contract.rul.cap if contract.rul else None, late=longest_lead_time(contract))

    @classmethod
    def of(cls, rows: pd.DataFrame, folds: Mapping[str, int], contract: Twin, cuts: int, seed: int) -> Self:
        """From canonical rows and their assets' folds; every run is cut at `cuts` random rows, drawn from `seed`."""
        histories = Histories.from_rows(rows, contract)
        labelled = ~np.isnan(histories.rul) | (histories.faults >= 0).any(axis=1)
        ends = histories.ends(contract.window.shortest)
        drawn = draw_cuts(rows, contract, cuts, seed)
        made = is_made(rows["asset"]) if contract.health else np.zeros(len(rows), np.bool_)
        fold = np.asarray(rows["asset"].map(folds), np.int64)
        asset = pd.factorize(rows["asset"])[0].astype(np.int64)
        cap = contract.rul.cap if contract.rul else None
        late = longest_lead_time(contract)
        source = copy_sources(rows, histories.first) if contract.health else None
        return cls(histories, fold, asset, made, ends[labelled[ends]], drawn[labelled[drawn]], cap, late, source)

    @property
    def folds(self) -> range:
        """Return the fold numbers."""
        return range(int(self.fold.max()) + 1)

    @property
    def recorded(self) -> Histories:
        """Return the histories of the machines themselves, without copies."""
        return self.histories.without(self.made) if self.made.any() else self.histories

    def hold_out(self, fold: int) -> Split:
        """Hold out one fold and train on the others."""
        rows = moved(np.flatnonzero((self.fold != fold) & ~self.made))
        train = moved(self.ends[self.fold[self.ends] != fold])
        return Split(
            histories=self.histories,
            rows=rows,
            train=train,
            held_out=self.cuts[self.fold[self.cuts] == fold],
            weights=self._draw_weights(rows, train),
        )

    def _draw_weights(self, rows: NDArray[np.int64], train: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Return how often the windows that end at the rows `train` (N,) are drawn; None where all are alike."""
        if self.cap is None:
            return None
        known = draw_weights(self.histories, rows, train, self.cap)
        is_late = self.histories.rul[train] <= self.late
        if not is_late.any():
            return known
        often = moved(np.where(is_late, LATE_WEIGHT, 1.0))
        return often if known is None else known * often


def _joined(parts: Iterable[tuple[Development, Sequence[str]]], count: int) -> Development:
    """Put parts of `count` rows, each with its assets' names, together in arrays that need not fit in memory."""
    arrays: dict[str, NDArray[Any]] = {}
    ends, cuts, ended = mapped_array((count,), np.int64), [np.empty(0, np.int64)], 0
    numbers: dict[str, int] = {}
    begin, slot = 0, None
    for part, assets in parts:
        of_name = np.array([numbers.setdefault(name, len(numbers)) for name in assets], np.int64)
        found = {name: getattr(part.histories, name) for name in ("values", "time", "rul", "faults")}
        found |= {"first": part.histories.first + begin, "fold": part.fold, "made": part.made}
        found["asset"] = of_name[part.asset]
        for name, array in found.items():
            if name not in arrays:
                arrays[name] = mapped_array((count, *array.shape[1:]), array.dtype)
            arrays[name][begin : begin + len(array)] = array
        ends[ended : ended + len(part.ends)] = part.ends + begin
        ended += len(part.ends)
        cuts.append(part.cuts + begin)
        begin, slot = begin + len(part.fold), part.histories.slot
    histories = Histories(
        **{name: arrays.pop(name) for name in ("values", "time", "rul", "faults", "first")}, slot=slot
    )
    fold, asset, made = (arrays[name] for name in ("fold", "asset", "made"))
    return Development(histories, fold, asset, made, ends[:ended], np.concatenate(cuts))


def prepare(rows: pd.DataFrame | RowPieces, contract: Twin, params: PrepareParams, out: Path) -> dict[str, int]:
    """Split the assets, cut the held-out runs and write all files to `out`; return counts for the user."""
    table = RowPieces.of(rows) if isinstance(rows, pd.DataFrame) else rows
    dealt, folds, fixed = _dealt(table, contract, params)
    pieces = with_outlived(dealt, contract)
    departures = Departures.of(pieces, contract, params.seed) if contract.health else None
    held_out = _written(pieces, folds, _HeldOut(contract, params, fixed), out, departures)
    if held_out.cuts:
        _check_folds(pieces, folds, contract, params)
    else:
        if any(_has_label(piece, contract).any() for piece in pieces):
            raise RowsError(_no_cuts(contract))
        # No label yet: there is nothing to learn, but what needs no labels can be looked at.
        held_out = _written(pieces, folds, _HeldOut(contract, params, fixed, labelled=False), out)
    (out / "splits.json").write_text(strict_json(dict(sorted(folds.items())), indent=1))
    write_rows(held_out.example(pieces), contract, out / "example.parquet")
    own = folds if departures is None else {name: fold for name, fold in folds.items() if not is_copy(name)}
    tests = sum(fold == TEST for fold in own.values())
    return {"development": len(own) - tests, "held out": tests, "cuts": held_out.cuts}


def _check_folds(pieces: RowPieces, folds: Mapping[str, int], contract: Twin, params: PrepareParams) -> None:
    """Raise RowsError where a fold has no labelled cut, on which nothing could be calibrated.

    Of health without labels, each fold has departed copies; the labels of a history come one by one, with verdicts.
    """
    lacking = set(folds.values()) - {TEST} if contract.health is None else set()
    for piece in pieces:
        if not lacking or (piece["subset"] == HISTORY).any():
            return
        cuts = draw_cuts(piece, contract, params.cuts, params.seed)
        assets = piece["asset"].iloc[cuts[_has_label(piece, contract)[cuts]]]
        lacking -= set(assets.map(folds))
    if lacking:
        few = f"{contract.name}: fold {min(lacking) + 1} of {len(set(folds.values()) - {TEST})} has no labelled row"
        fewer = f"{contract.name}: {{prepare: {{folds: {max(2, min(lacking))}}}}}"
        raise RowsError(f"{few} to be calibrated on; label more runs, or write fewer folds in params.yaml, as {fewer}")


def _written(
    pieces: RowPieces, folds: dict[str, int], held_out: "_HeldOut", out: Path, departures: Departures | None = None
) -> "_HeldOut":
    """Write the rows of the development assets, and what was known of the held-out ones at each cut.

    Departed copies go with the run that they are of, and are added to `folds`.
    """
    contract = held_out.contract
    with (
        RowsWriter(out / "development.parquet", contract) as development,
        RowsWriter(out / "test.parquet", contract) as test,
    ):
        for recorded in pieces:
            piece = recorded
            if departures is not None:
                piece = departures.added_to(recorded)
                folds |= {name: folds[copied_from(name)] for name in piece["asset"].unique() if is_copy(name)}
            is_test = piece["asset"].map(folds) == TEST
            development.write(piece[~is_test])
            test.write(held_out.cut(piece[is_test].reset_index(drop=True)))
    return held_out


def _dealt(pieces: RowPieces, contract: Twin, params: PrepareParams) -> tuple[RowPieces, dict[str, int], bool]:
    """Return the table with its units as assets, their folds, and whether its authors fixed a test set."""
    holdout, share, folds = contract.holdout, params.test_share, params.folds
    if holdout.plain and not contract.has_split:
        assets = pd.concat([piece[ASSET].drop_duplicates() for piece in pieces]).drop_duplicates()
        fixed = bool((assets["fixed_split"] == TEST_SET).any())
        return pieces, deal_folds(assets, share, folds, params.seed), fixed
    named = name_units(mark_held_out(pieces, holdout), holdout, share, folds)
    units = join_units(describe_units(piece, contract.axes) for piece in named)
    fixed = bool((units["place"] == TEST).any())
    return named, deal_units(units, holdout, share, folds, params.seed), fixed and not names_held_out(contract)


def cut_held_out(rows: pd.DataFrame, contract: Twin, cuts: int, seed: int) -> pd.DataFrame:
    """What was known of held-out runs at each labelled cut, by `truncate_known`.

    Where the source's authors fixed a test set, its runs are cut once, at their last row; else, and where the contract
    or a column of the file names what is held out, whose runs are whole, at `cuts` random rows each, drawn from `seed`.
    The rows have the index 0, 1, 2, ... RowsError where no cut has a label.
    """
    fixed = bool((rows["fixed_split"] == TEST_SET).any()) and not names_held_out(contract)
    ends = _cuts(rows, contract, cuts, seed, fixed)
    if len(ends) == 0:
        raise RowsError(_no_cuts(contract))
    return truncate_known(rows, ends, contract)


class _HeldOut:
    """The held-out assets, whose rows come in pieces of whole runs: how many cuts they have, and a typical run."""

    def __init__(self, contract: Twin, params: PrepareParams, fixed: bool, labelled: bool = True) -> None:
        """`labelled`: cuts without a label are left out."""
        self.contract, self._params, self._fixed, self._labelled = contract, params, fixed, labelled
        self._rows = 0  # of earlier pieces: a cut is named by its row among all
        self._runs: list[tuple[bool, int, str, int]] = []  # is its RUL known, rows, asset, run
        self.cuts = 0

    def cut(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return what was known at each cut of these runs (index 0, 1, 2, ...), and keep them in mind."""
        if rows.empty:
            return rows
        ends = _cuts(rows, self.contract, self._params.cuts, self._params.seed, self._fixed, self._labelled)
        found = truncate_known(rows, ends, self.contract, self._rows)
        self._note_runs(rows)
        self._rows += len(rows)
        self.cuts += len(ends)
        return found

    def _note_runs(self, rows: pd.DataFrame) -> None:
        if self.contract.health is not None:
            rows = rows[~is_made(rows["asset"])]
        starts, ends = np.flatnonzero(run_starts(rows)), last_rows(rows)
        known = ~np.isnan(rows["rul"].to_numpy()[ends])
        assets, runs = rows["asset"].to_numpy()[starts], rows["run"].to_numpy()[starts]
        lengths = ends - starts + 1
        self._runs += zip(known.tolist(), lengths.tolist(), map(str, assets), runs.tolist(), strict=True)

    def example(self, pieces: RowPieces) -> pd.DataFrame:
        """Return the run of median length among those with a known RUL, else among all; of equals the first.

        Not the longest: a model seldom knows a life that hardly any machine has, and a picture of it tells little.
        """
        runs = [run for run in self._runs if run[0]] or self._runs
        _, _, asset, number = sorted(runs, key=lambda run: run[1])[(len(runs) - 1) // 2]
        for piece in pieces:
            found = piece[(piece["asset"] == asset) & (piece["run"] == number)]
            if len(found):
                return found
        raise RowsError(_no_cuts(self.contract))  # pieces that differ from one reading to the next


def _cuts(
    rows: pd.DataFrame, contract: Twin, cuts: int, seed: int, fixed: bool, labelled: bool = True
) -> NDArray[np.int64]:
    """Return the positions of the cuts, or of the labelled ones."""
    whole = fixed and contract.health is None
    ends = last_rows(rows) if whole else draw_cuts(rows, contract, cuts, seed)
    return ends[_has_label(rows, contract)[ends]] if labelled else ends


def _has_label(rows: pd.DataFrame, contract: Twin) -> NDArray[np.bool_]:
    """Return whether each row (N,) has a label: a known RUL, or a known class."""
    histories = Histories.from_rows(rows, contract)
    return ~np.isnan(histories.rul) | (histories.faults >= 0).any(axis=1)


def _no_cuts(contract: Twin) -> str:
    return f"{contract.name}: no held-out run has a labelled row to be evaluated on; label more runs"
