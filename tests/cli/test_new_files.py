"""`foretwin new` on files as their owners have them: what it writes into twin.yaml reads them, without an edit."""

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat

from foretwin.contract.channels import Grid
from foretwin.contract.twin import Twin, load_twin
from foretwin.errors import ContractError
from foretwin.project.paths import Paths
from foretwin.sources import adapt, fetch
from support.commands import foretwin, refusal
from support.tiny_bundle import shipped_params
from support.written_table import workbook

LIFE, MACHINES = 40, 3
GERMAN = {
    "machine": "Maschine",
    "hour": "Zeitstempel",
    "temp": "Temperatur [°C]",
    "press": "Druck [bar]",
    "failed": "Ausfall",
}


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "params.yaml").write_text(shipped_params())
    monkeypatch.chdir(folder)
    return folder


def fleet(machines: int = MACHINES) -> pd.DataFrame:
    """Machines with a life each of 40 hours and more, that fail on the last row."""
    generator = np.random.default_rng(7)
    lengths = LIFE + 2 * np.arange(machines)
    hours = np.concatenate([np.arange(length) for length in lengths])
    frame = pd.DataFrame({"machine": np.repeat([f"M-{number}" for number in range(machines)], lengths), "hour": hours})
    frame["temp"] = np.round(20 + generator.normal(0, 1, len(frame)), 3)
    frame["press"] = np.round(980 + generator.normal(0, 30, len(frame)))
    frame["failed"] = (frame["hour"] == np.repeat(lengths, lengths) - 1).astype(int)
    return frame


def moments(frame: pd.DataFrame, form: str, step: str = "h") -> list[str]:
    return (pd.Timestamp("2024-01-01 08:00") + pd.to_timedelta(frame["hour"], step)).dt.strftime(form).tolist()


def drafted(files: str) -> tuple[Twin, str, pd.DataFrame]:
    """Run the command in the current folder; return the contract, the terminal, and the rows that the stages make."""
    done = foretwin("new", "mine", files)
    assert done.exit_code == 0, done.output
    paths = Paths(Path(), "mine")
    contract = load_twin(paths.contract)
    paths.raw.mkdir()
    fetch(contract, paths, paths.raw)
    return contract, " ".join(done.output.split()), adapt(contract, paths.raw)


def same(
    rows: pd.DataFrame, frame: pd.DataFrame, hours: bool = True, names: tuple[str, str] = ("temp", "press")
) -> None:
    """Compare canonical rows with the frame."""
    assert rows["asset"].tolist() == frame["machine"].tolist()
    np.testing.assert_allclose(rows[list(names)], frame[["temp", "press"]], rtol=1e-6)
    if hours:
        assert rows["time"].tolist() == frame["hour"].tolist()
    assert (rows["rul"] == 0).sum() == frame["failed"].sum()


def german(encoding: str) -> Callable[[pd.DataFrame], bytes]:
    return lambda frame: frame.rename(columns=GERMAN).to_csv(index=False, sep=";", decimal=",").encode(encoding)


