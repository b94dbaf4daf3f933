"""Kinds of files: each is read as the source says, and refused with advice where it says too little."""

import h5py
import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy.io import savemat

from foretwin.errors import ContractError, SourceError
from support.written_table import Writing, adapted, contract, workbook

HOURS = pd.date_range("2024-10-26 22:00", periods=6, freq="h", tz="UTC")
FRAME = pd.DataFrame({"asset": "M-1", "time": HOURS, "force": np.arange(6) + 0.25, "heat": np.arange(6) * 1000.5})
WIDE = "Maschine,Zeit,Kraft,Öl °C\n"


@pytest.fixture
def read(tmp_path):
    """Write a file, and return its canonical rows."""

    def run(name: str, content: bytes | str, **source) -> pd.DataFrame:
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return adapted(contract(name, **source), tmp_path, tmp_path / "raw")

    return run


def test_a_sep_line_a_mark_and_a_header_with_line_breaks_need_no_field(read):
    text = 'sep=;\nMaschine;Zeit;"Kraft";"Öl\n°C"\nM-1;0;1;2\n'
    rows = read("export.csv", text.encode("utf-16"), columns={"force": "Kraft", "heat": "Öl\n°C"})
    assert rows[["time", "force", "heat"]].to_numpy().tolist() == [[0, 1, 2]]


def test_whitespace_between_cells_a_transposed_file_and_rows_without_a_time(read, tmp_path):
    source = {"separator": "whitespace", "single_asset": "reactor", "time_format": "row", "names": ("Kraft", "Öl °C")}
    text = "  1.5e+00   2.0e+01\n  2.5e+00   3.0e+01\n  3.5e+00   4.0e+01\n"
    rows = read("run.dat", text, **source)
    assert rows["time"].tolist() == [0, 1, 2]
    assert rows["asset"].unique().tolist() == ["reactor"]
    (tmp_path / "turned.dat").write_text("1.5 2.5 3.5\n20 30 40\n")
    turned = adapted(contract("turned.dat", **source, transposed="turn*"), tmp_path, tmp_path / "again")
    pd.testing.assert_frame_equal(turned, rows)


def test_a_workbook_is_read_by_its_sheet_with_numbers_errors_and_a_units_row(read, caplog):
    cells = [["Export of a plant"], ["Maschine", "Zeit", "Kraft", "Öl °C"], ["", "", "kN", "K"]]
    cells += [["M-1", "0", 1.5, 7], ["M-1", "1", "#DIV/0!", 8.25], ["M-1", "2", "No Data", 9]]
    content = workbook({"Notes": [["see next"]], "Data": cells})
    source = {"skip_lines": 1, "lines_after_header": 1, "missing": "carry_forward"}
    rows = read("export.xlsx", content, sheet="Data", **source)
    assert rows[["time", "force", "heat"]].to_numpy().tolist() == [[0, 1.5, 7], [1, 1.5, 8.25], [2, 1.5, 9]]
    assert "'No Data' (1)" in caplog.text


def test_arrays_of_matlab_and_hdf5_are_columns(read, tmp_path):
    arrays = {"Zeit": np.arange(3.0), "Kraft": np.array([1.5, 2, 3]), "Öl": np.array([7, 8, 9]), "rate": 25600}
    savemat(tmp_path / "a.mat", {"run": {name.replace("Ö", "O"): values for name, values in arrays.items()}})
    source = {"single_asset": "rig", "time": "run.Zeit", "columns": {"force": "run.Kraft", "heat": "run.Ol"}}
    rows = adapted(contract("a.mat", **source), tmp_path, tmp_path / "mat")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, values in arrays.items():
            file[f"run/{name}"] = values
    source = {"single_asset": "rig", "time": "run/Zeit", "columns": {"force": "run/Kraft", "heat": "run/Öl"}}
    same = adapted(contract("a.h5", **source, sheet="run"), tmp_path, tmp_path / "hdf5")
    assert rows[["time", "force", "heat"]].to_numpy().tolist() == [[0, 1.5, 7], [1, 2, 8], [2, 3, 9]]
    pd.testing.assert_frame_equal(rows, same)


def test_words_and_listed_numbers_are_missing_and_counted(read, caplog):
    text = WIDE + "M-1,0,1,2\nM-1,1,Bad,-999\nM-1,2,I/O Timeout,3\nM-1,3,kaputt,65535\n"
    source = {"missing_values": ("kaputt", "-999", "65535"), "missing": "carry_forward"}
    rows = read("export.csv", text, **source)
    assert rows[["force", "heat"]].to_numpy().tolist() == [[1, 2], [1, 2], [1, 3], [1, 3]]
    for told in ("'Bad' (1)", "'I/O Timeout' (1)", "'kaputt' (1)", "'-999' (1)", "'65535' (1)"):
        assert told in caplog.text


def test_a_word_that_nobody_listed_is_no_missing_value(read):
    with pytest.raises(SourceError, match=r"line 3: column 'Kraft': 'kaputt' is not a number; .*missing_values"):
        read("export.csv", WIDE + "M-1,0,1,2\nM-1,1,kaputt,2\n")


