import datetime as dt

import numpy as np
import pandas as pd
import pytest

from foretwin.contract.source import TableSource
from foretwin.contract.twin import Twin
from foretwin.errors import ContractError, SourceError
from foretwin.sources import table

REMEDY = {"part": "ram", "instruction": "replace it", "lead_time": 1}


def twin(unit: str = "h", **source) -> Twin:
    return Twin.model_validate(
        {
            "name": "press",
            "title": "Press",
            "source": {"kind": "table", "path": "press.csv", "asset": "machine", "time": "hour"} | source,
            "clock": {"unit": unit, "step": 1},
            "channels": {name: {"unit": "1", "role": "sensor", "min": 0, "max": 100} for name in ("force", "heat")},
            "rul": {"cap": 10, "remedy": REMEDY},
            "window": {"length": 10},
        }
    )


@pytest.fixture
def adapted(tmp_path):
    """Write a file beside the contract, fetch it, adapt it."""

    def run(contract: Twin, content: str | bytes | pd.DataFrame) -> pd.DataFrame:
        path, raw = tmp_path / contract.source.path, tmp_path / "raw"
        raw.mkdir()
        if isinstance(content, pd.DataFrame):
            content.to_parquet(path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        table.fetch_table(contract.source, tmp_path, raw)
        return pd.concat(table.adapt_table(contract, contract.source, raw), ignore_index=True)

    return run


def lines(*rows: str, header: str = "machine,hour,force,heat") -> str:
    return "\n".join([header, *rows]) + "\n"


def test_a_plain_file_becomes_rows_with_unknown_labels(adapted):
    rows = adapted(twin(), lines("a,0,1,2", "a,1,3,4.5", "b,0,5,6"))

    assert rows["asset"].tolist() == ["a", "a", "b"]
    assert rows["run"].tolist() == [1, 1, 1]
    assert rows["heat"].tolist() == [2, 4.5, 6]
    assert rows["rul"].isna().all()


def test_a_failure_ends_a_run_with_rul_zero_and_the_next_rows_begin_another(adapted):
    content = lines(
        *["a,5,1,1,0", "a,6,1,1,no", "a,8,1,1,TRUE", "a,9,1,1,", "a,11,1,1,false", "b,0,1,1,0"],
        header="machine,hour,force,heat,failed",
    )
    rows = adapted(twin(failure="failed"), content)

    assert rows["run"].tolist() == [1, 1, 1, 2, 2, 1]
    np.testing.assert_array_equal(rows["rul"], [3, 2, 0, np.nan, np.nan, np.nan])
    assert rows["time"].tolist() == [5, 6, 8, 0, 2, 0], "a clock that goes on is counted from the later run's start"


def test_interleaved_assets_are_put_together_in_the_files_order(adapted):
    rows = adapted(twin(), lines("b,1,1,0", "a,1,2,0", "b,2,3,0", "a,2,4,0"))

    assert rows["asset"].tolist() == ["b", "b", "a", "a"]
    assert rows["force"].tolist() == [1, 3, 2, 4]


def test_rows_out_of_order_are_left_for_validation(adapted):
    rows = adapted(twin(runs_end_in_failure=True), lines("a,0,1,0", "a,2,2,0", "a,1,3,0"))

    assert rows["time"].tolist() == [0, 2, 1]


@pytest.mark.parametrize(("unit", "step"), [("s", 5400), ("min", 90), ("h", 1.5), ("d", 0.0625)])
def test_timestamps_become_the_clocks_unit_since_the_run_began(adapted, unit, step):
    content = lines("a,2024-05-31T08:00:00,1,1", "a,2024-05-31T09:30:00,1,1", "b,2025-01-01T00:00:00,1,1")
    rows = adapted(twin(unit), content)

    assert rows["time"].tolist() == [0, step, 0]


def test_timestamps_with_zones_and_fractions_are_read(adapted):
    content = lines("a,2024-05-31T08:00:00.500+02:00,1,1", "a,2024-05-31T06:00:01Z,1,1")

    assert adapted(twin("s"), content)["time"].tolist() == [0, 0.5]


def test_timestamps_of_a_parquet_file_are_read(adapted):
    hours = pd.to_datetime(["2024-01-01", "2024-01-03"])
    frame = pd.DataFrame({"machine": [7, 7], "hour": hours, "force": [1, 2], "heat": [1.5, 2.5]})
    rows = adapted(twin("d"), frame)

    assert rows["time"].tolist() == [0, 2]
    assert rows["asset"].tolist() == ["7", "7"]


def test_numbers_that_a_parquet_file_keeps_as_text_are_read(adapted):
    frame = pd.DataFrame({"machine": "a", "hour": ["0", "1.5"], "force": [" 1", "2"], "heat": ["1e1", ""]})

    rows = adapted(twin(missing="carry_forward"), frame)
    assert rows[["time", "force", "heat"]].to_numpy().tolist() == [[0, 1, 10], [1.5, 2, 10]]


def test_dates_without_a_time_are_read(adapted):
    assert adapted(twin("d"), lines("a,2024-02-28,1,1", "a,2024-03-01,1,1"))["time"].tolist() == [0, 2]


def test_a_run_column_with_numbers_keeps_them_and_one_with_names_is_numbered(adapted, tmp_path):
    header = "machine,hour,force,heat,life"
    content = lines("a,0,1,1,first", "a,1,1,1,first", "a,0,1,1,second", "b,0,1,1,second", header=header)
    named = adapted(twin(run="life", runs_end_in_failure=True), content)
    (tmp_path / "raw" / "table.csv").write_text(content.replace("first", "4").replace("second", "9"))
    contract = twin(run="life", runs_end_in_failure=True)
    numbered = pd.concat(table.adapt_table(contract, contract.source, tmp_path / "raw"), ignore_index=True)

    assert named["run"].tolist() == [1, 1, 2, 1]
    assert numbered["run"].tolist() == [4, 4, 9, 9]
    assert numbered["rul"].tolist() == [1, 0, 0, 0]
    assert numbered["time"].tolist() == [0, 1, 0, 0], "times that begin anew with each run are kept"


def test_runs_of_one_asset_may_be_interleaved_in_the_file(adapted):
    content = lines("a,0,1,1,x", "a,0,2,1,y", "a,1,3,1,x", "a,1,4,1,y", header="machine,hour,force,heat,life")
    rows = adapted(twin(run="life"), content)

    assert rows["force"].tolist() == [1, 3, 2, 4]


def test_a_rul_column_is_taken_and_may_have_gaps(adapted):
    rows = adapted(twin(rul="left"), lines("a,0,1,1,7", "a,1,1,1,", header="machine,hour,force,heat,left"))

    np.testing.assert_array_equal(rows["rul"], [7, np.nan])


def test_fault_values_become_classes_and_others_are_unknown(adapted):
    codes = ["0", "12", "", "99", "none"]
    content = lines(*(f"a,{hour},1,1,{code}" for hour, code in enumerate(codes)), header="machine,hour,force,heat,code")

    assert adapted(fault_twin(), content)["fault_seal"].tolist() == [0, 1, -1, -1, 0]


def test_fault_codes_that_a_parquet_file_keeps_as_floats_still_match(adapted):
    contract = fault_twin()
    frame = pd.DataFrame({"machine": "a", "hour": [0, 1, 2], "force": 1, "heat": 1, "code": [0.0, 12.0, np.nan]})

    assert adapted(contract, frame)["fault_seal"].tolist() == [0, 1, -1]


def fault_twin() -> Twin:
    content = twin().model_dump()
    content["faults"] = {"seal": {"title": "Seal", "classes": {"fine": None, "worn": REMEDY}}}
    content["source"]["faults"] = {"seal": {"column": "code", "values": {"0": "fine", "12": "worn", "none": "fine"}}}
    return Twin.model_validate(content)


def test_columns_are_mapped_whatever_they_are_called(adapted):
    contract = twin(columns={"force": "Kraft [kN]", "heat": "Temp, Öl [°C]"})
    rows = adapted(contract, 'machine,hour,Kraft [kN],"Temp, Öl [°C]"\na,0,1,2\n')

    assert rows[["force", "heat"]].to_numpy().tolist() == [[1, 2]]


def test_asset_names_keep_their_zeros(adapted):
    assert adapted(twin(), lines("007,0,1,1", "010,0,1,1"))["asset"].tolist() == ["007", "010"]


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffmachine,hour,force,heat\na,0,1,2\n",
        "machine;hour;force;heat\r\na;0;1;2\r\n",
        "machine\thour\tforce\theat\na\t0\t1\t2",
        '"machine","hour","force","heat"\n"a","0","1","2"\n\n',
        "other,machine,hour,force,heat\nx,a,0,1,2\n",
    ],
    ids=["byte order mark", "semicolons", "tabs", "quotes", "further columns"],
)
def test_the_common_kinds_of_csv_are_read(adapted, content):
    rows = adapted(twin(), content)

    assert rows[["asset", "time", "force", "heat"]].to_numpy().tolist() == [["a", 0, 1, 2]]


