"""Labels of any spelling, in CSV and Parquet, in one column or several, held before their mark."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foretwin.contract.categories import label_key
from foretwin.contract.twin import Twin
from foretwin.errors import ContractError, SourceError
from foretwin.sources.table import read_rows_of

REMEDY = {"part": "ram", "instruction": "replace it", "lead_time": 1}
ONE = ("1", "1.0", "1.00", "1,0", "01", " 1 ", "True", "TRUE", "yes", "Y", "on", "wahr", "oui")
ZERO = ("0", "0.0", "-0.0", "0,0", "False", "no", " NO", "off", "falsch", "non")


def press(faults: dict[str, dict]) -> Twin:
    """A press whose table has its labels in the columns that `faults` names."""
    classes = {axis: {"fine": None} for axis in faults}
    for axis, one in faults.items():
        named = [*one.get("values", {}).values(), *one.get("flags", {}).values()]
        classes[axis] |= {name: REMEDY for name in named if name != "fine"}
    return Twin.model_validate(
        {
            "name": "press",
            "title": "Press",
            "source": {"kind": "table", "path": "press.csv", "asset": "asset", "time": "time", "faults": faults},
            "clock": {"unit": "h", "step": 1},
            "channels": {"force": {"unit": "1", "role": "sensor", "min": 0, "max": 100}},
            "faults": {axis: {"title": axis, "classes": classes[axis]} for axis in faults},
            "window": {"length": 10},
        }
    )


def rows_of_table(contract: Twin, folder: Path, columns: dict[str, list], parquet: bool = False) -> pd.DataFrame:
    length = len(next(iter(columns.values())))
    frame = pd.DataFrame({"asset": "a", "time": range(length), "force": 1.0} | columns)
    path = folder / ("press.parquet" if parquet else "press.csv")
    frame.to_parquet(path) if parquet else frame.to_csv(path, index=False)
    return read_rows_of(contract, contract.source, path)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cells=st.lists(st.sampled_from(ONE + ZERO), min_size=2, max_size=8),
    pair=st.sampled_from([("0", "1"), ("0.0", "1.0"), ("no", "yes"), ("False", "True")]),
    parquet=st.booleans(),
)
def test_a_flag_is_read_in_any_spelling(tmp_path, cells, pair, parquet):
    contract = press({"mode": {"column": "mark", "values": {pair[0]: "fine", pair[1]: "worn"}}})
    rows = rows_of_table(contract, tmp_path, {"mark": cells}, parquet)
    assert rows["fault_mode"].tolist() == [int(cell in ONE) for cell in cells]


@pytest.mark.parametrize("parquet", [False, True])
@pytest.mark.parametrize(
    "cells", [[0, 1, 1], [0.0, 1.0, 1.0], [False, True, True], ["0", "1", "1"], [0.0, 1.0, None], ["n", "y", None]]
)
def test_csv_and_parquet_agree_on_every_type_of_column(tmp_path, cells, parquet):
    contract = press({"mode": {"column": "mark", "values": {"0": "fine", "1": "worn"}}})
    rows = rows_of_table(contract, tmp_path, {"mark": cells}, parquet)
    assert rows["fault_mode"].tolist() == [0, 1, -1 if cells[2] is None else 1]


@given(st.integers(-(10**12), 10**12), st.sampled_from(["", ".0", ".00", ",0", "e0"]), st.integers(0, 3))
def test_a_code_is_one_number_however_it_is_written(code, tail, zeros):
    sign, digits = ("-", str(-code)) if code < 0 else ("", str(code))
    assert label_key(f" {sign}{'0' * zeros}{digits}{tail}") == label_key(str(code))
    assert label_key(str(code)) != label_key(str(code + 1))


@pytest.mark.parametrize("cells", [["A", "B", "B", "C"], ["2", "3", "3", "4"], [2.0, 3.0, 3.0, 4.5]])
def test_an_axis_that_matches_no_row_lists_what_the_column_holds(tmp_path, cells):
    contract = press({"mode": {"column": "mark", "values": {"0": "fine", "1": "worn"}}})
    with pytest.raises(SourceError) as caught:
        rows_of_table(contract, tmp_path, {"mark": cells})
    said = str(caught.value)
    assert "column 'mark': no row holds '0', '1'; it holds" in said
    assert f"{str(cells[1])!r} (2 rows)" in said
    assert f"{str(cells[3])!r} (1 rows)" in said
    assert "correct source.faults.mode.values" in said


def test_one_value_in_two_spellings_is_a_contract_error(tmp_path):
    contract = press({"mode": {"column": "mark", "values": {"1": "fine", "1.0": "worn"}}})
    with pytest.raises(ContractError, match=r"source\.faults\.mode\.values: '1.0' is there in two spellings"):
        rows_of_table(contract, tmp_path, {"mark": [1, 0]})


def test_two_columns_of_labels_are_two_axes(tmp_path):
    flag = {"values": {"0": "fine", "1": "worn"}}
    contract = press(
        {"anomaly": {"column": "one", **flag}, "change": {"column": "two", "values": {"0": "fine", "1": "new"}}}
    )
    rows = rows_of_table(contract, tmp_path, {"one": [0.0, 1.0, 1.0], "two": [0.0, 1.0, 0.0]})
    assert rows["fault_anomaly"].tolist() == [0, 1, 1]
    assert rows["fault_change"].tolist() == [0, 1, 0]


def test_flags_side_by_side_are_one_axis(tmp_path):
    contract = press({"mode": {"flags": {"heat": "hot", "wear": "worn"}}})
    columns = {"heat": ["0", "1", "0", "yes", ""], "wear": [False, False, True, True, False]}
    rows = rows_of_table(contract, tmp_path, columns)
    assert rows["fault_mode"].tolist() == [0, 1, 2, -1, 0], "two at once are unknown"
    with pytest.raises(SourceError, match=r"line 3: column 'heat': 'C' is neither true nor false"):
        rows_of_table(contract, tmp_path, {"heat": ["0", "C"], "wear": [0, 0]})


@pytest.mark.parametrize(
    ("before", "expected"), [(1, [0, 0, 1, 1, 0, 2]), (2.5, [0, 1, 1, 1, 2, 2]), (99, [1, 1, 1, 1, 2, 2])]
)
def test_a_label_holds_so_long_before_its_mark(tmp_path, before, expected):
    fault = {"column": "mark", "values": {"-": "fine", "w": "worn", "h": "hot"}, "holds_before": before}
    rows = rows_of_table(press({"mode": fault}), tmp_path, {"mark": list("---w-h"), "time": [0, 1, 2, 3, 4, 5.5]})
    assert rows["fault_mode"].tolist() == expected


def test_a_label_holds_in_its_own_run_alone(tmp_path):
    fault = {"column": "mark", "values": {"0": "fine", "1": "worn"}, "holds_before": 5}
    columns = {"mark": [0, 1, 0, 0, 0, 1], "asset": list("aaabbb"), "time": [0, 1, 2, 0, 2, 7]}
    rows = rows_of_table(press({"mode": fault}), tmp_path, columns)
    assert rows["fault_mode"].tolist() == [1, 1, 0, 0, 1, 1], "not on the last row of a, 5 h before the mark of b"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({}, "name one `column`"),
        ({"column": "x", "values": {"1": "worn"}, "flags": {"y": "worn"}}, "name one `column`"),
        ({"column": "x"}, "`column` and `values` belong together"),
        ({"flags": {"y": "worn"}, "values": {"1": "worn"}}, "`column` and `values` belong together"),
    ],
)
def test_labels_are_described_in_one_way(fault, reason):
    with pytest.raises(ValueError, match=reason):
        press({"mode": fault})


@pytest.fixture
def rig(tmp_path):
    """Bring files d00.dat, d01.dat and d01_late.dat of 12 rows each to rows, with these fields of the axis."""

    def run(**fields) -> pd.DataFrame:
        folder = tmp_path / "rig"
        folder.mkdir()
        for name in ("d00.dat", "d01.dat", "d01_late.dat"):
            pd.DataFrame({"force": range(12)}).to_csv(folder / name, index=False)
        contract = press({"mode": {"column": "fault", "values": {"00": "fine", "01": "worn"}, **fields}})
        source = {"asset": "file name", "pattern": "d{fault:d}*.dat", "time": None, "time_format": "row"}
        return read_rows_of(contract, contract.source.model_copy(update=source), folder)

    return run


def test_a_label_of_the_path_holds_from_the_time_of_its_files(rig):
    rows = rig(holds_from={"*_late.dat": 5})
    classes = {asset: part.tolist() for asset, part in rows.groupby("asset")["fault_mode"]}
    assert classes == {"d00": [0] * 12, "d01": [1] * 12, "d01_late": [0] * 5 + [1] * 7}


def test_a_glob_that_names_no_file_is_an_error(rig):
    with pytest.raises(SourceError, match=r"no file is named as \*_early.dat"):
        rig(holds_from={"*_early.dat": 5})