WRITTEN: dict[str, tuple[Callable[[pd.DataFrame], bytes], dict[str, object]]] = {
    "decimal comma, German head": (german("utf-8"), {"decimal": ","}),
    "cp1252": (german("cp1252"), {"encoding": "cp1252", "decimal": ","}),
    "UTF-16": (german("utf-16"), {"encoding": None, "decimal": ","}),
    "a decimal comma beside a column of whole numbers": (
        lambda frame: frame.assign(press=frame["press"].astype(int)).to_csv(index=False, sep=";", decimal=",").encode(),
        {"decimal": ","},
    ),
    "a sep line": (lambda frame: ("sep=|\n" + frame.to_csv(index=False, sep="|")).encode(), {"separator": None}),
    "a line break in the header": (
        lambda frame: frame.rename(columns={"temp": "temp\n[degC]"}).to_csv(index=False).encode(),
        {"skip_lines": None},
    ),
    "thousands with points": (
        lambda frame: (
            frame.assign(
                temp=[f"{value:.3f}".replace(".", ",") for value in frame["temp"]],
                press=[f"{value:,.0f}".replace(",", ".") for value in frame["press"]],
            )
            .to_csv(index=False, sep=";")
            .encode()
        ),
        {"decimal": ",", "thousands": "."},
    ),
    "thousands with narrow blanks": (
        lambda frame: (
            frame.assign(
                temp=[f"{value:.3f}".replace(".", ",") for value in frame["temp"]],
                press=[f"{value:,.0f}".replace(",", "\u202f") for value in frame["press"]],
            )
            .to_csv(index=False, sep=";")
            .encode()
        ),
        {"decimal": ",", "thousands": " "},
    ),
    "preamble, units and footer": (
        lambda frame: (
            "Logger 7\n\nCreated today\n"
            + "machine\thour\ttemp\tpress\tfailed\n\ts\tdegC\thPa\t\n"
            + frame.to_csv(index=False, sep="\t", header=False)
            + "End of data\n"
        ).encode(),
        {"skip_lines": 3, "lines_after_header": 1, "footer_lines": 1},
    ),
    "whitespace": (
        lambda frame: frame.to_string(index=False, justify="left").encode(),
        {"separator": "whitespace"},
    ),
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_file_in_its_owners_notation_is_read_without_an_edit(project, kind):
    write, fields = WRITTEN[kind]
    frame = fleet()
    Path("export.csv").write_bytes(write(frame))
    contract, told, rows = drafted("export.csv")
    assert {name: getattr(contract.source, name) for name in fields} == fields
    heads = [name for name in contract.channels if name.startswith(("temp", "press", "druck"))]
    same(rows, frame, names=(heads[0], heads[1]))
    for name, value in fields.items():
        assert (f"{name}: taken as" in told) == (value is not None), "what was guessed is told"
    if kind.startswith("preamble"):
        assert {contract.channels["temp"].unit, contract.channels["press"].unit} == {"degC", "hPa"}


@pytest.mark.parametrize(
    ("form", "found"),
    [
        ("%d.%m.%Y %H:%M:%S", "day_first"),
        ("%d/%m/%Y %H:%M", "day_first"),
        ("%m/%d/%Y %I:%M %p", "month_first"),
        ("%Y-%m-%dT%H:%M:%S", None),
        ("%Y%m%d", "%Y%m%d"),
        ("%Y%m%d%H%M%S", "%Y%m%d%H%M%S"),
        ("%d. %B %Y %H:%M", "day_first"),
        ("%a, %d %b %Y %H:%M:%S GMT", "day_first"),
        ("%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M:%S %Y"),
    ],
)
def test_dates_in_any_order_are_read(project, form, found):
    frame = fleet()
    frame.assign(timestamp=moments(frame, form, "D")).drop(columns="hour").to_csv("export.csv", index=False)
    contract, _, rows = drafted("export.csv")
    assert (contract.source.time_format, contract.clock.unit, contract.clock.step) == (found, "d", 1)
    same(rows, frame)


@pytest.mark.parametrize(("day", "clock", "form"), [("Datum", "Uhrzeit", "%d.%m.%Y"), ("date", "time", "%Y-%m-%d")])
def test_a_date_and_a_time_of_day_beside_it_are_one_time(project, day, clock, form):
    frame = fleet()
    columns = {day: moments(frame, form), clock: moments(frame, "%H:%M")}
    frame.assign(**columns).drop(columns="hour").to_csv("export.csv", index=False, sep=";")
    contract, told, rows = drafted("export.csv")
    assert (contract.source.time, contract.source.time_of_day, contract.clock.unit) == (day, clock, "h")
    assert f"time_of_day: taken as \"{clock}\": beside the date in '{day}'" in told
    same(rows, frame)


@pytest.mark.parametrize("text", ["{}:00:00", "PT{}H", "0 days {:02}:00:00"])
def test_spans_of_time_are_ages_in_the_unit_that_a_step_reaches(project, text):
    frame = fleet().query("hour < 20").reset_index(drop=True)
    frame.assign(t=[text.format(hour) for hour in frame["hour"]]).drop(columns="hour").to_csv("export.csv", index=False)
    contract, told, rows = drafted("export.csv")
    assert (contract.source.time_format, contract.clock.unit, contract.clock.step) == ("duration", "h", 1)
    assert rows["time"].tolist() == frame["hour"].tolist()
    assert "'t' holds durations up to 19 h" in told


def test_moments_in_a_column_of_an_unknown_name_are_the_time(project):
    frame = fleet()
    stamps = (1_709_251_200_000 + 3_600_000 * frame["hour"]).tolist()
    frame.assign(logged=stamps).drop(columns="hour").to_csv("export.csv", index=False)
    contract, _, rows = drafted("export.csv")
    assert (contract.source.time, contract.source.time_format) == ("logged", "epoch_ms")
    same(rows, frame)


def test_dates_that_may_be_two_are_asked_for_by_field_and_read_once_it_is_set(project):
    frame = fleet()
    frame.assign(timestamp=moments(frame, "%d/%m/%Y %H:%M")).drop(columns="hour").to_csv("export.csv", index=False)
    done = foretwin("new", "mine", "export.csv")
    assert "1. time_format: day_first or month_first? '01/01/2024 08:00' may be both" in done.output
    path = Paths(Path(), "mine").contract
    text = path.read_text(encoding="utf-8")
    Paths(Path(), "mine").raw.mkdir()
    assert 'time_format: "ask"  # asked: day_first or month_first?' in text
    fetch(load_twin(path), Paths(Path(), "mine"), Paths(Path(), "mine").raw)
    with pytest.raises(ContractError, match=r"source\.time_format: '01/01/2024 08:00' may have its day or its month"):
        adapt(load_twin(path), Paths(Path(), "mine").raw)
    path.write_text(text.replace('time_format: "ask"', "time_format: day_first"), encoding="utf-8")
    same(adapt(load_twin(path), Paths(Path(), "mine").raw), frame)


def test_thousands_that_may_be_decimals_are_asked_for(project):
    frame = fleet()
    cells = [
        f"{1 + value % 4}.{value % 900 + 100}" if value % 3 else f"{value % 40 + 20}" for value in range(len(frame))
    ]
    frame.assign(press=cells, temp=frame["hour"] % 7 + 1).to_csv("export.csv", index=False, sep=";")
    done = foretwin("new", "mine", "export.csv")
    assert "thousands: '" in done.output
    assert "may have thousands or decimals" in " ".join(done.output.split())
    assert 'thousands: "ask"  # asked' in Paths(Path(), "mine").contract.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("cells", "listed", "policy"),
    [
        ({5: "I/O Timeout"}, None, "carry_forward"),
        ({0: "Bad"}, None, "carry_forward_after_first"),
        ({0: ""}, None, "carry_forward_after_first"),
        ({5: "Sensor kaputt", 6: "Sensor kaputt"}, ("Sensor kaputt",), "carry_forward"),
        ({5: "-999", 9: "-999.0"}, ("-999",), "carry_forward"),
        ({5: "65535", 9: "65535"}, ("65535",), "carry_forward"),
        ({5: "2147483647", 9: "2147483647"}, ("2147483647",), "carry_forward"),
    ],
)
def test_cells_without_a_value_are_missing_and_the_column_stays(project, cells, listed, policy):
    frame = fleet()
    temp = frame["temp"].astype("object")
    for row, cell in cells.items():
        temp.iloc[row] = cell
    frame.assign(temp=temp).to_csv("export.csv", index=False)
    contract, told, rows = drafted("export.csv")
    assert (contract.source.missing_values, contract.source.missing) == (listed, policy)
    assert set(contract.channels) == {"temp", "press"}
    assert rows["temp"].between(10, 30).all()
    assert len(rows) == len(frame) - (policy == "carry_forward_after_first")
    word = next(iter(cells.values()))
    assert not word or f"missing: '{word}' ({len(cells)}) are read as missing" in told