def test_missing_values_are_refused_unless_carried_forward(adapted, tmp_path):
    content = lines("a,0,1,1", "b,0,9,1", "a,1,,1", "a,2,NaN,1", "a,3,4,1")
    with pytest.raises(SourceError, match=r"press\.csv: line 4: column 'force': is empty; .*\(2 rows in all\)"):
        adapted(twin(), content)
    carrying = twin(missing="carry_forward")
    rows = pd.concat(table.adapt_table(carrying, carrying.source, tmp_path / "raw"), ignore_index=True)

    assert rows["force"].tolist() == [1, 1, 1, 4, 9]


def test_nothing_is_carried_over_from_another_run_or_asset(adapted):
    header = "machine,hour,force,heat,failed"
    content = lines("a,0,1,1,0", "a,1,1,1,1", "a,2,,1,0", "a,3,2,1,0", header=header)
    with pytest.raises(SourceError, match=r"line 4: column 'force': is empty and its run has no value before"):
        adapted(twin(missing="carry_forward", failure="failed"), content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lines("a,0,1,2", header="machine,hour,forces,heat"), r"column 'force' is missing; did you mean 'forces'"),
        (lines("a,0,1,2,3", header="machine,hour,force,force,heat"), r"column 'force' is there 2 times"),
        (lines("a,0,1,2", "a,1,x12,3"), r"line 3: column 'force': 'x12' is not a number"),
        (lines("a,0,1,2", "a,1,1,\"3,5\""), r"line 3: column 'heat': '3,5' is not a number"),
        (lines("a,0,1,2", "a,1,inf,3"), r"line 3: column 'force': the number is infinite"),
        (lines("a,0,1,2", "", 'a,1,"x\ny",3'), r"line 4: column 'force': 'x\\ny' is not a number"),
        (lines("a,0,1,2", "a,soon,1,3", "a,2,1,1"), r"line 3: column 'hour': 'soon' is not a number"),
        (lines("a,2024-05-31,1,2", "a,31/05/2024,1,3"), r"line 3: column 'hour': '31/05/2024' is neither a number nor"),
        (lines("a,0,1,2", "a,,1,2"), r"line 3: column 'hour': has no time"),
        (lines("a,0,1,2", ",1,1,2"), r"line 3: column 'machine': is empty"),
        (lines("a,0,1,2", "a,1,1"), r"line 3: has 3 fields where the header has 4"),
        (lines("a,0,1,2", "a,1,1,2,3"), r"line 3: has 5 fields where the header has 4"),
        (lines("a,0,1,2").encode() + b"\xb0,1,1,2\n", r"not UTF-8|neither CSV"),
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
        ("machine,hour,force,heat\n", "has a header but no rows"),
        (b"PK\x03\x04\x00\x00 a spreadsheet", "neither CSV"),
        (b"\x01\x00\x02\x00\xfe\x00\x03" * 9, "neither CSV"),
        (b"PAR1 but no table", "damaged Parquet"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_named_with_line_and_column(adapted, content, reason):
    with pytest.raises(SourceError, match=reason) as caught:
        adapted(twin(), content)
    assert "press.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_text_late_in_a_long_file_is_found(adapted):
    rows = [f"a,{hour},1,2" for hour in range(200_000)]
    rows[150_000] = "a,150000,1,broken"
    with pytest.raises(SourceError, match=r"line 150002: column 'heat': 'broken' is not a number"):
        adapted(twin(), lines(*rows))


def test_a_bad_cell_of_a_parquet_file_is_named_by_its_row(adapted):
    frame = pd.DataFrame({"machine": "a", "hour": [0, 1], "force": ["1", "x"], "heat": 1})
    with pytest.raises(SourceError, match=r"row 2: column 'force': 'x' is not a number"):
        adapted(twin(), frame)


def test_a_parquet_file_whose_index_is_a_column_is_read(adapted):
    frame = pd.DataFrame({"machine": pd.Categorical(["a", "b"]), "hour": [0.5, 2.0], "force": 1, "heat": 1})

    assert adapted(twin(), frame.set_index("hour"))["asset"].tolist() == ["a", "b"]


def test_two_runs_of_one_asset_that_overlap_are_refused(adapted):
    header = "machine,hour,force,heat,life"
    first = [f"a,2024-01-01T{hour:02d}:00:00,1,1,1" for hour in range(20)]
    second = [f"a,2024-01-01T{hour:02d}:30:00,1,1,2" for hour in range(18, 24)]
    reason = r"line 22: column 'hour': run 2 of a begins before an earlier run of it ended"
    with pytest.raises(SourceError, match=reason):
        adapted(twin(run="life"), lines(*first, *second, header=header))


def test_overlapping_runs_on_a_numeric_clock_are_refused(adapted):
    header = "machine,hour,force,heat,life"
    rows = [f"a,{hour},1,1,1" for hour in range(50)] + [f"a,{hour},1,1,2" for hour in range(30, 80)]
    with pytest.raises(SourceError, match=r"line 52: .* run 2 of a begins before an earlier run"):
        adapted(twin(run="life"), lines(*rows, header=header))


def test_a_run_may_begin_at_the_instant_the_last_one_ended(adapted):
    header = "machine,hour,force,heat,life"
    rows = [f"a,{hour},1,1,1" for hour in range(50)] + [f"a,{hour},1,1,2" for hour in range(49, 80)]

    assert adapted(twin(run="life"), lines(*rows, header=header))["time"].iloc[50] == 0


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (["0", "1", "1"], r"line 4: column 'failed': fails on two rows in turn"),
        (["0", "comp1", "0"], r"line 3: column 'failed': 'comp1' is neither true nor false"),
    ],
)
def test_a_failure_column_that_marks_no_single_row_is_refused(adapted, cells, reason):
    content = lines(
        *(f"a,{hour},1,1,{cell}" for hour, cell in enumerate(cells)), header="machine,hour,force,heat,failed"
    )
    with pytest.raises(SourceError, match=reason):
        adapted(twin(failure="failed"), content)


