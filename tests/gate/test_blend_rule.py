"""A blend at the gate: against its candidates on every question, and what users are told of it."""

from dataclasses import replace

import numpy as np
import pytest

from foretwin.contract.lead_times import longest_lead_time
from foretwin.evaluation.held_out import HeldOut, Predictions, Truth
from foretwin.evaluation.resampling import Resamples
from foretwin.gate import Check, candidate_checks, slowdown_check
from foretwin.metrics import macro_f1
from support.held_out_windows import ASSETS, BEARING, COUNT, HELD_OUT, MODE, PARAMS, RUL, SIGNS, TWIN, WINDOWS, said


def told(rmse: float, wrong: int = 0, silent: int = 0) -> Predictions:
    """As `said`, with answers that are given but in every `silent`-th window."""
    found = said(rmse, wrong)
    quiet = np.arange(COUNT) % silent == 0 if silent else np.zeros(COUNT, bool)
    answers = {axis: np.where(quiet, -1, classes) for axis, classes in found.faults.items()}
    return replace(found, answers=answers, confidence=0.9)


def checked(blend: Predictions, held_out: HeldOut = HELD_OUT, **parts: Predictions) -> list[Check]:
    return candidate_checks(TWIN, held_out, blend, parts, PARAMS)


def failed(checks: list[Check]) -> list[str]:
    return [check.sentence for check in checks if not check.passed]


def test_a_bundle_that_is_no_blend_has_no_candidates_to_be_compared_with():
    assert checked(told(10)) == []


def test_a_blend_better_than_its_candidates_passes_and_names_the_best_of_them():
    checks = checked(told(9), trees=told(10, 5), linear=told(20))
    assert failed(checks) == []
    rul = checks[0].sentence
    assert rul.startswith("RUL RMSE 9 h: surely better than that of the best of 2 candidates, trees, 10 h")
    assert [check.name for check in checks].count("candidates") == 3, "RUL and both axes; no truth is late in life"


@pytest.mark.parametrize(
    ("part", "question"),
    [(told(9), "RUL RMSE 10 h"), (told(12), "macro-F1 of the answers about mode")],
)
def test_a_blend_that_is_surely_worse_than_a_candidate_on_one_question_is_refused(part, question):
    checks = checked(told(10, wrong=4), trees=part, linear=told(20, 3))
    (sentence,) = [one for one in failed(checks) if one.startswith(question)]
    assert "is surely worse than that of its candidate trees" in sentence


def test_a_candidate_that_is_better_by_chance_does_not_stand_in_the_way():
    noise = np.random.default_rng(3).normal(0, 10, (2, ASSETS)).repeat(WINDOWS, axis=1)
    better, worse = (replace(told(10), rul=RUL + part) for part in sorted(noise, key=lambda part: float(part @ part)))
    wide = replace(worse, low=np.zeros(COUNT), high=np.full(COUNT, 100.0))
    checks = checked(wide, trees=better)
    assert failed(checks) == []
    assert "not surely different" in checks[0].sentence