@pytest.mark.parametrize("cell", ["1.00", "1.2345", "1,5.000", "1..000"])
def test_digits_that_are_no_thousands_are_no_number(read, cell):
    with pytest.raises(SourceError, match="is not a number"):
        read("export.csv", f"Maschine;Zeit;Kraft;Öl °C\nM-1;0;1.000;2\nM-1;1;{cell};2\n", decimal=",", thousands=".")


def test_rows_before_a_channels_first_value_are_left_out_where_asked(read, caplog):
    text = WIDE + "M-1,0,,2\nM-1,1,5,\nM-1,2,,3\nM-2,0,1,1\n"
    rows = read("export.csv", text, missing="carry_forward_after_first")
    assert rows[["asset", "time", "force", "heat"]].to_numpy().tolist() == [
        ["M-1", 1, 5, 2],
        ["M-1", 2, 5, 3],
        ["M-2", 0, 1, 1],
    ]
    assert "1 rows before a channel's first value: left out" in caplog.text


def test_tags_in_blocks_with_qualities_and_doubles_become_columns(read, caplog):
    text = "Maschine;Zeit;Tag;Wert;Status\n" + "".join(
        f"M-1;{time};{tag};{value};{status}\n"
        for tag, time, value, status in [
            *[("Kraft", 0, 1, "192"), ("Kraft", 2, 3, "0"), ("Kraft", 4, 5, "192"), ("Kraft", 4, 6, "192")],
            *[("Öl °C", 0, 7, "192"), ("Öl °C", 1, 8, "192"), ("other", 0, "text", "192")],
        ]
    )
    long = {"tag": "Tag", "value": "Wert", "quality": "Status", "good_quality": ("192",), "missing": "carry_forward"}
    rows = read("export.csv", text, **long)
    assert rows[["time", "force", "heat"]].to_numpy().tolist() == [[0, 1, 7], [1, 1, 8], [4, 6, 8]], (
        "at 2 nothing is good"
    )
    assert "'0' (1)" in caplog.text
    assert "1 times a tag has two values at one time: the later row counts" in caplog.text


def test_a_tag_that_is_not_there_or_falls_is_refused(read, tmp_path):
    header, long = "Maschine,Zeit,Tag,Wert\n", {"tag": "Tag", "value": "Wert"}
    with pytest.raises(SourceError, match=r"tag 'Öl °C' is missing in column 'Tag'; did you mean 'Öl C'"):
        read("export.csv", header + "M-1,0,Kraft,1\nM-1,0,Öl C,1\n", **long)
    (tmp_path / "falls.csv").write_text(header + "M-1,1,Kraft,1\nM-1,0,Kraft,1\nM-1,0,Öl °C,1\n")
    with pytest.raises(SourceError, match=r"falls\.csv: line 3: column 'Zeit': a tag's time falls"):
        adapted(contract("falls.csv", **long), tmp_path, tmp_path / "again")


def test_an_error_in_a_rewritten_file_names_the_line_that_an_editor_shows(read):
    text = Writing(preamble=2, units=True, separator=";").write(FRAME.assign(time=HOURS)).decode()
    lines = text.splitlines()
    lines[7] = lines[7].replace("1000.50", "ten").replace("3001.50", "ten")
    with pytest.raises(SourceError, match=r"line 8: column 'Öl °C': 'ten' is not a number"):
        read("export.csv", "\n".join(lines) + "\n", skip_lines=2, lines_after_header=1)


@pytest.mark.parametrize("order", ["sort", "leave_out"])
def test_a_falling_clock_is_sorted_or_left_out_only_where_asked(read, order, caplog):
    text = WIDE + "M-1,2,3,0\nM-1,0,1,0\nM-1,1,2,0\nM-1,3,4,0\n"
    rows = read("export.csv", text, time_order=order)
    assert rows["time"].tolist() == ([0, 1, 2, 3] if order == "sort" else [2, 3])
    assert ("2 rows are not later than one before: left out" in caplog.text) == (order == "leave_out")


@pytest.mark.parametrize(
    ("source", "field"),
    [
        ({"single_asset": "a", "asset": "Maschine"}, "asset: which machine"),
        ({"time": None}, "time: no column is named"),
        ({"time_format": "soon"}, "time_format: soon is none"),
        ({"time_zone": "Mars/Olympus"}, "Mars/Olympus is no time zone"),
        ({"thousands": ".", "decimal": "."}, "thousands: is the decimal mark too"),
        ({"tag": "Tag"}, "tag: tag and value belong together"),
        ({"tag": "Tag", "value": "Wert", "quality": "Status"}, "quality: quality and good_quality"),
        ({"watermark": "id"}, "watermark: is of a query"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(source, field):
    with pytest.raises(ValidationError, match=field):
        contract("export.csv", **source)


@pytest.mark.parametrize("field", ["time_format", "thousands"])
def test_a_question_that_new_left_open_is_refused_with_its_field(read, field):
    with pytest.raises(ContractError, match=rf"source\.{field}: "):
        read("export.csv", WIDE + "M-1,05/06/2024,1.002,950\n", **{field: "ask"})


def test_fields_that_are_not_set_are_not_in_the_digest():
    dumped = contract("export.csv").model_dump(mode="json")["source"]
    older = ["kind", "path", "asset", "time", "run", "columns", "failure", "rul", "runs_end_in_failure", "faults"]
    assert list(dumped) == [*older, "missing"]