def test_a_failure_in_the_midst_of_a_named_run_is_refused(adapted):
    content = lines("a,0,1,1,1,1", "a,1,1,1,1,0", header="machine,hour,force,heat,life,failed")
    with pytest.raises(SourceError, match=r"line 2: column 'failed': is true, but the run continues"):
        adapted(twin(run="life", failure="failed"), content)


def test_two_ways_to_say_when_a_run_fails_exclude_each_other(adapted):
    with pytest.raises(ContractError, match="exclude each other"):
        adapted(twin(failure="failed", runs_end_in_failure=True), lines("a,0,1,1"))


def test_timestamps_need_a_clock_that_counts_time(adapted):
    with pytest.raises(ContractError, match=r"clock\.unit is cycle, but column 'hour' .* holds timestamps"):
        adapted(twin("cycle"), lines("a,2024-01-01,1,1"))


def test_an_absent_file_or_an_empty_folder_is_a_source_error(tmp_path):
    source = TableSource(kind="table", path="nowhere.csv", asset="machine", time="hour")
    with pytest.raises(SourceError, match=r"nowhere\.csv: no such file; correct the path"):
        table.fetch_table(source, tmp_path, tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "raw").mkdir()
    with pytest.raises(SourceError, match="no file is there"):
        table.fetch_table(source.model_copy(update={"path": "empty"}), tmp_path, tmp_path / "raw")