def test_beside_a_tag_that_is_measured_seldom_other_empty_cells_hold_the_value_before(project):
    frame = fleet()
    temp = frame["temp"].mask(frame.index.isin([5, 6]))
    frame.assign(iron=(frame["hour"] / 10).where(frame["hour"] % 8 == 2), temp=temp).to_csv("export.csv", index=False)
    contract, told, rows = drafted("export.csv")
    assert contract.channels["temp"].grid == Grid(take="last")
    assert not contract.channels["temp"].may_be_missing
    assert len(rows) == len(frame)
    assert rows["temp"].iloc[4:7].tolist() == pytest.approx([frame["temp"].iloc[4]] * 3)
    assert "grid: 'temp' is filled on 9" in told


def test_a_tag_that_is_measured_seldom_is_held(project):
    frame = fleet()
    frame.assign(iron=(frame["hour"] / 10).where(frame["hour"] % 8 == 2)).to_csv("export.csv", index=False)
    contract, told, rows = drafted("export.csv")
    assert set(contract.channels) == {"temp", "press", "iron"}
    assert contract.channels["iron"].grid == Grid(take="last", longest_age=16)
    assert rows["iron"].iloc[:11].tolist() == pytest.approx([np.nan] * 2 + [0.2] * 8 + [1.0], nan_ok=True)
    assert "grid: 'iron' is filled on 13% of the rows; a value holds for 16 h at most, then it is missing" in told


