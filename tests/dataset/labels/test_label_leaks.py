"""Channels that are made from the label, or only count time, and labels that the row number tells."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretwin.dataset.labels.label_leaks import best_f1_of_rank, counts_life, stands_for_classes


def lives(seed: int, count: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Time, RUL and run of lives of different length."""
    lengths = np.random.default_rng(seed).integers(30, 90, count)
    time = np.concatenate([np.arange(length) for length in lengths]).astype(float)
    run = np.repeat(np.arange(count), lengths)
    return time, lengths[run] - 1 - time, run


MADE = {
    "cycles left": lambda time, rul, run: rul,
    "share of life": lambda time, rul, run: np.round(100 * time / (time + rul), 1),
    "share of life, squared": lambda time, rul, run: (time / (time + rul)) ** 2,
    "age": lambda time, rul, run: time + 1000 * run,
    "row number": lambda time, rul, run: np.arange(len(time)),
    "life left, squared": lambda time, rul, run: rul**2,
}


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("seed", range(3))
def test_what_counts_the_life_is_found(kind, seed):
    time, rul, run = lives(seed)
    assert counts_life(MADE[kind](time, rul, run).astype(np.float32), time, rul, run)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.01, 0.3), st.integers(0, 1000))
def test_wear_with_noise_is_an_honest_sensor(noise, seed):
    time, rul, run = lives(seed)
    generator = np.random.default_rng(seed)
    rate, start = generator.uniform(0.5, 1.5, 8)[run], generator.uniform(0, 0.3, 8)[run]
    wear = start + rate * (time / (time + rul)) ** 2 + noise * generator.normal(size=len(time))
    assert not counts_life(wear, time, rul, run)


def test_an_age_is_found_where_no_life_is_known_and_a_constant_is_none():
    time, rul, run = lives(1)
    assert counts_life(time, time, np.full(len(time), np.nan), run)
    assert not counts_life(np.ones(len(time)), time, rul, run)
    assert not counts_life(np.empty(0), np.empty(0), np.empty(0), np.empty(0, int))


def test_a_stand_in_for_the_label_is_found():
    classes = np.repeat([0, 1, 2, -1], 20)
    assert stands_for_classes(np.repeat([5.0, 7.0, 9.0, 1.0], 20), classes)
    assert not stands_for_classes(np.repeat([5.0, 7.0, 7.0, 1.0], 20), classes)
    assert not stands_for_classes(np.random.default_rng(1).normal(size=80), classes)


def told_by(rank, truth):
    return best_f1_of_rank(np.bincount(rank), np.bincount(rank[truth], minlength=rank.max() + 1))


@pytest.mark.parametrize(("onset", "expected"), [(160, 1.0), (40, 1.0)])
def test_labels_that_begin_at_one_row_of_every_run_are_told_by_the_row_number(onset, expected):
    rank = np.tile(np.arange(200), 5)
    best, always = told_by(rank, rank >= onset)
    assert (best, always) == (expected, pytest.approx(2 * (200 - onset) / (400 - onset)))
    assert told_by(rank, rank < onset)[0] == expected


def test_labels_without_order_are_not_told_by_the_row_number():
    rank, truth = np.tile(np.arange(200), 5), np.random.default_rng(1).random(1000) < 0.3
    best, always = told_by(rank, truth)
    assert best < always + 0.05
    assert told_by(rank, np.zeros(1000, bool)) == (0, 0)
