"""Figures of what users are told, worked by hand."""

import numpy as np
import pytest

from foretwin.contract.lead_times import longest_lead_time
from foretwin.evaluation.answer_figures import answer_figures, interval_figures, life_bands
from support.small_fleet import CAP, fleet_twin

TWIN = fleet_twin()


def test_bands_end_at_zero_and_double_from_a_ninth_of_the_lead_time_to_the_cap() -> None:
    assert longest_lead_time(TWIN) == 2
    truth = np.array([0, 0.4, 0.5, 1.0, 29.0, 30.0, np.nan])
    bands = life_bands(TWIN, truth)
    assert next(iter(bands)) == "0 to 0.4688", "a 64th of the cap: a lead time of two hours has no finer bands"
    assert list(bands)[-1].endswith(f"to {CAP}")
    assert sum(int(inside.sum()) for inside in bands.values()) == 5, "neither the cap nor the unknown"
    assert bands["0 to 0.4688"].tolist() == [True, True, False, False, False, False, False]


def test_intervals_are_judged_below_the_cap_on_the_late_side_and_by_band() -> None:
    truth = np.array([0.2, 10.0, 20.0, 40.0, np.nan])
    rul, low, high = np.array([3, 10, 28, 30, 9.0]), np.array([1, 9, 25, 25, 0.0]), np.array([5, 11, 30, 30, 30.0])
    found = interval_figures(TWIN, rul, low, high, truth)
    assert found["below_cap"] == pytest.approx(1 / 3)
    assert found["late_side"] == pytest.approx(2 / 4)
    first = found["bands"]["0 to 0.4688"]
    assert first == {"count": 1, "coverage": 0, "late_side": 1, "rmse": pytest.approx(2.8), "bias": pytest.approx(2.8)}
    assert sum(one["count"] for one in found["bands_predicted"].values()) == 3, "one prediction is at the cap"


def test_an_answer_that_is_not_given_is_no_wrong_one_but_a_missed_one() -> None:
    truth, given = np.array([0, 0, 1, 1, -1]), np.array([0, -1, 1, 0, 1])
    found = answer_figures(given, truth, 2)
    assert found["answered"] == 0.75
    assert found["right_of_answered"] == pytest.approx(2 / 3)
    assert found["macro_f1_of_answers"] == pytest.approx((2 * 1 / 4 + 2 * 1 / 3) / 2)