def test_so_few_machines_that_every_resample_says_the_same_decide_nothing():
    few = HeldOut(HELD_OUT.truth, np.repeat(["a0", "a1"], COUNT // 2), HELD_OUT.regimes)
    (check,) = checked(told(10), few, trees=told(9))
    assert check.passed
    assert check.sentence.startswith("2 held-out machines are too few")
    late = np.where(np.arange(COUNT) < 4 * WINDOWS, longest_lead_time(TWIN) / 6, RUL)  # of four machines
    truth = Truth(late, {"mode": MODE, "bearing": BEARING}, np.full(COUNT, ""))
    blend, part = (replace(told(1), rul=late + error) for error in (3 * SIGNS, 2 * SIGNS))
    some = HeldOut(truth, HELD_OUT.assets, HELD_OUT.regimes)
    assert not any("in the last" in check.sentence for check in checked(blend, some, trees=part))


def test_the_last_third_of_the_lead_time_is_a_question_of_its_own():
    last = longest_lead_time(TWIN) / 3
    rul = np.where(np.arange(COUNT) % 6 == 0, last / 2, RUL)
    held_out = HeldOut(
        Truth(rul, {"mode": MODE, "bearing": BEARING}, np.full(COUNT, "")), HELD_OUT.assets, HELD_OUT.regimes
    )
    late = rul <= last
    blend = replace(told(1), rul=np.where(late, rul + 6, rul + SIGNS))
    part = replace(told(1), rul=np.where(late, rul + 5, rul + 9 * SIGNS))
    (sentence,) = failed([one for one in checked(blend, held_out, trees=part) if one.name == "candidates"])
    assert sentence.startswith(
        f"RUL RMSE in the last {last:g} h 6 h is surely worse than that of its candidate trees, 5 h"
    )


def test_the_answers_given_are_judged_and_not_the_most_probable_class():
    silent = told(10, wrong=2, silent=2)  # wrong exactly where nothing is said
    talkative = told(10, wrong=2)
    assert not any("answers about mode are right" in one for one in failed(checked(silent, linear=told(20, 2))))
    (sentence,) = [one for one in failed(checked(talkative, linear=told(20, 2))) if "are right" in one]
    assert sentence.startswith("50 % of the answers about mode are right, 90 % are asked for: surely fewer")


def test_an_axis_with_hardly_an_answer_is_told_as_not_learnt_and_not_compared():
    quiet = replace(told(10), answers={"mode": np.full(COUNT, -1), "bearing": BEARING})
    checks = checked(quiet, trees=told(10))
    assert failed(checks) == []
    (sentence,) = [check.sentence for check in checks if "not learnt" in check.sentence]
    assert sentence == "axis mode is not learnt: too few of its windows get an answer, which is 0 % of them"


def test_misses_below_the_cap_and_failures_before_the_interval_are_held_against_the_level():
    low = np.where(np.arange(COUNT) % 5 == 0, RUL + 1, RUL - 20)
    checks = checked(replace(told(10), low=low, high=RUL + 30), trees=told(10))
    sentences = [check.sentence for check in checks if check.name == "interval"]
    assert sentences == [
        "20 % of the truths below the cap are outside the interval, 10 % are meant to: surely more",
        "20 % of the failures come before the interval, 5 % are meant to: surely more",
    ]
    assert len(failed(checks)) == 2


def test_the_macro_f1_of_answers_is_that_of_the_metric_in_each_resample():
    given = np.where(np.arange(COUNT) % 3 == 0, -1, MODE)
    resamples = Resamples(HELD_OUT.assets)
    drawn = resamples.macro_f1(given, MODE, 3)
    places = np.random.default_rng(1).multinomial(ASSETS, np.full(ASSETS, 1 / ASSETS), size=1)[0]
    names = np.unique(HELD_OUT.assets)
    chosen = np.concatenate(
        [np.repeat(np.flatnonzero(HELD_OUT.assets == n), k) for n, k in zip(names, places, strict=True)]
    )
    assert drawn[0] == pytest.approx(macro_f1(given[chosen], MODE[chosen], 3))
    assert macro_f1(given, MODE, 3) < 1


def test_a_blend_that_takes_more_than_three_times_as_long_as_its_network_is_refused():
    assert slowdown_check({1: (1.6, 1.0), 256: (2.9, 90.0)}, PARAMS).passed
    slow = slowdown_check({1: (1.6, 1.0), 256: (3.1, 90.0)}, PARAMS)
    assert not slow.passed
    assert slow.sentence.startswith("the blend takes 1.6 times as long as its network for 1 window, 3.1 times for 256")


def test_a_blend_beside_a_tiny_network_may_take_the_time_that_one_window_may():
    quick = slowdown_check({1: (1.6, 1.0), 256: (9.0, 49.0)}, PARAMS)
    assert quick.passed
    assert "9.0 times for 256, in 49.0 ms" in quick.sentence
    assert not slowdown_check({1: (1.6, 1.0), 256: (9.0, 51.0)}, PARAMS).passed
