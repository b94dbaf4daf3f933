"""Figures of chances and ranks, on answers whose worth is known."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.accuracy import risk_sets

PARTS = ("served", "served_classes", "linear", "kaplan_meier")


def told() -> pd.DataFrame:
    """Two machines: one fails at the end, one is exchanged; chances that are 1 within a day of the failure, else 0."""
    left = np.arange(96.0, -1, -6)
    frame = pd.concat([pd.DataFrame({"asset": name, "left": left, "failed": name == "a"}) for name in "ab"])
    within = (frame["failed"] & (frame["left"] <= 24)).to_numpy(float)
    return frame.assign(part=within.astype(int), **dict.fromkeys(PARTS, within)).reset_index(drop=True)


def test_what_is_known_of_the_next_day_leaves_out_the_gap_and_the_last_day_of_a_life_that_ended_otherwise():
    frame = told()
    within, known = risk_sets._known(frame, 24.0)
    of = {name: frame.loc[known & (frame["asset"] == name), "left"].tolist() for name in "ab"}
    assert of["a"] == [*range(96, 48, -6), 24, 18, 12, 6]
    assert of["b"] == [*range(96, 48, -6)]
    assert frame.loc[within, "left"].tolist() == [24, 18, 12, 6, 0]
    assert risk_sets._known(frame, 0.0)[1].sum() == known.sum() + 8


def test_a_life_that_fails_after_its_last_row_is_left_until_then():
    rows = pd.DataFrame(
        {"asset": [*"aaabb"], "run": 1, "time": [0.0, 1, 2, 0, 1], "ended": ["failed"] * 3 + ["running"] * 2}
    )
    rows["rul"] = [75.0, 74, 73, np.nan, np.nan]
    assert risk_sets.left_of(rows).tolist() == [75, 74, 73, 1, 0]
    chance = risk_sets._by_age(rows, np.array([2.0, 60]))
    assert chance.tolist() == [0, 1], "the one failure is at 75 h, the other life was followed for an hour"


def test_a_chance_that_is_right_has_no_error_and_one_that_is_constant_ranks_nothing():
    found = risk_sets._chances(told().assign(kaplan_meier=0.1), 24.0)
    served = found["models"]["served"]
    assert (served["auroc"], served["average_precision"], served["brier"]) == (1, 1, 0)
    assert served["auroc_interval"] == [1, 1]
    assert found["models"]["kaplan_meier"]["auroc"] == 0.5
    assert found["models"]["kaplan_meier"]["average_precision"] == found["share"] == pytest.approx(4 / 20)


def test_half_of_the_failed_are_found_by_looking_at_the_first_of_the_ranks():
    failed = np.zeros(200, bool)
    failed[[3, 10, 20, 150]] = True
    said = np.where(failed, 1.0, 0.0)
    assert risk_sets._looked_at(said, failed) == {"failed_of_top": 1.0, "for_half": 0.01}
    assert risk_sets._looked_at(-np.arange(200.0), failed) == {"failed_of_top": 0.0, "for_half": 0.055}


def test_the_best_counter_is_chosen_by_other_drives():
    drives = pd.DataFrame(dict.fromkeys((risk_sets.HOURS, *risk_sets.COUNTERS), np.zeros(8)))
    drives["fault_failure"] = [0, 1] * 4
    others = drives.assign(smart_187_raw=drives["fault_failure"] * 5.0)
    own = drives.assign(smart_5_raw=drives["fault_failure"] * 9.0)
    floors, best = risk_sets._counted(own, others)
    assert best == "smart_187_raw"
    assert not floors["best_counter_of_the_others"].any()
    assert floors["watched_counters"].tolist() == [0, 1] * 4
