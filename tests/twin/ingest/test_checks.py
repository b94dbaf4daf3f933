"""Checks of decoded readings: limits, runs and clocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretwin.contract.twin import Twin
from foretwin.twin.ingest.checks import (
    FARTHEST_FIRST,
    find_impossible,
    follow_clock,
    follow_runs,
    runs_ahead,
)
from foretwin.wire.readings import Readings
from foretwin.wire.values import LARGEST_RUN
from support.tiny_bundle import tiny_twin

TWIN = tiny_twin()
NONE = float("nan")


def with_clock(**changes) -> Twin:
    content = TWIN.model_dump()
    return Twin.model_validate(content | {"clock": content["clock"] | changes})


def readings(times, values) -> Readings:
    count = len(times)
    numbers = np.array(values, np.float32).reshape(count, 3)
    keys = np.zeros(count, np.int64), np.full(count, -1), np.array(times, float)
    return Readings("pump", TWIN.channel_names, *keys, numbers, ("a",))


def course(times, newest=NONE, contract: Twin = TWIN, check: bool = True):
    return follow_clock(np.zeros(len(times), np.intp), np.array(times, float), np.array([newest]), contract, check)


def test_a_value_at_a_limit_is_inside_and_beyond_it_outside():
    faults = find_impossible(readings([1, 2, 3], [[1000, -1000, 0], [0, 1000.1, 0], [0, 0, -2000]]), TWIN)
    assert [(fault.row, fault.field, fault.reason) for fault in faults] == [
        (1, "channels.c1", "range"),
        (2, "channels.c2", "range"),
    ]
    assert "outside -1000 to 1000" in faults[0].detail


def test_a_limit_that_float32_does_not_know_is_inside():
    content = TWIN.model_dump()
    content["channels"]["c1"] |= {"min": -0.1, "max": 0.1}
    narrow = Twin.model_validate(content)
    assert find_impossible(readings([1, 2], [[0, 0.1, 0], [0, -0.1, 0]]), narrow) == []


def test_a_time_below_zero_is_out_of_order():
    faults = find_impossible(readings([-1, 0], np.zeros((2, 3))), TWIN)
    assert [(fault.row, fault.field, fault.reason) for fault in faults] == [(0, "time", "order")]


@pytest.mark.parametrize(
    ("said", "present", "unread", "run", "before"),
    [
        ([-1, -1], 4, False, [4, 4], [4, 4]),
        ([-1, 5, -1, 4, -1], 4, False, [4, 5, 5, 4, 5], [4, 4, 5, 5, 5]),
        ([0, -1, 1], 1, True, [0, 0, 1], [0, 0, 0]),
        ([0, -1], 1, False, [0, 1], [1, 1]),
        ([-1, 0], 1, True, [1, 0], [1, 1]),
        ([7], 1, True, [7], [1]),
    ],
)
def test_a_higher_run_begins_and_a_reading_without_one_is_of_the_present(said, present, unread, run, before):
    asset = np.zeros(len(said), np.intp)
    runs = follow_runs(asset, np.array(said), np.array([present]), np.array([unread]), LARGEST_RUN)
    assert runs.run.tolist() == run
    assert runs.present.tolist() == before
    assert not runs.refused.any()


def test_runs_of_several_assets_do_not_mix():
    said, asset = np.array([2, -1, 5, -1, -1]), np.array([0, 1, 1, 0, 1])
    runs = follow_runs(asset, said, np.array([1, 3]), np.array([False, False]), 2)
    assert runs.run.tolist() == [2, 3, 5, 2, 5]


@pytest.mark.parametrize(
    ("said", "unread", "ahead", "refused", "present"),
    [
        ([5, 4, -1], False, 0, [True, False, False], 4),
        ([6, 5, 6, 7], False, 1, [True, False, False, False], 7),
        ([6, -1], False, 1, [True, False], 4),
        ([FARTHEST_FIRST + 1, 9, 8, 10], True, 0, [True, False, False, True], 9),
        ([-1, 5], True, 0, [False, True], 4),
        ([FARTHEST_FIRST, 2**31 - 1], True, 0, [False, True], FARTHEST_FIRST),
    ],
)
def test_a_run_that_its_sender_may_not_begin_is_refused_and_moves_nothing(said, unread, ahead, refused, present):
    asset = np.zeros(len(said) + 1, np.intp)
    runs = follow_runs(asset, np.array([*said, -1]), np.array([4]), np.array([unread]), ahead)
    assert runs.refused.tolist() == [*refused, False]
    assert runs.run[-1] == present


@pytest.mark.parametrize(
    ("begins", "by", "ahead"),
    [("any", "orders", LARGEST_RUN), ("next", "orders", 0), ("next", "readings", 1), ("none", "readings", 0)],
)
def test_a_machine_begins_its_next_run_only_where_the_contract_lets_it(begins, by, ahead):
    content = TWIN.model_dump() | {"runs": {"begin_by": by}}
    assert runs_ahead(begins, Twin.model_validate(content)) == ahead


def test_older_than_the_newest_is_late_and_the_same_time_is_not():
    assert course([1, 3, 2, 3, 4], newest=2).is_late.tolist() == [True, False, True, False, False]
    assert course([5, 4]).is_late.tolist() == [False, True]


def test_steps_left_out_are_counted_forward_only():
    assert course([1, 2.5, 4.1, 2, 8], newest=0).missing.tolist() == [0, 0, 1, 0, 3]
    assert course([50]).missing.tolist() == [0]
    half = with_clock(step=0.5)
    assert course([0.5, 1.5], newest=0, contract=half).missing.tolist() == [0, 1]


def test_a_clock_that_jumps_is_told_and_does_not_move_those_after_it():
    jumpy = with_clock(longest_gap=10)
    found = course([1, 50, 55, 11, 12, 22.5], newest=0, contract=jumpy)
    assert found.jumped.tolist() == [False, True, True, False, False, True]
    assert found.before.tolist() == [0, 1, 1, 1, 11, 12]
    assert course([50, 61], contract=jumpy).jumped.tolist() == [False, True]


def test_without_the_check_no_clock_jumps_and_the_jump_leaves_nothing_out():
    found = course([50, 51], newest=0, contract=with_clock(longest_gap=10), check=False)
    assert found.jumped.tolist() == [False, False]
    assert found.missing.tolist() == [0, 0]
    assert found.before.tolist() == [0, 50]


def test_a_contract_without_a_longest_gap_allows_a_thousand_steps():
    assert with_clock(step=0.5).clock.longest_jump == 500
    assert with_clock(longest_gap=3).clock.longest_jump == 3


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0.0, 1, 2, 5, 9, 14, 40, 41])), max_size=12),
    newest=st.tuples(*[st.sampled_from([NONE, 0.0, 4.5, 30.0])] * 3),
)
def test_all_at_once_is_one_after_the_other(rows, newest):
    contract = with_clock(longest_gap=10)
    group = np.array([of for of, _ in rows], np.intp)
    found = follow_clock(group, np.array([time for _, time in rows]), np.array(newest), contract, check=True)
    known = list(newest)
    for i, (of, time) in enumerate(rows):
        jumped = time - known[of] > 10
        assert found.jumped[i] == jumped
        assert found.is_late[i] == (time < known[of])
        assert found.before[i] == known[of] or (np.isnan(found.before[i]) and np.isnan(known[of]))
        if not jumped:
            known[of] = time if np.isnan(known[of]) else max(known[of], time)
