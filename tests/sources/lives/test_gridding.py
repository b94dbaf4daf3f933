"""Irregular tables on the clock's grid: labels move with the rows, and other contracts read as ever."""

import numpy as np
import pandas as pd
import pytest

from foretwin.contract.twin import Twin
from support.written_table import adapted

REMEDY = {"part": "ram", "instruction": "replace it", "lead_time": 1}
AXIS = {"title": "Mode", "classes": {"healthy": None, "worn": REMEDY}}


def twin(channels, **source) -> Twin:
    fields = {"unit": "1", "role": "sensor", "min": -1e6, "max": 1e6}
    return Twin.model_validate(
        {
            "name": "press",
            "title": "Press",
            "source": {"kind": "table", "path": "press.csv", "asset": "machine", "time": "hour"} | source,
            "clock": {"unit": "h", "step": 1},
            "channels": {name: fields | more for name, more in channels.items()},
            "rul": {"cap": 10, "remedy": REMEDY},
            "faults": {"mode": AXIS} if "faults" in source else {},
            "window": {"length": 10},
        }
    )


def read(tmp_path, contract, text) -> pd.DataFrame:
    (tmp_path / "press.csv").write_text(text)
    return adapted(contract, tmp_path, tmp_path / "raw")


LABELLED = """machine,hour,force,heat,failed,state
a,0,1,,0,0
a,0.4,2,,0,0
a,1,,7,0,0
a,1.2,3,,0,1
a,2.9,4,,0,
a,3.5,5,8,1,1
b,0.5,6,9,0,0
"""


def test_labels_move_with_irregular_rows_to_the_steps_of_the_clock(tmp_path):
    slow = {
        "heat": {"grid": {"take": "last", "longest_age": 2}, "may_be_missing": True},
        "force": {"grid": {"take": "mean"}},
    }
    faults = {"mode": {"column": "state", "values": {"0": "healthy", "1": "worn"}}}
    rows = read(tmp_path, twin(slow, failure="failed", faults=faults), LABELLED)
    assert rows["asset"].tolist() == ["a"] * 5 + ["b"]
    assert rows["time"].tolist() == [0, 1, 2, 3, 4, 1]
    np.testing.assert_array_equal(rows["rul"], [4, 3, 2, 1, 0, np.nan])
    assert rows["fault_mode"].tolist() == [0, 0, 1, -1, 1, 0]
    assert rows["force"].tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(rows["heat"], [np.nan, 7, 7, 7, 8, 9])


def test_steps_that_lack_a_channel_that_must_be_there_are_left_out_and_counted(tmp_path, caplog):
    rows = read(tmp_path, twin({"heat": {"grid": {"take": "last"}}, "force": {}}, failure="failed"), LABELLED)
    assert list(zip(rows["asset"], rows["time"], strict=True)) == [("a", t) for t in (1, 2, 3, 4)] + [("b", 1)]
    assert "1 steps lack a channel that may not be missing: left out" in caplog.text


def test_one_value_per_row_and_wide_rows_give_the_same_grid(tmp_path):
    grid = {"heat": {"grid": {"take": "mean"}, "may_be_missing": True}, "force": {"grid": {"take": "last"}}}
    wide = read(tmp_path, twin(grid, failure="failed"), LABELLED)
    frame = pd.read_csv(tmp_path / "press.csv").drop(columns="state")
    long = frame.melt(["machine", "hour"], ["force", "heat", "failed"], "tag", "value").dropna()
    shuffled = long.sample(frac=1, random_state=3)
    shuffled.to_csv(tmp_path / "press.csv", index=False)
    told = twin(grid, failure="failed", tag="tag", value="value", time_order="sort")
    pd.testing.assert_frame_equal(adapted(told, tmp_path, tmp_path / "long"), wide)


def test_without_a_grid_a_channel_that_may_be_missing_is_taken_as_it_lies(tmp_path):
    rows = read(tmp_path, twin({"heat": {"may_be_missing": True}, "force": {}}, missing="carry_forward"), LABELLED)
    assert rows["time"].tolist() == [0, 0.4, 1, 1.2, 2.9, 3.5, 0.5]
    assert rows["force"].tolist() == [1, 2, 2, 3, 4, 5, 6], "the other is carried forward"
    np.testing.assert_array_equal(rows["heat"], [np.nan, np.nan, 7, np.nan, np.nan, 8, 9])


def test_an_interpolated_channel_must_have_its_next_value_before_a_reading_is_made():
    with pytest.raises(ValueError, match="interpolate needs a longest_age of at most"):
        twin({"heat": {"grid": {"take": "interpolate", "longest_age": 3}}})
