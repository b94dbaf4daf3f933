"""Values with times of their own on the clock's grid: each rule by hand, and no order or company changes anything."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretwin.contract.channels import Channel, Grid
from foretwin.dataset.grid import Samples, grid_rows

NAN = np.nan
RULES = {
    "held": Grid(take="last"),
    "aging": Grid(take="last", longest_age=2),
    "mean": Grid(take="mean"),
    "max": Grid(take="max"),
    "count": Grid(take="count"),
    "line": Grid(take="interpolate", longest_age=3),
    "plain": None,
}


def channel(grid):
    return Channel(unit="1", role="sensor", min=-1e9, max=1e9, grid=grid)


CHANNELS = {name: channel(grid) for name, grid in RULES.items()}
NAMES = list(CHANNELS)


def samples(*rows):
    """Samples (run, time, channel's name, value)."""
    run, time, name, value = zip(*rows, strict=True) if rows else ((), (), (), ())
    places = [NAMES.index(one) for one in name]
    return Samples(np.array(run, np.int64), np.array(time, float), np.array(places, np.int64), np.array(value, float))


def gridded(given_samples, step=1.0):
    """Return run -> step -> the channels that have a value."""
    found = grid_rows(given_samples, CHANNELS, step)
    table = {}
    for run, number, values in zip(found.run.tolist(), found.step.tolist(), found.values.tolist(), strict=True):
        table.setdefault(run, {})[number] = {
            n: v for n, v in zip(NAMES, values, strict=True) if not np.isnan(v) and (n, v) != ("count", 0)
        }
    return table


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(0, 0, "held", 5), (0, 0.5, "held", 6), (0, 3.2, "plain", 1)], {0: 5, 1: 6, 4: 6}),
        ([(0, 0, "aging", 5), (0, 1.5, "plain", 1), (0, 2.5, "plain", 1)], {0: 5, 2: 5}),
        ([(0, 0.1, "mean", 5), (0, 1, "mean", 6), (0, 1.1, "mean", 9)], {1: 5.5, 2: 9}),
        ([(0, 0.1, "max", 7), (0, 1, "max", 6), (0, 1.1, "max", -9)], {1: 7, 2: -9}),
        ([(0, 0.1, "count", 7), (0, 1, "count", 6), (0, 1.1, "count", 0)], {1: 2, 2: 1}),
        ([(0, 0.5, "line", 1), (0, 2.5, "line", 3), (0, 1, "plain", 0), (0, 2, "plain", 0)], {1: 1.5, 2: 2.5}),
        ([(0, 0, "line", 1), (0, 3.5, "line", 3), (0, 1, "plain", 0)], {0: 1}),
        ([(0, 0.2, "plain", 1), (0, 0.9, "plain", 2), (0, 2.5, "held", 1)], {1: 2}),
    ],
    ids=["held", "too old", "mean", "max", "count", "line", "line over a gap", "without a rule"],
)
def test_each_rule_by_hand(rows, expected):
    asked = rows[0][2]
    found = {number: values[asked] for number, values in gridded(samples(*rows))[0].items() if asked in values}
    assert found == pytest.approx(expected)


def test_a_gap_has_no_rows_and_runs_do_not_see_each_other():
    table = gridded(samples((0, 0, "held", 5), (0, 900, "plain", 1), (1, 900, "plain", 2)))
    assert {run: list(rows) for run, rows in table.items()} == {0: [0, 900], 1: [900]}
    assert table[0][900] == {"held": 5, "plain": 1}
    assert table[1][900] == {"plain": 2}


def test_a_time_that_is_its_row_s_but_for_rounding_belongs_to_it():
    table = gridded(samples((0, 0.1 + 0.2, "plain", 1), (0, 0.6, "plain", 2)), step=0.1)
    assert list(table[0]) == [3, 6]


def test_of_two_values_at_one_time_the_later_counts():
    found = gridded(samples((0, 1, "count", 4), (0, 1, "mean", 1), (0, 1, "mean", 3), (0, 1, "count", 5)))
    assert found[0][1] == {"count": 1, "mean": 3}


TIMES = st.floats(0, 30).map(lambda time: round(time, 2))
TAGGED = st.tuples(st.integers(0, 2), TIMES, st.sampled_from(NAMES), st.floats(-100, 100).map(lambda v: round(v, 1)))


@given(st.lists(TAGGED, min_size=1, unique_by=lambda row: row[:3]), st.randoms(use_true_random=False))
def test_neither_order_nor_other_runs_change_a_row(rows, chance):
    shuffled = list(rows)
    chance.shuffle(shuffled)
    assert gridded(samples(*shuffled)) == gridded(samples(*rows))
    mine = rows[0][0]
    assert gridded(samples(*(row for row in rows if row[0] == mine)))[mine] == gridded(samples(*rows))[mine]
