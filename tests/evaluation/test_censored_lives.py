"""The Kaplan-Meier estimate against figures worked by hand, and against lives all of which are known."""

import numpy as np
import pytest

from foretwin.evaluation.censored_lives import KaplanMeier


def test_a_censored_life_counts_until_it_is_no_longer_followed():
    # 6 lives; 1 - 1/6 after 3 h; one is lost at 4 h; 1 - 1/4 after 5 h; at 7 h one of 3 ends and one is lost
    found = KaplanMeier.of(np.array([3.0, 4, 5, 7, 7, 9]), np.array([True, False, True, True, False, False]))
    expected = [1, 5 / 6, 5 / 6, 5 / 6 * 3 / 4, 5 / 6 * 3 / 4 * 2 / 3, 5 / 6 * 3 / 4 * 2 / 3]
    assert found.survives(np.array([2.9, 3, 4.5, 5, 7, 100])) == pytest.approx(expected)


def test_the_mean_of_what_is_left_is_that_of_the_lives_up_to_the_cap():
    ends = np.random.default_rng(1).uniform(10, 200, 5000)
    found = KaplanMeier.of(ends, np.ones(len(ends), bool))
    for age in (0.0, 50.0, 150.0):
        left = np.minimum(ends[ends > age] - age, 80)
        assert found.mean_left(np.array([age]), 80) == pytest.approx([left.mean()], abs=0.5)
    assert found.mean_left(np.array([300.0]), 80) == pytest.approx([0])