def test_an_adapted_twin_without_raw_data_says_which_stage_is_missing(tmp_path):
    contract = twin()
    with pytest.raises(SourceError, match="run the fetch stage first"):
        list(table.adapt_table(contract, contract.source, tmp_path))


def test_a_parquet_file_under_any_name_is_fetched_as_parquet(tmp_path):
    frame = pd.DataFrame({"machine": ["a"], "hour": [dt.datetime(2024, 1, 1)], "force": [1], "heat": [1]})
    (tmp_path / "raw").mkdir()
    frame.to_parquet(tmp_path / "press.csv")
    table.fetch_table(twin().source, tmp_path, tmp_path / "raw")

    assert [path.name for path in (tmp_path / "raw").iterdir()] == ["table.parquet"]


@pytest.mark.parametrize("kind", ["csv", "parquet", "packed"])
@pytest.mark.parametrize(
    "changes",
    [
        {"failure": "failed"},
        {"run": "life", "runs_end_in_failure": True, "time_order": "sort"},
        {"failure": "failed", "missing": "carry_forward_after_first", "rates": ["heat"]},
        {"time_format": "row", "failure": "failed"},
        {"time": "day", "time_zone": "Europe/Berlin", "time_order": "leave_out", "run": "life"},
    ],
    ids=["failure", "sorted runs", "gaps and rates", "row numbers", "local times"],
)
def test_the_rows_do_not_depend_on_the_pieces_that_a_file_is_read_in(tmp_path, monkeypatch, caplog, kind, changes):
    path, frame = tmp_path / f"press.{kind}", shuffled_fleet(gaps="missing" in changes)
    match kind:
        case "parquet":
            frame.to_parquet(path, row_group_size=37)
        case "packed":
            frame.to_csv(path, index=False, compression="gzip")
        case _:
            frame.to_csv(path, index=False)
    contract = twin("h", **changes)
    source = contract.source.model_copy(update={"path": path.name})
    read = []
    for least, block in ((1 << 18, 1 << 24), (30, 700)):
        monkeypatch.setattr("foretwin.sources.tabular.BLOCK", block)
        monkeypatch.setattr("foretwin.sources.files.blocks.BATCH", least)
        monkeypatch.setattr("foretwin.sources.files.rows.BATCH", least)
        monkeypatch.setattr("foretwin.sources.table.BUNDLE", least)
        caplog.clear()
        pieces = list(table.rows_in_pieces(contract, source, path))
        read.append((pd.concat(pieces, ignore_index=True), len(pieces), set(caplog.messages)))
    (whole, one, told), (merged, many, told_too) = read
    assert (one, told) == (1, {message for message in told_too if "clocks of" not in message} | told)
    assert many > 3
    pd.testing.assert_frame_equal(merged, whole)