def test_a_channel_that_a_machine_never_has_costs_no_machine(project):
    frame = fleet()
    first = frame["machine"] == "M-0"
    frame.assign(iron=(10 * np.sin(frame["hour"])).round(1).where(~first)).to_csv("export.csv", index=False)
    contract, told, rows = drafted("export.csv")
    assert (contract.channels["iron"].grid, contract.channels["iron"].may_be_missing) == (None, True)
    assert len(rows) == len(frame)
    assert rows["iron"].isna().sum() == first.sum()
    assert "may_be_missing: some machines never have 'iron'" in told


@pytest.mark.parametrize("quality", [False, True])
def test_one_tag_per_row_becomes_columns(project, quality):
    frame = fleet()
    long = frame.assign(timestamp=moments(frame, "%Y-%m-%d %H:%M:%S")).melt(
        ["machine", "timestamp"], ["temp", "press"], "tag", "value"
    )
    if quality:
        long["quality"] = "Good"
        bad = long.iloc[[3]].assign(value=9999.0, quality="Bad", timestamp="2024-02-28 00:00:01")
        long = pd.concat([long, bad])
    long.to_csv("export.csv", index=False)
    contract, _, rows = drafted("export.csv")
    assert (contract.source.tag, contract.source.value) == ("tag", "value")
    assert contract.source.good_quality == (("Good",) if quality else None)
    rows = rows[rows["time"] == rows["time"].round()]
    same(rows, frame.assign(failed=0))


def test_three_decimals_that_may_be_thousands_are_told(project):
    frame = fleet()
    cells = [f"{1 + value % 4}.{value % 900:03}" for value in range(len(frame))]
    whole = frame.assign(press=cells, temp=frame["hour"] % 7)
    whole.to_csv("export.csv", index=False, sep=";")
    _, told, rows = drafted("export.csv")
    assert "decimal: '1.000' has three decimals; if these are thousands, write source.thousands" in told
    assert rows["press"].max() < 5


