"""Machines that were followed for the cap or longer teach that; windows are drawn as if every label were known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from foretwin.contract.lead_times import longest_lead_time
from foretwin.dataset.labels.censoring import MOST_WEIGHT, FollowUp, draw_weights, outlived_cap
from foretwin.dataset.splits import Development, prepare
from foretwin.dataset.table import canonical, read_rows
from foretwin.dataset.windows import Histories
from foretwin.predictor.healthy_baseline import healthy_rows
from support.small_fleet import CAP, PREPARE, fleet_rows, fleet_twin

TWIN = fleet_twin()


def censored_fleet(assets: int = 16, share: float = 0.5) -> pd.DataFrame:
    """The small fleet, of which a share is not followed to the end: each of these for two thirds of its life."""
    rows = fleet_rows(TWIN, assets)
    number = rows["asset"].str[1:].astype(int)
    stops = number < share * assets
    life = rows.groupby("asset")["time"].transform("max")
    return rows[~stops | (rows["time"] <= life * 2 / 3)].assign(rul=rows["rul"].mask(stops)).reset_index(drop=True)


def test_a_reading_is_labelled_where_its_run_was_followed_for_the_cap_and_nowhere_else():
    rows = censored_fleet()
    outlived = outlived_cap(rows, TWIN)
    last = rows.groupby("asset")["time"].transform("max")
    unended = rows["rul"].isna()
    assert 0 < outlived.sum() < unended.sum()
    assert (outlived == (unended & (last - rows["time"] >= CAP))).all()
    assert not outlived_cap(rows, fleet_twin("faults")).any(), "there is no cap to outlive"


def test_a_run_whose_end_is_known_gets_no_label_where_its_rul_is_missing():
    rows = fleet_rows(TWIN)
    rows.loc[rows["time"] < 5, "rul"] = np.nan
    assert not outlived_cap(rows, TWIN).any()


def test_prepare_writes_the_labels_for_development_and_held_out_machines(tmp_path):
    rows = censored_fleet()
    prepare(rows, TWIN, PREPARE, tmp_path)
    for name in ("development", "test"):
        written = read_rows(tmp_path / f"{name}.parquet", TWIN)
        assert np.isinf(written["rul"]).any(), name
    development = read_rows(tmp_path / "development.parquet", TWIN)
    told = rows.merge(development, on=["asset", "run", "time"], suffixes=("", "_written"))
    assert (np.isinf(told["rul_written"]) == outlived_cap(told[rows.columns], TWIN)).all()
    known = told["rul"].notna()
    assert (told.loc[known, "rul"] == told.loc[known, "rul_written"]).all()
    histories = Histories.from_rows(development, TWIN)
    assert healthy_rows(histories, TWIN)[np.isinf(histories.rul) & (histories.faults <= 0).all(axis=1)].all()


def test_of_a_fleet_that_was_followed_to_the_end_the_last_lead_time_is_drawn_more_often(tmp_path):
    rows = fleet_rows(TWIN)
    prepare(rows, TWIN, PREPARE, tmp_path)
    development = Development.load(tmp_path, TWIN, PREPARE)
    split = development.hold_out(0)
    late = split.histories.rul[split.train] <= longest_lead_time(TWIN)
    assert late.any()
    assert split.weights.tolist() == np.where(late, 3.0, 1.0).tolist()
    split = replace(development, late=-1.0).hold_out(0)
    assert split.weights is None


def test_how_long_runs_are_followed_is_the_estimate_of_kaplan_and_meier():
    # Followed for 10, 20, 30 and 40 h; the one of 20 h failed, so that it might have been followed for longer.
    follow_up = FollowUp(np.zeros(4), np.array([10.0, 20, 30, 40]), np.array([True, False, True, True]))
    assert follow_up.reaches(np.array([0.0, 10, 10.5, 20, 30, 31, 40])) == pytest.approx(
        [1, 1, 3 / 4, 3 / 4, 3 / 4, 3 / 8, 3 / 8]
    )


def test_a_run_that_fails_after_its_last_reading_was_followed_until_then():
    ages = (np.arange(n, dtype=float) for n in (11, 11, 31))
    rows = pd.concat([pd.DataFrame({"asset": f"m{i}", "run": 1, "time": age}) for i, age in enumerate(ages)])
    for name in TWIN.channel_names:
        rows[name] = 0.0
    rows["rul"] = np.where(rows["asset"] == "m0", 40 - rows["time"], np.nan)
    histories = Histories.from_rows(canonical(rows, TWIN), TWIN)
    follow_up = FollowUp.of(histories, np.arange(len(rows)))
    # When the second is left at 10 h three are watched, the first up to its failure at 40 h.
    assert follow_up.reaches(np.array([10.0, 20, 31, 41])) == pytest.approx([1, 2 / 3, 1 / 3, 1 / 3])


def test_a_window_at_an_age_that_no_run_was_followed_to_has_the_most_weight():
    follow_up = FollowUp(np.zeros(2), np.array([10.0, 20]), np.array([True, True]))
    assert follow_up.reaches(np.array([30.0])).tolist() == [0]
    weights = follow_up.weights(np.array([5.0, 30.0]), np.array([3, np.inf], np.float32), 10.0)
    assert weights.tolist() == [1, MOST_WEIGHT]


def test_weights_give_back_the_lives_that_a_study_did_not_see():
    """Of lives of 5 or 60 h in equal numbers, a study that ends at any hour up to 80 sees more of the short ones."""
    generator, parts = np.random.default_rng(1), []
    for number in range(1000):
        life, followed = (5, 60)[number % 2], int(generator.integers(1, 80))
        hours = np.arange(min(life, followed) + 1, dtype=float)
        rul = life - hours if followed >= life else np.full(len(hours), np.nan)
        parts.append(pd.DataFrame({"asset": f"m{number:04}", "run": 1, "time": hours, "rul": rul}))
    rows = pd.concat(parts, ignore_index=True)
    channels = dict.fromkeys([*TWIN.channel_names, "fault_mode", "fault_bearing"], 0.0)
    rows = rows.assign(**channels).astype({"rul": "float32"})
    rows.loc[outlived_cap(rows, TWIN), "rul"] = np.inf
    histories = Histories.from_rows(rows, TWIN)
    first = np.flatnonzero((histories.time == 0) & ~np.isnan(histories.rul))
    weights = draw_weights(histories, np.arange(len(rows)), first, CAP)
    long = histories.rul[first] > CAP
    assert np.mean(long) < 0.44
    assert np.average(long, weights=weights) == pytest.approx(0.5, abs=0.03)
    assert (weights <= MOST_WEIGHT).all()


def test_a_fold_of_censored_machines_has_weights_of_its_own_training_machines(tmp_path):
    prepare(censored_fleet(), TWIN, PREPARE, tmp_path)
    development = Development.load(tmp_path, TWIN, PREPARE)
    split = development.hold_out(0)
    assert split.weights is not None
    assert len(split.weights) == len(split.train)
    assert split.weights.min() == 1
    assert split.weights.max() > 1
    assert replace(development, cap=None).hold_out(0).weights is None
