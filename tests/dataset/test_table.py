"""The canonical table: its types, what is refused, and the RUL convention."""

import numpy as np
import pandas as pd
import pytest

from foretwin.dataset.table import canonical, column_types, out_of_order, read_rows, run_starts, time_to_end, write_rows
from foretwin.errors import RowsError
from support.tiny_bundle import random_rows, tiny_twin

TWIN = tiny_twin()
TYPES = {
    "asset": "str",
    "run": "int64",
    "time": "float64",
    "speed": "float32",
    "c1": "float32",
    "c2": "float32",
    "rul": "float32",
    "fault_mode": "int8",
    "fault_bearing": "int8",
    "fixed_split": "str",
    "subset": "str",
}


def labelled(lengths: dict[str, int]) -> pd.DataFrame:
    """Runs that end in failure, in the mode `wear`."""
    rows = random_rows(TWIN, lengths)
    return rows.assign(rul=time_to_end(rows), fault_mode=1, fault_bearing=-1, fixed_split="")


def test_the_columns_have_one_order_and_one_type_each():
    assert column_types(TWIN) == TYPES
    assert list(column_types(TWIN)) == list(TYPES)


def test_any_order_and_width_of_columns_becomes_the_canonical_one():
    rows = labelled({"a": 4, "b": 3}).assign(extra=1.0)
    table = canonical(rows[sorted(rows.columns, reverse=True)], TWIN)
    assert table.dtypes.astype(str).to_dict() == TYPES
    assert list(table.columns) == list(TYPES)
    np.testing.assert_array_equal(table["c1"], rows["c1"].astype("float32"))


def test_absent_labels_are_unknown_and_not_healthy():
    table = canonical(random_rows(TWIN, {"a": 4}), TWIN)
    assert table["rul"].isna().all()
    assert (table[["fault_mode", "fault_bearing"]] == -1).all(axis=None)
    assert (table[["fixed_split", "subset"]] == "").all(axis=None)


def test_canonical_changes_neither_its_input_nor_the_order_of_rows():
    rows = labelled({"a": 4, "b": 3}).sample(frac=1, random_state=1)
    before = rows.copy()
    table = canonical(rows, TWIN)
    pd.testing.assert_frame_equal(rows, before)
    assert table["asset"].tolist() == rows["asset"].tolist()
    assert table.index.tolist() == list(range(7))


@pytest.mark.parametrize("name", ["asset", "run", "time", "speed", "c2"])
def test_a_missing_key_or_channel_is_named(name):
    with pytest.raises(RowsError, match=f"^pump: column {name} is missing$"):
        canonical(labelled({"a": 3}).drop(columns=name), TWIN)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("c1", "hot", "column c1 is not float32: could not convert string to float"),
        ("c1", pd.Timestamp("2024-01-01"), "column c1 is not float32"),
        ("time", "noon", "column time is not float64"),
        ("run", np.nan, "column run is not int64"),
        ("run", 1.5, "column run is not int64: it holds 1.5"),
        ("fault_mode", 256, "column fault_mode is not int8: it holds 256"),
        ("fault_mode", 0.5, "column fault_mode is not int8: it holds 0.5"),
        ("rul", "long", "column rul is not float32"),
    ],
)
def test_what_does_not_fit_a_column_is_refused_and_never_bent(name, value, reason):
    rows = labelled({"a": 3}).astype({name: "object"})
    rows[name] = value
    with pytest.raises(RowsError, match=reason) as error:
        canonical(rows, TWIN)
    assert "\n" not in str(error.value)


def test_asset_names_stay_text():
    rows = labelled({"007": 3, "8": 2})
    assert canonical(rows, TWIN)["asset"].unique().tolist() == ["007", "8"]
    assert canonical(rows.assign(asset=7), TWIN)["asset"].unique().tolist() == ["7"]


def test_rows_come_back_from_parquet_as_they_were(tmp_path):
    rows = labelled({"a": 4, "b": 3})
    write_rows(rows, TWIN, tmp_path / "rows.parquet")
    pd.testing.assert_frame_equal(read_rows(tmp_path / "rows.parquet", TWIN), canonical(rows, TWIN))


def test_the_same_rows_are_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        write_rows(labelled({"a": 4}), TWIN, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_table_of_another_contract_or_none_is_refused(tmp_path):
    path = tmp_path / "rows.parquet"
    with pytest.raises(RowsError, match=r"rows.parquet: no such table; run `dvc repro data/pump/dvc.yaml:adapt`"):
        read_rows(path, TWIN)
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(RowsError, match=r"rows.parquet: not a Parquet table"):
        read_rows(path, TWIN)
    small = tiny_twin(channels=2)
    write_rows(random_rows(small, {"a": 3}), small, path)
    with pytest.raises(RowsError, match="column c2 is missing"):
        read_rows(path, TWIN)


def test_rul_is_zero_on_the_row_of_the_failure_and_counts_the_clock_not_the_rows():
    frame = pd.DataFrame(
        {"asset": ["a"] * 5 + ["b"], "run": [1, 1, 1, 2, 2, 1], "time": [1.0, 2.0, 4.5, 0.0, 3.0, 7.0]}
    )
    assert time_to_end(frame).tolist() == [3.5, 2.5, 0, 3, 0, 0]


def test_a_run_starts_where_asset_or_run_changes():
    frame = pd.DataFrame({"asset": list("aaabb"), "run": [1, 1, 2, 2, 2], "time": 0.0})
    assert run_starts(frame).tolist() == [True, False, True, True, False]
    assert run_starts(frame[:0]).tolist() == []


def test_time_must_increase_within_a_run_only():
    frame = pd.DataFrame({"asset": list("aaaabbb"), "run": [1, 1, 1, 2, 2, 2, 2]})
    frame["time"] = [0.0, 2.0, 2.0, 1.0, 0.0, np.nan, 3.0]
    assert out_of_order(frame).tolist() == [False, False, True, False, False, True, True]
    assert not out_of_order(frame[:0]).any()