@pytest.mark.parametrize(("tag", "value"), [("sensor_id", "measurement"), ("kpi", "x")])
def test_tags_that_are_numbers_or_have_unknown_names_become_columns(project, tag, value):
    frame = fleet()
    known = {"temp": 101, "press": 102} if tag == "sensor_id" else {"temp": "temp", "press": "press"}
    long = frame.assign(timestamp=moments(frame, "%Y-%m-%d %H:%M:%S")).melt(
        ["machine", "timestamp"], ["temp", "press"], tag, value
    )
    long.assign(**{tag: long[tag].map(known), "Quality": "192"}).to_csv("export.csv", index=False)
    contract, _, rows = drafted("export.csv")
    assert (contract.source.tag, contract.source.value) == (tag, value)
    names = ("channel_101", "channel_102") if tag == "sensor_id" else ("temp", "press")
    same(rows, frame.assign(failed=0), names=names)


@pytest.mark.parametrize("archive", [False, True])
def test_a_file_for_each_machine_is_told_apart_by_the_path(project, archive):
    frame = fleet()
    names = {name: f"exports/pump{number + 9}.csv.gz" for number, name in enumerate(frame["machine"].unique())}
    Path("exports").mkdir()
    for name, part in frame.groupby("machine"):
        part.drop(columns="machine").to_csv(names[str(name)], index=False)
    Path("exports/readme.txt").write_text("one file for each pump\n")
    if archive:
        with zipfile.ZipFile("all.zip", "w") as packed:
            for path in Path("exports").iterdir():
                packed.write(path)
    contract, told, rows = drafted("all.zip" if archive else "exports")
    assert contract.source.pattern == "pump{asset}.csv.gz"
    assert "no column names the machine, so each file is of one: 3 in all" in told
    assert "1 of another shape are left out, such as" in told
    same(rows.assign(asset="M-" + (rows["asset"].astype(int) - 9).astype(str)), frame)


def test_one_machine_without_a_column_of_its_name_and_a_repeated_hour(project):
    hours = pd.date_range("2024-10-26", periods=60, freq="h", tz="Europe/Berlin")
    frame = pd.DataFrame({"Time": hours.strftime("%Y-%m-%d %H:%M"), "temp": np.random.default_rng(1).normal(20, 1, 60)})
    frame.to_csv("line_7.csv", index=False)
    contract, told, rows = drafted("line_7.csv")
    assert (contract.source.single_asset, contract.source.time_zone) == ("line-7", "Europe/Berlin")
    assert rows["time"].tolist() == list(range(60))
    assert "an hour is there twice" in told


@pytest.mark.parametrize(("order", "found"), [("newest first", "sort"), ("steps back", "leave_out")])
def test_a_falling_clock_is_told_and_never_taken_silently(project, order, found):
    hours = pd.date_range("2024-06-01", periods=300, freq="h")
    frame = pd.DataFrame({"timestamp": hours, "temp": np.random.default_rng(1).normal(20, 1, 300)})
    frame = frame.iloc[::-1] if found == "sort" else pd.concat([frame[:200], frame[198:200], frame[200:]])
    frame.to_csv("export.csv", index=False)
    contract, told, rows = drafted("export.csv")
    assert contract.source.time_order == found
    assert rows["time"].tolist() == list(range(300))
    assert "rows are not later than one before" in told


