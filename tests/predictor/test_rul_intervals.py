"""Conformal intervals: they cover what they promise on residuals like those they were fitted on."""

import json

import numpy as np
import pytest

from foretwin.predictor.rul_intervals import SMALLEST_GROUP, JudgedCuts, RulIntervals

CAP = 125.0


def world(count: int, seed: int, bias: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and capped truths; the error grows with the life that is left, and leans to one side."""
    generator = np.random.default_rng(seed)
    truth = generator.uniform(0, CAP, count)
    error = generator.gumbel(bias, 1 + 0.15 * truth)
    return np.clip(truth + error, 0, CAP), truth


@pytest.mark.parametrize("level", [0.6, 0.8, 0.9, 0.95])
def test_intervals_cover_the_promised_share_of_fresh_truths(level):
    covered = []
    for seed in range(10):
        calibration = RulIntervals.fit(*world(800, seed), level)
        predicted, truth = world(4000, 1000 + seed)
        low, high = calibration.interval(predicted, CAP)
        covered.append(np.mean((low <= truth) & (truth <= high)))
    assert level - 0.015 < np.mean(covered) < level + 0.04


def test_no_group_of_predictions_is_left_uncovered():
    calibration = RulIntervals.fit(*world(4000, 1), 0.9)
    predicted, truth = world(40_000, 2)
    low, high = calibration.interval(predicted, CAP)
    inside = (low <= truth) & (truth <= high)
    for left in np.arange(0, CAP, 25):
        group = (predicted >= left) & (predicted < left + 25)
        assert 0.85 < inside[group].mean() < 0.97, f"predictions from {left} on"


def test_intervals_are_sharper_near_the_end_of_life():
    calibration = RulIntervals.fit(*world(2000, 1), 0.9)
    low, high = calibration.interval(np.array([5.0, 80.0]), CAP)
    assert high[0] - low[0] < (high[1] - low[1]) / 2


def test_a_higher_level_gives_wider_intervals():
    rul = np.linspace(0, CAP, 50)
    narrow = RulIntervals.fit(*world(2000, 1), 0.7).interval(rul, CAP)
    wide = RulIntervals.fit(*world(2000, 1), 0.95).interval(rul, CAP)
    assert (wide[0] <= narrow[0]).all()
    assert (wide[1] >= narrow[1]).all()
    assert (wide[1] - wide[0]).mean() > (narrow[1] - narrow[0]).mean() + 5


@pytest.mark.parametrize("bias", [-60.0, 0.0, 60.0])
@pytest.mark.parametrize("count", [1, 2, 59, 500])
def test_an_interval_holds_its_prediction_and_stays_between_0_and_the_cap(bias, count):
    calibration = RulIntervals.fit(*world(count, 3, bias), 0.9)
    rul = np.linspace(0, CAP, 200)
    low, high = calibration.interval(rul, CAP)
    assert (low >= 0).all()
    assert (low <= rul).all()
    assert (rul <= high).all()
    assert (high <= CAP).all()


def test_a_quantile_is_the_one_that_the_finite_sample_asks_for():
    residual = np.arange(1.0, 21.0)  # 20 of them: (20 + 1) * 0.9 = 18.9, so the 19th
    calibration = RulIntervals.fit(np.full(20, 50.0), 50 + residual, 0.8)
    assert calibration.above == (19.0,)
    assert calibration.below == (-2.0,)  # the 19th of -20 ... -1
    low, high = calibration.interval(np.array([50.0]), CAP)
    assert (low, high) == (50, 69), "50 + 2 would leave the prediction outside"


def test_too_few_residuals_for_a_level_give_the_widest_of_them():
    calibration = RulIntervals.fit(np.full(5, 50.0), 50 + np.array([-3.0, -1, 0, 2, 4]), 0.95)
    assert (calibration.below, calibration.above) == ((3.0,), (4.0,))


def test_groups_are_never_smaller_than_a_quantile_needs():
    for count in (10, SMALLEST_GROUP * 2 - 1):
        assert len(RulIntervals.fit(*world(count, 1), 0.9).centres) == 1
    assert len(RulIntervals.fit(*world(SMALLEST_GROUP * 3, 1), 0.9).centres) == 3
    assert len(RulIntervals.fit(*world(100_000, 1), 0.9).centres) == 8


def test_predictions_that_stand_at_the_cap_make_one_group():
    generator = np.random.default_rng(1)
    truth = generator.uniform(0, 400, 3000).clip(max=CAP)
    predicted = np.clip(truth + generator.normal(0, 8, 3000), 0, CAP)
    predicted[truth == CAP] = CAP
    calibration = RulIntervals.fit(predicted, truth, 0.9)
    assert (np.diff(calibration.centres) > 0).all()
    assert calibration.centres[-1] == CAP
    low, _ = calibration.interval(np.array([CAP]), CAP)
    at_cap = truth[predicted == CAP]
    assert np.mean(at_cap >= low[0]) >= 0.95, "nearly all of the machines that seem new"
    assert np.isfinite(calibration.interval(np.linspace(0, CAP, 999), CAP)).all()


def test_offsets_are_interpolated_between_groups_and_kept_beyond_them():
    calibration = RulIntervals(0.9, (20.0, 40.0), (2.0, 6.0), (1.0, 3.0))
    low, high = calibration.interval(np.array([10.0, 20.0, 30.0, 40.0, 90.0]), CAP)
    assert low.tolist() == [8, 18, 26, 34, 84]
    assert high.tolist() == [11, 21, 32, 43, 93]


def test_a_calibration_comes_back_from_json_unchanged():
    calibration = RulIntervals.fit(*world(500, 1), 0.9)
    assert RulIntervals.from_dict(json.loads(json.dumps(calibration.to_dict()))) == calibration


def test_the_order_of_residuals_does_not_matter():
    predicted, truth = world(500, 1)
    order = np.random.default_rng(1).permutation(500)
    assert RulIntervals.fit(predicted[order], truth[order], 0.9) == RulIntervals.fit(predicted, truth, 0.9)


def fleet(assets: int, seed: int, cuts: int = 10) -> JudgedCuts:
    """Cuts of machines that each have a bias of their own, of which a third of the truths are at the cap."""
    generator = np.random.default_rng(seed)
    name = np.repeat(np.arange(assets), cuts)
    truth = np.minimum(generator.uniform(0, 1.5 * CAP, assets * cuts), CAP)
    error = generator.normal(0, 6, assets)[name] + generator.normal(0, 3 + 0.08 * truth)
    return JudgedCuts(np.clip(truth + error, 0, CAP), truth, name, name % 5, CAP)


def missed(calibration: RulIntervals, cuts: JudgedCuts) -> tuple[float, float]:
    """Shares of the truths below the cap that lie before the interval, and outside it."""
    low, high = calibration.interval(cuts.predicted, CAP)
    below = cuts.truth < CAP
    early, late = (cuts.truth < low)[below], (cuts.truth > high)[below]
    return float(early.mean()), float((early | late).mean())


def test_a_blend_s_interval_covers_truths_below_the_cap_and_failures_before_it_are_rare():
    early, outside = np.mean(
        [missed(RulIntervals.fit_by_asset(fleet(90, seed), 0.9), fleet(400, 100 + seed)) for seed in range(8)], axis=0
    )
    assert early < 0.05
    assert 0.06 < outside < 0.105, "as few as asked for, and not by being wide"


def test_with_too_few_machines_for_a_level_no_past_failure_lies_before_the_interval():
    cuts = fleet(9, 1)
    low, _ = RulIntervals.fit_by_asset(cuts, 0.9).interval(cuts.predicted, CAP)
    assert (cuts.truth[cuts.truth < CAP] < low[cuts.truth < CAP]).mean() < 0.03


def test_a_machine_with_many_cuts_counts_no_more_than_another():
    cuts = fleet(60, 1)
    many = np.concatenate([np.arange(len(cuts.truth)), np.repeat(np.flatnonzero(cuts.assets == 0), 50)])
    heavy = JudgedCuts(*(part[many] for part in (cuts.predicted, cuts.truth, cuts.assets, cuts.folds)), CAP)
    rul = np.linspace(0, CAP, 20)
    one, other = (
        np.subtract(*RulIntervals.fit_by_asset(found, 0.9).interval(rul, CAP)[::-1]) for found in (cuts, heavy)
    )
    assert abs(one.mean() - other.mean()) < 0.25 * one.mean()
