"""Each metric against numbers worked by hand."""

import math
from functools import partial

import numpy as np
import pytest

from foretwin.metrics import (
    accuracy,
    alarm_limit,
    calibration_error,
    coverage,
    macro_f1,
    negative_log_likelihood,
    phm08,
    rmse,
    rul_metrics,
    threshold,
)

NAN = math.nan


def array(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_rmse_is_the_root_of_the_pooled_mean():
    predicted, truth = array(10, 20, 30, 44), array(13, 16, 30, 44)
    assert rmse(predicted, truth) == pytest.approx(2.5)  # (9 + 16 + 0 + 0) / 4 = 6.25
    halves = [rmse(predicted[:2], truth[:2]), rmse(predicted[2:], truth[2:])]
    assert np.mean(halves) == pytest.approx(12.5**0.5 / 2), "a mean of roots is another, lower number"


def test_rmse_of_an_uneven_last_batch_is_that_of_all():
    generator = np.random.default_rng(1)
    predicted, truth = generator.normal(size=7), generator.normal(size=7)
    parts = [rmse(predicted[i : i + 3], truth[i : i + 3]) ** 2 * len(predicted[i : i + 3]) for i in (0, 3, 6)]
    assert rmse(predicted, truth) == pytest.approx((sum(parts) / 7) ** 0.5)


def test_float32_predictions_are_summed_in_double_precision():
    predicted = np.full(10_000, 1e4 + 0.5, np.float32)
    assert rmse(predicted, np.full(10_000, 1e4)) == pytest.approx(0.5, rel=1e-9)


@pytest.mark.parametrize(
    ("predicted", "truth", "score"),
    [
        (10, 20, math.exp(10 / 13) - 1),  # 10 early
        (20, 10, math.exp(1) - 1),  # 10 late: dearer
        (7, 7, 0),
        (0, 13, math.e - 1),
    ],
)
def test_phm08_punishes_late_predictions_more(predicted, truth, score):
    assert phm08(array(predicted), array(truth), cap=125) == pytest.approx(score)


def test_phm08_is_a_sum_over_predictions():
    assert phm08(array(10, 20, 7), array(20, 10, 7), cap=125) == pytest.approx(math.exp(10 / 13) + math.e - 2)


@pytest.mark.parametrize("unit", [1, 24, 3600, 1e9])
def test_the_phm08_score_and_late_life_do_not_depend_on_the_clocks_unit(unit):
    predicted, truth = array(10, 60, 31, 7), array(15, 50, 29, 200)
    figures = rul_metrics(predicted, truth, cap=70)
    other = rul_metrics(predicted * unit, truth * unit, cap=70 * unit)
    for kind in ("clipped", "unclipped"):
        assert other[kind]["phm08"] == pytest.approx(figures[kind]["phm08"])
        assert other[kind]["rmse_late"] == pytest.approx(figures[kind]["rmse_late"] * unit)


def test_a_phm08_score_without_meaning_is_none():
    assert phm08(array(60), array(60 * 3), cap=60) < 1e12, "three caps are still told"
    assert math.isnan(phm08(array(60), array(1e7), cap=60)), "an overflow, or a number of 280 digits"


def test_coverage_counts_both_ends_as_inside():
    low, high, truth = array(0, 0, 5, 5), array(10, 10, 10, 10), array(0, 10, 4.99, 10.01)
    assert coverage(low, high, truth) == 0.5


def test_unknown_truths_do_not_count():
    truth = array(1, NAN, 3)
    predicted = array(1, 100, 3)
    assert rmse(predicted, truth) == 0
    assert phm08(predicted, truth, cap=125) == 0
    assert coverage(array(0, 0, 0), array(2, 2, 2), truth) == 0.5
    assert macro_f1(np.array([0, 1, 1]), np.array([0, -1, 1]), 2) == 1
    assert accuracy(np.array([0, 1, 0]), np.array([0, -1, 1])) == 0.5


def test_where_no_truth_is_known_there_is_no_figure():
    nothing = array(NAN, NAN)
    assert math.isnan(rmse(array(1, 2), nothing))
    assert math.isnan(phm08(array(1, 2), nothing, cap=125)), "0 would be the best score there is"
    assert math.isnan(coverage(array(0, 0), array(9, 9), nothing))
    assert math.isnan(macro_f1(np.array([0, 1]), np.array([-1, -1]), 2))
    assert math.isnan(accuracy(np.array([0, 1]), np.array([-1, -1])))


@pytest.mark.parametrize("metric", [rmse, partial(phm08, cap=125)])
def test_a_prediction_that_is_not_a_number_is_not_passed_over(metric):
    assert math.isnan(metric(array(1, NAN), array(1, 2)))


def test_macro_f1_weighs_classes_alike():
    truth = np.array([0, 0, 0, 0, 1, 2])
    predicted = np.array([0, 0, 0, 1, 1, 0])
    # class 0: 3 hits, 4 + 4; class 1: 1 hit, 2 + 1; class 2: no hit, 0 + 1
    assert macro_f1(predicted, truth, 3) == pytest.approx((6 / 8 + 2 / 3 + 0) / 3)


def test_a_class_that_neither_occurs_nor_is_predicted_does_not_count():
    truth, predicted = np.array([0, 0, 1]), np.array([0, 0, 1])
    assert macro_f1(predicted, truth, 4) == 1
    assert macro_f1(np.array([0, 0, 3]), truth, 4) == pytest.approx((1 + 0 + 0) / 3), "predicted falsely, it does"


def test_macro_f1_agrees_with_the_field():
    from sklearn.metrics import f1_score

    generator = np.random.default_rng(3)
    truth, predicted = generator.integers(0, 4, (2, 200))
    assert macro_f1(predicted, truth, 4) == pytest.approx(f1_score(truth, predicted, average="macro"))


def test_the_likelihood_is_that_of_the_known_classes():
    probabilities = np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])
    truth = np.array([1, 1, -1])
    assert negative_log_likelihood(probabilities, truth) == pytest.approx(-(math.log(0.25) + math.log(0.8)) / 2)
    assert math.isfinite(negative_log_likelihood(np.array([[1, 0]], np.float32), np.array([1])))
    assert math.isnan(negative_log_likelihood(probabilities, np.full(3, -1)))


