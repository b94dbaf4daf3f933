"""Scores as plain values."""

import pytest

from foretwin.predictor.bundle import Bundle
from foretwin.predictor.inputs import read_frame
from foretwin.predictor.records import score_records
from support.tiny_bundle import asks_chances, random_rows, save_tiny_bundle, tiny_twin

KEY = ("asset", "run", "time", "rows")


@pytest.mark.parametrize("asked", [{}, {"rul": False}, {"faults": False}], ids=["both", "faults", "rul"])
def test_records_say_what_the_table_of_scores_says(tmp_path, asked):
    twin = tiny_twin(**asked)
    save_tiny_bundle(tmp_path, twin)
    bundle, rows = Bundle.load(tmp_path), random_rows(twin, {"a": 9, "b": 3})
    table = bundle.score(rows).to_dict("records")
    found = score_records(twin, bundle.answer(read_frame(rows, twin)))
    assert len(found) == len(table) == 2
    for record, row in zip(found, table, strict=True):
        assert [record.asset, record.run, record.time, record.rows] == [row[name] for name in row if name in KEY]
        assert [record.rul, record.rul_low, record.rul_high] == [row.get(n) for n in ("rul", "rul_low", "rul_high")]
        assert record.diagnosis == {axis: row[axis] for axis in twin.axes}
        for axis, named in record.faults.items():
            assert named == {name: row[f"p_{axis}_{name}"] for name in twin.classes(axis)}
        assert list(record.faults) == list(twin.axes)
        assert record.warnings == row["warnings"]
    assert found[1].warnings, "a short history is warned of"


def test_chances_of_a_failure_are_named_by_their_horizons_and_rise_with_them(tmp_path):
    twin = asks_chances(tiny_twin(), 6.5, 24, 96)
    save_tiny_bundle(tmp_path, twin)
    bundle, rows = Bundle.load(tmp_path), random_rows(twin, {"a": 9, "b": 3})
    table = bundle.score(rows)
    assert [name for name in table if name.startswith("p_failure")] == ["p_failure_6.5", "p_failure_24", "p_failure_96"]
    for record, row in zip(
        score_records(twin, bundle.answer(read_frame(rows, twin))), table.to_dict("records"), strict=True
    ):
        assert record.p_failure == {name: row[f"p_failure_{name}"] for name in ("6.5", "24", "96")}
        assert 0 < record.p_failure["6.5"] < record.p_failure["24"] < record.p_failure["96"] < 1
