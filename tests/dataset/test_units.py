"""Units of the splits: lives, groups of runs and stretches of time, held out as wholes."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretwin.contract.holdout import Holdout
from foretwin.dataset.pieces import RowPieces
from foretwin.dataset.units import (
    UnitNames,
    asset_of,
    deal_units,
    describe_units,
    join_units,
    mark_held_out,
    name_units,
)
from foretwin.dataset.windows import TEST
from foretwin.errors import RowsError


def table(lives: list[tuple[str, int, int, bool, str]]) -> pd.DataFrame:
    """Canonical rows of lives: (asset, run, rows, whether it ended, subset)."""
    parts = []
    for asset, run, count, ended, subset in lives:
        time = np.arange(count, dtype=float)
        rul = time[::-1] if ended else np.full(count, np.nan)
        part = {"asset": asset, "run": run, "time": time, "rul": rul, "fault_mode": -1, "fixed_split": ""}
        parts.append(pd.DataFrame({**part, "subset": subset}))
    return pd.concat(parts, ignore_index=True)


def dealt(rows: pd.DataFrame, by: str, share: float = 0.25, folds: int = 5, gap: float | None = None) -> dict[str, int]:
    holdout = Holdout.model_validate({"by": by, "gap": gap, "stratify": by == "asset"})
    named = UnitNames(holdout, share, folds, rows["asset"].value_counts().to_dict()).name(rows)
    return deal_units(describe_units(named, ["mode"]), holdout, share, folds, seed=1)


def test_the_lives_of_one_machine_are_held_out_and_dealt_each_as_a_whole():
    folds = dealt(table([("M-1", run, 20, True, "") for run in range(1, 5)]), "run")
    assert set(folds) == {f"M-1#{run}" for run in range(1, 5)}
    assert sorted(folds.values()) == [TEST, 0, 1, 2], "as many folds as there are lives left"
    assert {asset_of(unit) for unit in folds} == {"M-1"}


def test_three_ended_lives_and_one_that_goes_on_can_be_trained_on():
    lives = [(f"C{number}", 1, 30, number != 2, "") for number in range(1, 5)]
    folds = dealt(table(lives), "asset")
    assert folds["C2"] != TEST, "nothing could be measured on it"
    ended = [folds[name] for name in ("C1", "C3", "C4")]
    assert sorted(ended) == [TEST, 0, 1], "each fold has a life that ended"


def test_a_group_of_runs_is_held_out_as_a_whole():
    lives = [(f"B{number}", run, 10, True, f"load {run}") for number in range(3) for run in range(1, 5)]
    folds = dealt(table(lives), "subset")
    of_load = {run: {folds[f"B{number}#{run}"] for number in range(3)} for run in range(1, 5)}
    assert all(len(found) == 1 for found in of_load.values())
    assert sorted(next(iter(found)) for found in of_load.values()) == [TEST, 0, 1, 2]


def test_a_group_that_changes_within_a_run_or_has_no_name_is_refused():
    rows = table([("B1", run, 10, True, f"load {run}") for run in range(1, 5)])
    with pytest.raises(RowsError, match="subset: names no group for B1#1"):
        dealt(rows.assign(subset=rows["subset"].where(rows["run"] > 1, "")), "subset")
    with pytest.raises(RowsError, match="subset: changes within B1#2"):
        dealt(rows.assign(subset=rows["subset"].where(rows.index != 15, "load 1")), "subset")


def test_by_time_the_latest_rows_of_each_machine_are_held_out_and_a_gap_lies_before_each_stretch():
    rows = table([("M-1", 1, 100, True, ""), ("M-2", 1, 20, True, "")])
    holdout = Holdout(by="time", gap=3)
    names = UnitNames(holdout, 0.25, 3, {"M-1": 100, "M-2": 20})
    named = pd.concat([names.name(rows[:60]), names.name(rows[60:100].reset_index(drop=True))])
    stretches = named.groupby("asset")["time"].agg(["min", "max"])
    assert stretches.loc["M-1#1"].tolist() == [0, 24]
    assert stretches.loc["M-1#2"].tolist() == [28, 49], "rows 25 to 27 are the gap"
    assert stretches.loc["M-1#4"].tolist() == [78, 99]
    folds = deal_units(describe_units(named, ["mode"]), holdout, 0.25, 3, seed=1)
    assert folds == {"M-1#1": 0, "M-1#2": 1, "M-1#3": 2, "M-1#4": TEST}


@pytest.mark.parametrize(("by", "what"), [("run", "lives"), ("asset", "machines"), ("subset", "groups")])
def test_too_few_units_are_refused_with_what_is_needed(by, what):
    lives = [(f"M-{number}", number, 20, True, f"load {number}") for number in (1, 2)]
    with pytest.raises(RowsError, match=f"2 labelled {what} are too few to hold 1 out .* at least 3 are needed"):
        dealt(table(lives), by)


@given(st.lists(st.booleans(), min_size=3, max_size=40).filter(lambda ended: sum(ended) >= 3), st.integers(2, 8))
def test_whatever_ended_every_fold_and_the_held_out_part_have_a_label(ended, folds):
    rows = table([(f"M{number}", 1, 3, one, "") for number, one in enumerate(ended)])
    found = dealt(rows, "asset", folds=folds)
    assert len(found) == len(ended)
    labelled = {found[f"M{number}"] for number, one in enumerate(ended) if one}
    assert labelled == set(found.values()) == {TEST, *range(max(found.values()) + 1)}
    assert max(found.values()) + 1 <= folds


def test_the_units_of_the_history_keep_their_folds_when_one_is_added():
    lives = [("M-1", run, 20, True, "") for run in range(1, 9)]
    added = [("store/P-1", run, 20, True, "history") for run in (1, 2)]
    once, twice = dealt(table(lives + added[:1]), "run"), dealt(table(lives + added), "run")
    assert {unit: fold for unit, fold in twice.items() if unit != "store/P-1#2"} == once


def dealt_as_told(parts: dict[str, str], by: str = "asset", labelled: bool = True) -> dict[str, int]:
    rows = table([(name, 1, 5, labelled, "") for name in parts])
    return dealt(rows.assign(fixed_split=rows["asset"].map(parts)), by)


def test_folds_that_are_numbered_are_those_and_the_last_is_held_out_without_a_test_set():
    assert dealt_as_told({"a": "1", "b": "4", "c": "2", "d": "2"}) == {"a": 0, "b": TEST, "c": 1, "d": 1}
    assert dealt_as_told({"a": "1", "b": "4", "c": "2", "d": "test"}) == {"a": 0, "b": 2, "c": 1, "d": TEST}


def test_a_split_that_leaves_nothing_to_learn_from_or_to_measure_on_is_refused():
    with pytest.raises(RowsError, match="split: 1 fold is left beside the held-out part"):
        dealt_as_told({"a": "1", "b": "2"})
    with pytest.raises(RowsError, match="split: names no fold for c"):
        dealt_as_told({"a": "1", "b": "2", "c": ""})
    rows = table([("a", 1, 5, True, ""), ("b", 1, 5, True, ""), ("c", 1, 5, False, "")])
    with pytest.raises(RowsError, match="split: fold 3 has no labelled row"):
        dealt(rows.assign(fixed_split=rows["asset"].map({"a": "1", "b": "2", "c": "3"})), "asset")


def test_a_machine_on_both_sides_of_a_split_is_refused_unless_its_lives_are_held_out():
    rows = table([("a", 1, 5, True, ""), ("a", 2, 5, True, ""), ("b", 1, 5, True, ""), ("c", 1, 5, True, "")])
    rows["fixed_split"] = np.where((rows["asset"] == "a") & (rows["run"] == 2), "test", "")
    with pytest.raises(RowsError, match="split: changes within a;"):
        dealt(rows, "asset")
    assert dealt(rows, "run") == {"a#2": TEST} | dealt(rows[rows["fixed_split"] == ""], "run", share=0)


def prepared(rows: pd.DataFrame, by: str, *assets: str) -> dict[str, int]:
    holdout = Holdout.model_validate({"by": by, "assets": assets})
    named = name_units(mark_held_out(RowPieces.of(rows), holdout), holdout, 0.25, 3)
    units = join_units(describe_units(piece, ["mode"]) for piece in named)
    return deal_units(units, holdout, 0.25, 3, seed=1)


def test_machines_that_are_named_are_held_out_and_no_others():
    rows = table([(f"M-{number}", run, 20, True, "") for number in range(1, 5) for run in (1, 2)])
    folds = prepared(rows, "asset", "M-3")
    assert folds["M-3"] == TEST
    assert sorted(folds[f"M-{number}"] for number in (1, 2, 4)) == [0, 1, 2]
    lives = prepared(rows, "run", "M-3", "M-1")
    assert {unit for unit, fold in lives.items() if fold == TEST} == {"M-1#1", "M-1#2", "M-3#1", "M-3#2"}


def test_a_machine_that_is_named_but_is_not_there_or_lies_in_a_fixed_test_set_is_refused():
    rows = table([(f"M-{number}", 1, 20, True, "") for number in range(1, 5)])
    with pytest.raises(RowsError, match=r"holdout.assets: M-7 is no machine of the table, which has M-1, M-2"):
        prepared(rows, "asset", "M-7")
    with pytest.raises(RowsError, match=r"the source says what is held out; leave holdout.assets out"):
        prepared(rows.assign(fixed_split=rows["asset"].map({"M-1": "test"}).fillna("")), "asset", "M-2")
    for by in ("time", "subset"):
        with pytest.raises(ValueError, match=f"by asset or by run, and this holds out by {by}"):
            Holdout.model_validate({"by": by, "assets": ["M-1"]})