def test_the_calibration_error_weighs_each_bin_by_its_answers():
    confidence = array(0.91, 0.93, 0.95, 1.0, 0.55, 0.58, 0.75)
    probabilities = np.column_stack([confidence, 1 - confidence])
    truth = np.array([0, 0, 0, 0, 0, 1, -1])
    # From 0.9 to 1 all four are right and 0.9475 is said, which is too little; from 0.5 to 0.6 one of two is right and
    # 0.565 is said, which is too much, and does not make up for it; the last one does not count.
    assert calibration_error(probabilities, truth) == pytest.approx((4 * 0.0525 + 2 * 0.065) / 6)
    assert math.isnan(calibration_error(probabilities, np.full(7, -1)))


def test_rul_is_measured_against_capped_truths_and_as_they_are():
    figures = rul_metrics(array(125, 125, 20, 40), array(225, 125, 30, 31), cap=125)
    assert figures["clipped"]["rmse"] == pytest.approx(((0 + 0 + 100 + 81) / 4) ** 0.5)
    assert figures["clipped"]["mae"] == pytest.approx(19 / 4)
    assert figures["clipped"]["bias"] == pytest.approx((9 - 10) / 4)
    assert figures["unclipped"]["bias"] == pytest.approx((9 - 10 - 100) / 4), "a late prediction is a positive error"
    assert figures["unclipped"]["rmse"] == pytest.approx(((10000 + 0 + 100 + 81) / 4) ** 0.5)
    assert figures["clipped"]["phm08"] == pytest.approx(math.exp(10 / 13) + math.exp(0.9) - 2)
    for kind in ("clipped", "unclipped"):
        assert figures[kind]["rmse_late"] == 10, "truths of 30 and less"


def test_a_perfect_capped_model_still_errs_on_uncapped_truths():
    truth = array(10, 125, 150, NAN)
    figures = rul_metrics(np.minimum(truth, 125), truth, cap=125)
    assert figures["clipped"]["rmse"] == figures["clipped"]["phm08"] == 0
    assert figures["unclipped"]["rmse"] == pytest.approx(25 / 3**0.5)


def test_an_alarm_that_stands_until_the_history_ends_sets_no_limit_but_one_that_recovers_does():
    calm = np.tile([0.0, 1.0, 0.5, 0.2], 30)
    runs = np.repeat(np.arange(30), 4)
    failing, passing = calm.copy(), calm.copy()
    failing[2:4] = 9, 12
    passing[1] = 9
    assert alarm_limit(calm, 0.001, runs) == 1
    assert alarm_limit(failing, 0.001, runs) == 1, "it may fail: nobody knows that it was false"
    assert threshold(failing, 0.001) == 12
    assert alarm_limit(passing, 0.001, runs) > 9
    assert 1 < alarm_limit(passing, 2 / 90, runs) < 9, "two of ninety chances may be alarms"
    assert alarm_limit(passing, 3 / 90, runs) == 1
    assert alarm_limit(failing, 0.001, None) == 12


def test_fewer_alarms_than_were_ever_seen_are_told_by_the_tail():
    values = np.random.default_rng(1).exponential(size=2400)
    found = alarm_limit(values, 1 / 40_000, np.repeat(np.arange(400), 6))
    assert found > values.max()
    assert found == pytest.approx(math.log(40_000), abs=1)


def test_what_most_machines_end_with_is_normal():
    warmer = np.tile([0.0, 1.0, 0.5, 6.0], 30)
    assert alarm_limit(warmer, 0.001, np.repeat(np.arange(30), 4)) == 6
    assert alarm_limit(np.array([0.0, 4.0]), 0.001, np.array([0, 1])) == 4, (
        "of one cut each nothing is known to recover"
    )
