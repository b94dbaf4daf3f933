"""What is refused, and of what a score warns, by the guards of every door."""

import numpy as np
import pytest

from foretwin.errors import BadInput
from foretwin.predictor.guards import TOO_OLD, age_warnings, check_rows, find_refusal, pace_warnings
from foretwin.predictor.inputs import read_frame
from support.tiny_bundle import random_rows, tiny_twin

TWIN = tiny_twin()  # hourly, windows of 8 rows, channels within -1000 and 1000


def inputs(times, **cells):
    rows = random_rows(TWIN, {"A": 3, "B": len(times)})
    rows.loc[rows["asset"] == "B", "time"] = np.asarray(times, float)
    for name, value in cells.items():
        rows.loc[rows.index[-1], name] = value
    return read_frame(rows, TWIN)


@pytest.mark.parametrize(
    ("times", "cells", "said"),
    [
        ([1, 2, 3], {"c1": -1001}, "c1: is -1001 bar, outside -1000 to 1000 (asset B in row 6)"),
        ([-1, 2, 3], {}, "time: is -1, before the run began (asset B in row 4)"),
        ([60, 120, 180], {}, "time: usually advances by 60, 1 is this twin's step: times are in h (asset B)"),
        ([1 / 60, 2 / 60, 3 / 60], {}, "time: usually advances by 0.0166667, 1 is"),
    ],
)
def test_what_is_no_reading_of_the_machine_is_refused(times, cells, said):
    with pytest.raises(BadInput) as refused:
        check_rows(inputs(times, **cells), TWIN)
    assert said in str(refused.value)


def test_a_limit_itself_and_two_rows_far_apart_are_taken():
    check_rows(inputs([1, 2, 3], c1=1000), TWIN)
    check_rows(inputs([1, 5000]), TWIN)
    check_rows(inputs([1, 2, 3, 5000]), TWIN)
    check_rows(inputs([1, 2, 5000]), TWIN)


def test_two_spellings_of_one_machine_are_refused_by_both_names():
    rows = random_rows(TWIN, {"M-1": 3, "other": 3, "m-1": 3})
    refused = find_refusal(read_frame(rows, TWIN), TWIN)
    assert (refused.place, refused.field) == (2, "asset")
    assert "'M-1'" in refused.detail


@pytest.mark.parametrize(
    ("times", "warned"),
    [
        (np.arange(1, 9), []),
        (np.arange(1, 9) + np.linspace(0, 0.4, 8), []),
        (np.arange(1, 9) / 6, ["cadence: 0.167 h between readings, the model learnt from 1 h"]),
        (np.arange(1, 9) * 4, ["cadence: 4 h between readings, the model learnt from 1 h"]),
        ([1, 2, 3, 4, 2164, 2165, 2166, 2167], ["standstill: 2160 h without a reading in the window"]),
        ([1, 2, 3, 6, 7, 10, 11, 12], ["window_coverage: 8 of 12 steps have a reading"]),
        (
            [1, 2, 3, 6, 100, 101, 102, 105],
            ["standstill: 94 h without a reading in the window", "window_coverage: 8 of 12 steps have a reading"],
        ),
        ([0, 2000, *range(2001, 2009)], []),  # before the window nothing counts
        ([7], []),
    ],
)
def test_a_window_of_another_pace_is_warned_of(times, warned):
    assert pace_warnings(inputs(times), TWIN) == [[], warned]


def test_an_age_that_no_machine_reached_in_training_is_warned_of_where_age_is_an_input():
    tracks = inputs([41, 42, 43])
    assert age_warnings(tracks, TWIN, 42.5) == [[], [TOO_OLD]]
    assert age_warnings(tracks, TWIN, 43) == age_warnings(tracks, TWIN, None) == [[], []]
    ageless = TWIN.model_copy(update={"clock": TWIN.clock.model_copy(update={"counts_from_start": False})})
    assert age_warnings(tracks, ageless, 1) == [[], []]


def test_a_reading_again_with_a_rounded_time_is_refused():
    with pytest.raises(BadInput, match=r"time: is 3.0000001, does not increase on the one before, 3, but for rounding"):
        check_rows(inputs([2, 3, 3.0000001]), TWIN)