@pytest.mark.parametrize("name", ["export.jsonl", "export.jsonl.gz", "export.json"])
def test_records_of_json_are_rows_with_those_inside_them_by_dots(project, name):
    frame = fleet()
    readings = frame[["temp", "press"]].to_dict("records")
    others = frame.drop(columns=["temp", "press"]).to_dict("records")
    nested = [{**one, "readings": inside} for one, inside in zip(others, readings, strict=True)]
    text = json.dumps(nested, indent=1) if name.endswith(".json") else "\n".join(map(json.dumps, nested)) + "\n"
    Path(name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    _, told, rows = drafted(name)
    same(rows, frame, names=("readings_temp", "readings_press"))
    assert "the file is read as JSON" in told


def test_a_record_that_is_none_is_named_by_its_line(project):
    lines = [json.dumps(one) for one in fleet().to_dict("records")]
    Path("export.jsonl").write_text("\n".join([*lines[:9], lines[9][:-4], *lines[10:]]))
    assert "export.jsonl: line 10: is no JSON" in refusal("new", "mine", "export.jsonl")
    Path("export.jsonl").write_text("\n".join([*lines[:9], "[1]", *lines[10:]]))
    assert "export.jsonl: line 10: is no object" in refusal("new", "mine", "export.jsonl")


def test_a_remaining_life_is_no_clock_where_rows_come_newest_first(project):
    frame = fleet()
    rul = frame.groupby("machine")["hour"].transform("max") - frame["hour"]
    written = frame.drop(columns="failed").assign(rul=rul).iloc[::-1]
    written.to_csv("export.csv", index=False)
    contract, told, rows = drafted("export.csv")
    assert (contract.source.rul, contract.source.time, contract.source.time_order) == ("rul", "hour", "sort")
    same(rows.sort_values(["asset", "time"], ignore_index=True), frame)
    assert "rows are not later than one before" in told


@pytest.mark.parametrize(
    ("columns", "told"), [(("A.temp", "A.flow", "B.temp", "B.flow"), True), (("a_temp", "b_flow"), False)]
)
def test_machines_beside_each_other_are_told_where_they_would_be_taken_for_one(project, columns, told):
    values = np.random.default_rng(1).normal(20, 1, (300, len(columns)))
    frame = pd.DataFrame(values, columns=list(columns)).assign(hour=np.arange(300))
    frame.to_csv("export.csv", index=False)
    _, said, _ = drafted("export.csv")
    assert ("but temp, flow stand there for A, B each: if these are machines, write a row for each" in said) is told


def test_a_typeset_minus_is_a_minus_and_units_in_cells_are_named(project):
    frame = fleet().assign(temp=lambda one: -one["temp"])
    written = frame.assign(temp=frame["temp"].map("{:g}".format).str.replace("-", "\u2212"))
    written.to_csv("export.csv", index=False)
    _, _, rows = drafted("export.csv")
    same(rows, frame)
    frame[["machine", "hour"]].assign(load=frame["temp"].map("{:.1f} %".format)).to_csv("export.csv", index=False)
    Path("data/mine/twin.yaml").unlink()
    assert "'load' holds text on 126 of 126 rows, such as" in (told := refusal("new", "mine", "export.csv"))
    assert "numbers with '%' after them; write the numbers alone" in told


@pytest.mark.parametrize("shape", ["dates", "hours", "tags"])
def test_rows_in_no_order_are_sorted_and_that_is_told(project, shape):
    frame = fleet()
    written = frame.assign(timestamp=moments(frame, "%Y-%m-%d %H:%M")).drop(columns="hour")
    if shape == "hours":
        written = frame
    if shape == "tags":
        written = written.melt(["machine", "timestamp"], ["temp", "press"], "tag", "value")
    written.sample(frac=1, random_state=3).to_csv("export.csv", index=False, sep="|")
    contract, told, rows = drafted("export.csv")
    assert contract.source.time_order == "sort"
    assert "time_order: taken as" in told
    rows = rows.sort_values("asset", kind="stable", ignore_index=True)
    same(rows, frame.assign(failed=0) if shape == "tags" else frame)


def test_a_headless_table_counts_its_rows(project):
    frame = fleet()
    for name, part in frame.groupby("machine"):
        part[["temp", "press"]].to_csv(f"{name}.dat", index=False, header=False, sep=" ")
    contract, _, rows = drafted("*.dat")
    assert contract.source.names == ("column_1", "column_2")
    assert (contract.source.time_format, contract.clock.unit) == ("row", "row")
    rows = rows.assign(asset="M-" + rows["asset"])
    same(rows, frame.assign(failed=0), names=("column_1", "column_2"))


def test_a_file_of_the_same_notation_is_stored_as_the_twins_own(project, monkeypatch):
    from foretwin.sources.own_columns import own_columns
    from foretwin.sources.table import read_rows_of

    frame = fleet()
    Path("export.csv").write_bytes(german("cp1252")(frame))
    contract, _, _ = drafted("export.csv")
    Path("today.csv").write_bytes(german("cp1252")(frame[frame["hour"] < 5]))
    source = own_columns(contract, Path("today.csv"))
    assert source is not None
    rows = read_rows_of(contract, source, Path("today.csv"))
    same(rows, frame[frame["hour"] < 5].reset_index(drop=True), names=("temperatur", "druck"))

    monkeypatch.setenv("FORETWIN_STORE", f"sqlite:///{project}/twins.db")
    told = foretwin("ingest", "today.csv", "--twin", "mine").output
    assert f"{5 * MACHINES} readings stored" in told, told


def test_a_workbook_is_drafted_with_its_units(project):
    frame = fleet()
    cells = [["Report"], ["machine", "hour", "temp", "press", "failed"], ["", "h", "degC", "hPa", ""]]
    cells += [[str(row[0]), *row[1:]] for row in frame.itertuples(index=False)]
    Path("export.xlsx").write_bytes(workbook({"Data": cells}))
    contract, told, rows = drafted("export.xlsx")
    assert (contract.source.skip_lines, contract.source.lines_after_header) == (1, 1)
    assert (contract.channels["temp"].unit, contract.channels["press"].unit) == ("degC", "hPa")
    assert "the file is read as workbook" in told
    same(rows, frame)


def test_arrays_without_a_time_count_their_samples(project):
    savemat("bearing.mat", {"drive_end": np.sin(np.arange(300.0)), "fan_end": np.cos(np.arange(300.0)), "rpm": 1797})
    contract, told, rows = drafted("bearing.mat")
    assert set(contract.channels) == {"drive_end", "fan_end"}
    assert (contract.source.single_asset, contract.source.time_format) == ("bearing", "row")
    assert rows["time"].tolist() == list(range(300))
    assert "the file is read as arrays" in told


def test_files_of_other_kinds_in_the_folder_are_left_out(project):
    frame = fleet()
    Path("exports").mkdir()
    for name, part in frame.groupby("machine"):
        part.to_csv(f"exports/{name}.csv", index=False)
    Path("exports/manual.pdf").write_bytes(b"%PDF-1.7\n\0\1\2\0")
    contract, told, rows = drafted("exports")
    assert (contract.source.pattern, contract.source.asset) == ("M-{file}.csv", "machine")
    assert "1 of another shape are left out, such as manual.pdf" in told
    same(rows, frame)


DOCUMENTS = {
    "LICENSE": "MIT License\n\nCopyright (c) 2026 Somebody\n\nPermission is granted, free of charge, to any person\n",
    "README.md": "# Pumps\n\n| file | rows |\n| --- | --- |\n| fleet.csv | 120 |\n\nWritten on 2026-01-01, by hand.\n",
    "SHA256SUMS": f"{'0a' * 32}  fleet.csv\n{'b1' * 32}  README.md\n",
}


def test_documents_beside_a_single_table_are_left_out(project):
    frame = fleet()
    Path("published").mkdir()
    frame.to_csv("published/fleet.csv", index=False)
    for name, text in DOCUMENTS.items():
        Path("published", name).write_text(text)
    _, told, rows = drafted("published")
    assert "3 of another shape are left out, such as LICENSE" in told
    same(rows, frame)


def test_an_archive_among_documents_is_named(project):
    Path("published").mkdir()
    for name, text in DOCUMENTS.items():
        Path("published", name).write_text(text)
    with zipfile.ZipFile("published/fleet.zip", "w") as packed:
        packed.writestr("fleet.csv", fleet().to_csv(index=False))
    assert "fleet.zip: is an archive" in refusal("new", "mine", "published")


def test_a_place_without_files_is_refused(project):
    Path("empty.xlsx").write_bytes(workbook({"Sheet1": []}))
    assert "is empty" in refusal("new", "mine", "empty.xlsx")
    assert "no such file" in refusal("new", "mine", "nowhere.csv")
    Path("empty").mkdir()
    assert "no file is there" in refusal("new", "mine", "empty")