def shuffled_fleet(gaps: bool) -> pd.DataFrame:
    """Ten machines with two lives of 20 hours each around a doubled hour, whose rows are interleaved in the file."""
    hour = np.tile(np.arange(40), 10)
    frame = pd.DataFrame({"machine": np.repeat([f"m{i}" for i in range(10)], 40), "hour": hour, "life": hour // 20})
    local = pd.to_datetime("2024-10-26T12:00Z") + pd.to_timedelta(hour, unit="h")
    frame["day"] = local.tz_convert("Europe/Berlin").strftime("%Y-%m-%dT%H:%M")
    generator = np.random.default_rng(1)
    frame["force"], frame["heat"] = generator.normal(50, 5, 400).round(3), np.cumsum(generator.random(400)).round(3)
    frame["failed"] = (hour % 20 == 19).astype(int)
    if gaps:
        frame.loc[(hour % 7 == 0).tolist(), "force"] = np.nan
    return frame.iloc[np.argsort(hour, kind="stable")].reset_index(drop=True)


@pytest.mark.parametrize(
    ("cell", "column", "reason"),
    [("hot", "heat", "'hot' is not a number"), ("", "force", r"is empty; fill it.* \(at least 2 rows in all\)")],
)
def test_a_cell_in_a_later_piece_is_named_by_its_line_in_the_file(tmp_path, monkeypatch, cell, column, reason):
    frame = shuffled_fleet(gaps=False).astype({column: "object"})
    frame.loc[[200, 201], column] = cell
    frame.to_csv(tmp_path / "press.csv", index=False)
    monkeypatch.setattr("foretwin.sources.tabular.BLOCK", 700)
    monkeypatch.setattr("foretwin.sources.files.rows.BATCH", 30)
    monkeypatch.setattr("foretwin.sources.table.BUNDLE", 400)
    contract = twin("h", failure="failed")
    with pytest.raises(SourceError, match=f"line 202: column '{column}': {reason}"):
        table.read_rows_of(contract, contract.source, tmp_path / "press.csv")
