"""Fault probabilities that hold what they promise, and answers only where they are right often enough."""

import json

import numpy as np
import pytest

from foretwin.metrics import accuracy, calibration_error, negative_log_likelihood
from foretwin.predictor.fault_calibration import FaultCalibration, JudgedClasses


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def world(distortion: float, count: int, seed: int = 1, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities whose logits are `distortion` times too large, and truths drawn from the honest ones."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 1.5, (count, classes))
    honest = softmax(logits)
    truth = (honest.cumsum(axis=1) < generator.random((count, 1))).sum(axis=1)
    return softmax(logits * distortion), truth


def of_two(*confidences: float) -> np.ndarray:
    """(N, 2) where class 0 is the answer, with these confidences."""
    return np.array([[confidence, 1 - confidence] for confidence in confidences])


@pytest.mark.parametrize("distortion", [0.5, 1.0, 2.5])
def test_the_temperature_is_the_distortion_of_the_logits(distortion):
    fitted = FaultCalibration.fit(*world(distortion, 20_000), 0.9)
    assert fitted.temperature == pytest.approx(distortion, rel=0.05)


def test_fresh_probabilities_are_honest_after_calibration():
    fitted = FaultCalibration.fit(*world(3.0, 4000, seed=1), 0.9)
    said, truth = world(3.0, 20_000, seed=2)
    calibrated = fitted.apply(said)
    assert calibration_error(said, truth) > 0.1
    assert calibration_error(calibrated, truth) < 0.02
    assert negative_log_likelihood(calibrated, truth) < negative_log_likelihood(said, truth) - 0.1


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("count", [1, 2, 5, 50])
def test_what_it_was_fitted_on_is_never_less_likely_than_without_it(seed, count):
    said, truth = world(np.random.default_rng(seed).uniform(0.1, 6), count, seed)
    fitted = FaultCalibration.fit(said, truth, 0.9)
    assert negative_log_likelihood(fitted.apply(said), truth) <= negative_log_likelihood(said, truth) + 1e-12


def test_answers_that_are_all_right_do_not_make_it_certain():
    said = of_two(0.8, 0.9, 0.95)
    fitted = FaultCalibration.fit(said, np.zeros(3, int), 0.9)
    assert fitted.temperature == pytest.approx(0.25, rel=1e-3)
    assert fitted.threshold == 0
    assert FaultCalibration.fit(said, np.ones(3, int), 0.9).temperature == pytest.approx(4, rel=1e-3)


def test_where_no_temperature_is_likelier_there_is_none():
    assert FaultCalibration.fit(of_two(0.5, 0.5, 0.5), np.array([0, 1, 1]), 0.9).temperature == 1


def test_the_order_of_probabilities_stays_and_they_add_up_to_one():
    said, _ = world(1.0, 500)
    for temperature in (0.25, 1.0, 4.0):
        calibrated = FaultCalibration(temperature, 0, 0.9).apply(said.astype(np.float32))
        np.testing.assert_array_equal(calibrated.argsort(axis=1), said.argsort(axis=1))
        np.testing.assert_allclose(calibrated.sum(axis=1), 1, rtol=0, atol=1e-12)
    np.testing.assert_allclose(FaultCalibration(1.0, 0, 0.9).apply(said), said, rtol=0, atol=1e-12)
    np.testing.assert_allclose(FaultCalibration(2.0, 0, 0.9).apply(of_two(0.8)), of_two(2 / 3))  # sqrt(0.8 / 0.2) = 2


def test_a_probability_that_was_rounded_to_0_stays_a_number():
    said = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    fitted = FaultCalibration.fit(said, np.array([0, 1, 1]), 0.9)
    assert fitted.temperature == pytest.approx(4, rel=1e-3), "a certain answer was wrong"
    np.testing.assert_allclose(fitted.apply(said), said, rtol=0, atol=1e-9)
    np.testing.assert_allclose(FaultCalibration(0.25, 0, 0.9).apply(said), said, rtol=0, atol=1e-9)


@pytest.mark.parametrize("level", [0.7, 0.9, 0.95])
def test_the_answers_given_are_right_as_often_as_asked_for_on_fresh_machines(level):
    fitted = FaultCalibration.fit(*world(2.0, 4000, seed=1), level)
    said, truth = world(2.0, 20_000, seed=2)
    answers = fitted.answer(fitted.apply(said))
    given = answers >= 0
    assert accuracy(said.argmax(axis=1), truth) < level, "without a threshold it would be missed"
    assert accuracy(answers[given], truth[given]) == pytest.approx(level, abs=0.02)
    assert 0.1 < given.mean() < 0.99


@pytest.mark.parametrize(
    ("confidences", "right", "level", "lowest"),
    [
        ([0.9, 0.8, 0.7, 0.6], [1, 1, 1, 1], 0.9, 0.0),  # all together reach it
        ([0.9, 0.8, 0.7, 0.6], [1, 1, 1, 0], 0.75, 0.0),
        ([0.9, 0.8, 0.7, 0.6], [1, 1, 1, 0], 0.76, 0.7),
        ([0.6, 0.7, 0.9, 0.8], [0, 1, 1, 1], 0.76, 0.7),  # whatever the order of the cuts
        ([0.9, 0.8, 0.7, 0.6], [0, 1, 1, 0], 0.6, 0.7),  # a wrong answer on top is made up for below
        ([0.9, 0.8, 0.7, 0.7], [1, 1, 1, 0], 0.9, 0.8),  # equal confidences are answered together or not at all
        ([0.9, 0.8, 0.7, 0.6], [0, 1, 0, 0], 0.9, 0.9),  # never reached: the most confident tenth
        ([0.9 - i / 100 for i in range(40)], [0] * 40, 0.9, 0.87),
        ([0.9 - i / 100 for i in range(40)], [1] * 3 + [0] * 37, 0.9, 0.87),  # reached by fewer than a tenth
        ([0.9 - i / 100 for i in range(40)], [1] * 4 + [0] * 36, 0.9, 0.87),
        ([0.9 - i / 100 for i in range(40)], [1] * 6 + [0] * 34, 0.9, 0.85),
        ([0.9], [0], 0.9, 0.9),
    ],
)
def test_the_threshold_is_the_lowest_confidence_whose_answers_are_right_often_enough(confidences, right, level, lowest):
    said, truth = of_two(*confidences), 1 - np.array(right)
    fitted = FaultCalibration.fit(said, truth, level)
    # The temperature moves the confidences, so the threshold is told by the answers that it lets through.
    assert (fitted.answer(fitted.apply(said)) >= 0).tolist() == [confidence >= lowest for confidence in confidences]
    assert (fitted.threshold == 0) == (lowest == 0)


def test_at_the_threshold_it_is_answered_and_below_it_is_not():
    calibration = FaultCalibration(1.0, 0.75, 0.9)
    assert calibration.answer(np.array([[0.2, 0.8], [0.75, 0.25], [0.74, 0.26]])).tolist() == [1, 0, -1]
    assert FaultCalibration(1.0, 0.0, 0.9).answer(np.array([[0.5, 0.5], [0.1, 0.9]])).tolist() == [0, 1]


def test_cuts_of_an_unknown_class_do_not_count():
    said, truth = world(2.0, 300)
    blind = np.where(np.arange(300) % 3 == 0, -1, truth)
    assert FaultCalibration.fit(said, blind, 0.9) == FaultCalibration.fit(said[blind >= 0], blind[blind >= 0], 0.9)
    assert FaultCalibration.fit(said, blind, 0.9) != FaultCalibration.fit(said, truth, 0.9)


@pytest.mark.parametrize("count", [0, 5])
def test_without_any_known_class_probabilities_stay_and_every_answer_is_given(count):
    said, truth = world(2.0, count)
    assert FaultCalibration.fit(said, np.full_like(truth, -1), 0.9) == FaultCalibration(1.0, 0.0, 0.9)


def test_a_calibration_comes_back_from_json_unchanged():
    fitted = FaultCalibration.fit(*world(2.0, 500), 0.9)
    assert 0 < fitted.threshold < 1
    assert FaultCalibration.from_dict(json.loads(json.dumps(fitted.to_dict()))) == fitted


def machines(assets: int, seed: int, right: float = 0.8) -> JudgedClasses:
    """Ten cuts each of machines whose class is seen `right` often, with a confidence that tells how well."""
    generator = np.random.default_rng(seed)
    name = np.repeat(np.arange(assets), 10)
    truth = generator.integers(0, 3, assets)[name]
    clear = generator.random(len(name)) < right
    seen = np.where(clear, truth, generator.integers(0, 3, len(name)))
    sure = np.where(clear, generator.uniform(0.7, 1, len(name)), generator.uniform(0.34, 0.8, len(name)))
    return JudgedClasses(np.eye(3)[seen] * (1.5 * sure - 0.5)[:, None] + (0.5 - 0.5 * sure)[:, None], truth, name)


def test_no_probability_is_surer_than_the_machines_allow():
    cuts = machines(30, 1, right=1.0)
    found = FaultCalibration.fit_by_asset(cuts, 0.9, 0.1)
    calibrated = found.apply(np.array([[1.0, 0.0, 0.0]]))
    assert calibrated.sum() == pytest.approx(1)
    assert 0.95 < calibrated.max() < 1 - 0.5 / 31
    assert FaultCalibration.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_the_answers_of_fresh_machines_are_as_often_right_as_asked_for():
    shares = []
    for seed in range(6):
        found = FaultCalibration.fit_by_asset(machines(60, seed), 0.9, 0.1)
        fresh = machines(300, 50 + seed)
        given = found.answer(found.apply(fresh.probabilities))
        shares.append([(given[given >= 0] == fresh.truth[given >= 0]).mean(), (given >= 0).mean()])
    right, answered = np.mean(shares, axis=0)
    assert right > 0.9
    assert answered > 0.5


def test_an_axis_about_which_nothing_can_be_said_with_confidence_gets_no_answer():
    cuts = machines(40, 1, right=0.0)
    found = FaultCalibration.fit_by_asset(cuts, 0.9, 0.1)
    assert not found.is_learnt
    assert (found.answer(found.apply(cuts.probabilities)) == -1).all()
    assert FaultCalibration.fit_by_asset(machines(40, 1), 0.9, 0.1).is_learnt
    unlabelled = JudgedClasses(cuts.probabilities, np.full(len(cuts.truth), -1), cuts.assets)
    assert not FaultCalibration.fit_by_asset(unlabelled, 0.9, 0.1).is_learnt


def test_without_shrinking_a_calibration_is_written_as_before():
    assert FaultCalibration(1.5, 0.4, 0.9).to_dict() == {"temperature": 1.5, "threshold": 0.4, "level": 0.9}


def two_classes(departed: list[float]) -> np.ndarray:
    return np.column_stack([1 - np.array(departed), departed])


def test_false_alarms_keep_to_their_budget_and_nothing_that_is_rather_normal_is_told():
    plain = FaultCalibration(1.0, 0.0, 0.9)
    normal = np.random.default_rng(4).beta(5, 2, 999)
    found = plain.within_budget(two_classes(normal), 0.01, 0.8)
    answers = found.answer(found.apply(two_classes(normal)))
    assert (answers == 1).sum() == 9, "one more, of which nothing is known, counts as an alarm"
    none = plain.within_budget(two_classes(normal), 1e-4, 0.8)
    assert (none.answer(none.apply(two_classes(normal))) == 1).sum() == 0, "too few cuts for such a share"
    calm = plain.within_budget(two_classes([0.1] * 50), 0.1, 0.8)
    told = calm.answer(calm.apply(two_classes([0.1, 0.3, 0.49, 0.51, 0.9])))
    assert told.tolist() == [0, 0, -1, 1, 1]
    assert FaultCalibration.from_dict(found.to_dict()) == found
    assert "shift" not in plain.to_dict()
