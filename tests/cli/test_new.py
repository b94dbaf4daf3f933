"""`foretwin new` as users type it: what it drafts from labels, names, counters and dates, and what it says of it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretwin.contract.twin import Twin, load_twin
from foretwin.dataset.table import fault_column
from foretwin.project.paths import Paths
from foretwin.sources import adapt, fetch
from support.commands import foretwin
from support.tiny_bundle import shipped_params

LIFE, MACHINES = 60, 6
SEPARATORS = {"commas": ",", "semicolons": ";", "tabs": "\t"}


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "params.yaml").write_text(shipped_params())
    (folder / "pipelines").mkdir()
    (folder / "pipelines" / "chain.yaml").write_text("stages: {}\n")
    monkeypatch.chdir(folder)
    return folder


def fleet(**columns) -> pd.DataFrame:
    """Machines with lives of different length, that fail on their last row; `columns` are functions of the frame."""
    generator = np.random.default_rng(3)
    lengths = LIFE + 3 * np.arange(MACHINES)
    frame = pd.DataFrame({"machine": np.repeat([f"M-{i:02d}" for i in range(MACHINES)], lengths)})
    frame["hour"] = np.concatenate([np.arange(length) for length in lengths])
    frame["temp"] = 60 + generator.normal(0, 1, len(frame))
    frame["load"] = generator.choice([0.5, 0.75, 1.0], len(frame))
    left = np.repeat(lengths, lengths) - 1 - frame["hour"]
    frame = frame.assign(left=left)
    made = {name: values(frame) if callable(values) else values for name, values in columns.items()}
    return frame.assign(**made).drop(columns=["left"])


def failing(frame: pd.DataFrame) -> "pd.Series[int]":
    return (frame["left"] == 0).astype(int)


def drafted(
    frame: pd.DataFrame, separator: str = ",", parquet: bool = False, labels: str | None = None
) -> tuple[Twin, str, pd.DataFrame]:
    """Run the command in the current folder; return the contract, the terminal, and the rows that the stages make."""
    file = Path("export.parquet" if parquet else "export.csv")
    frame.to_parquet(file) if parquet else frame.to_csv(file, index=False, sep=separator)
    done = foretwin("new", "mine", str(file), *(("--labels", labels) if labels else ()))
    assert done.exit_code == 0, done.output
    assert max(map(len, done.output.splitlines())) <= 80
    paths = Paths(Path(), "mine")
    contract = load_twin(paths.contract)
    paths.raw.mkdir()
    fetch(contract, paths, paths.raw)
    return contract, " ".join(done.output.split()), adapt(contract, paths.raw)


@pytest.mark.parametrize("notation", [*SEPARATORS, "Parquet"])
@pytest.mark.parametrize("cells", [(0, 1), (0.0, 1.0), (False, True), ("no", "yes"), ("falsch", "wahr")])
def test_a_flag_becomes_a_fault_axis_and_never_a_channel(project, cells, notation):
    late = fleet(anomaly=lambda frame: np.where(frame["left"] < 20, cells[1], cells[0]))
    contract, told, rows = drafted(late, SEPARATORS.get(notation, ","), notation == "Parquet")
    assert list(contract.channels) == ["temp", "load"]
    assert contract.faults["anomaly"].classes.keys() == {"healthy", "anomaly"}
    assert (rows["fault_anomaly"] == 1).sum() == 20 * MACHINES
    assert contract.rul is None, "nothing says when a machine failed"
    assert "faults: the axis anomaly is read from 'anomaly': healthy, or anomaly." in told
    assert "'anomaly' looks like a label" in told
    assert f"text with {notation} between its fields" in told or notation == "Parquet"


@pytest.mark.parametrize(
    "name",
    [
        *("changepoint", "Failure Type", "fault_code", "target", "Machine failure mode", "Label", "is_anomaly"),
        *("defect", "Störung", "Ausfall", "panne", "défaut", "avería", "class", "outlier"),
        *("Fehlercode", "faulttype", "attack", "alarm"),
    ],
)
def test_a_column_with_the_name_of_a_label_is_no_channel_in_any_language(project, name):
    contract, told, _ = drafted(fleet(**{name: lambda frame: frame["hour"] % 3, "failed": failing}))
    assert list(contract.channels) == ["temp", "load"]
    assert contract.regimes is None
    assert f"'{name}' looks like a label" in told
    assert len(contract.faults) == 1, "its few values are classes"


@pytest.mark.parametrize(
    "name",
    [
        *("cycles_left", "life_pct", "Remaining useful life", "time_to_failure", "hours remaining", "Restlaufzeit"),
        *("state_of_health", "lifetime used", "RUL [h]"),
    ],
)
def test_what_is_left_of_a_life_is_no_channel_by_its_name(project, name):
    generator = np.random.default_rng(1)
    noisy = fleet(**{name: lambda frame: frame["left"] + generator.normal(0, 5, len(frame)), "failed": failing})
    contract, told, _ = drafted(noisy)
    assert list(contract.channels) == ["temp", "load"]
    assert f"'{name}' looks like what is left of a life" in told


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("x1", lambda frame: frame["left"]),
        ("x2", lambda frame: (100 * frame["hour"] / (frame["hour"] + frame["left"])).round(1)),
        ("x3", lambda frame: 5000 + 2.0 * frame["hour"]),
    ],
    ids=["countdown", "share of life", "age"],
)
def test_what_counts_the_life_is_no_channel_whatever_its_name(project, name, values):
    contract, told, _ = drafted(fleet(**{name: values, "failed": failing}))
    assert list(contract.channels) == ["temp", "load"]
    assert f"'{name}' counts the life down or up by itself" in told


def test_flags_that_hold_rarely_or_near_the_ends_are_labels_and_others_settings(project):
    columns = {
        "late": lambda frame: (frame["left"] < 8).astype(int),
        "rare": lambda frame: (frame["hour"] == 30).astype(int),
        "valve": lambda frame: (frame["hour"] // 7) % 2,
        "failed": failing,
    }
    contract, told, rows = drafted(fleet(**columns))
    assert list(contract.channels) == ["temp", "load", "valve"]
    assert contract.channels["valve"].role == "setting"
    assert "'late' is true near the ends of lives, as a label is" in told
    assert "'rare' is true on" in told
    assert contract.classes("fault") == ("healthy", "late", "rare"), "two modes that exclude each other: one axis"
    assert set(rows["fault_fault"]) == {0, 1, 2}


def test_two_questions_are_two_axes(project):
    columns = {
        "anomaly": lambda frame: (frame["left"] < 20).astype(float),
        "changepoint": lambda frame: (frame["left"] == 19).astype(float),
    }
    contract, _, rows = drafted(fleet(**columns))
    assert list(contract.faults) == ["anomaly", "changepoint"]
    assert (rows[fault_column("changepoint")] == 1).sum() == MACHINES


def test_codes_become_classes_and_the_commonest_or_the_normal_one_is_healthy(project):
    kinds = np.array(["No Failure", "Tool wear", "3", "unknown"])
    columns = {
        "failure_type": lambda frame: kinds[np.where(frame["left"] < 20, frame["hour"] % 4, 0)],
        "failed": failing,
    }
    contract, _, rows = drafted(fleet(**columns))
    assert contract.classes("failure_type") == ("healthy", "tool_wear", "class_3", "unknown_2")
    assert (rows["fault_failure_type"] >= 0).all()
    assert contract.rul is not None


@pytest.mark.parametrize("words", [("OK", "FAULT"), ("i.O.", "n.i.O."), ("normal", "broken"), ("0", "E17")])
def test_words_of_faults_are_labels_whatever_the_column_is_called(project, words):
    name = "Fehlercode" if "E17" in words else "state"
    contract, told, rows = drafted(fleet(**{name: lambda frame: np.where(frame["left"] < 20, words[1], words[0])}))
    assert list(contract.channels) == ["temp", "load"]
    assert (rows[f"fault_{name.lower()}"] == 1).sum() == 20 * MACHINES
    assert f"'{name}' holds '{words[1]}', as a label does" in told or "looks like a label" in told
    assert "taken as missing" not in told


@pytest.mark.parametrize("shuffled", [False, True])
def test_time_and_end_of_life_are_found_under_names_that_nobody_knows(project, shuffled):
    frame = fleet(отказ=failing).rename(columns={"hour": "время", "machine": "насос"})
    contract, _, rows = drafted(frame.sample(frac=1, random_state=1) if shuffled else frame)
    assert (contract.source.asset, contract.source.time, contract.source.failure) == ("насос", "время", "отказ")
    assert list(contract.channels) == ["temp", "load"]
    assert (rows["rul"] == 0).sum() == MACHINES


def test_a_failure_flag_that_stays_true_marks_no_ends_of_lives(project):
    contract, _, _ = drafted(fleet(failure=lambda frame: (frame["left"] < 10).astype(int)))
    assert contract.source.failure is None
    assert contract.classes("failure") == ("healthy", "failure")


@pytest.mark.parametrize("numbered", [False, True])
def test_names_in_two_spellings_are_one_machine(project, numbered):
    frame = fleet(failed=failing)
    frame["machine"] = frame["machine"].where(frame["hour"] < 30, frame["machine"].str.lower() + "\u200b")
    if numbered:
        numbers = frame["machine"].str.strip("\u200b").str.upper().factorize()[0] + 7
        frame["machine"] = np.where(frame["hour"] < 30, numbers.astype(str), np.char.zfill(numbers.astype(str), 3))
    contract, told, rows = drafted(frame)
    assert contract.source.spellings == "join"
    assert rows["asset"].nunique() == MACHINES == contract.quality.min_assets
    assert "spellings: names that differ only in case" in told


def test_a_counter_is_read_as_its_rate(project):
    contract, told, rows = drafted(
        fleet(energy=lambda frame: 3_300_000_000 + 7 * np.arange(len(frame)), failed=failing)
    )
    assert contract.source.rates == ("energy",)
    assert rows["energy"].unique().tolist() == [7]
    assert "rates: 'energy' moves too little for its size" in told


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (lambda frame: 20_240_101 + frame["hour"] % 28, "holds dates written as numbers, such as 20240101"),
        (lambda frame: 1_709_251_200 + 3600 * frame["hour"] % 9999, "holds moments of time (s since 1970)"),
        (lambda frame: np.arange(len(frame)), "is the number of the row"),
        (lambda frame: frame["machine"] + " by Ms Lee", "list those that machines share as `categories`"),
        (lambda frame: frame["temp"].where(frame["hour"] % 30 == 0), "is empty on more than half of the rows"),
    ],
    ids=["dates", "epoch", "row number", "words of one machine", "gaps"],
)
def test_every_column_left_out_is_told_with_the_reason(project, values, reason):
    contract, told, _ = drafted(fleet(extra=values, failed=failing))
    assert list(contract.channels) == ["temp", "load"]
    assert f"- 'extra' {'holds text on ' if 'categories' in reason else ''}" in told
    assert reason in told


def test_words_become_a_category_and_empty_cells_take_the_last_one(project):
    recipe = lambda frame: np.take(["Steel", "steel ", "Brass", "", "unknown"], frame["hour"] % 5)  # noqa: E731
    contract, told, rows = drafted(fleet(recipe=recipe, failed=failing))
    assert contract.channels["recipe"].categories == ("Brass", "Steel")
    assert "categories: 'recipe' holds one of 2 words (Brass, Steel)" in told
    assert rows["recipe"].tolist()[:5] == [2, 2, 1, 1, 0], "another word is unknown"


def test_dates_written_as_numbers_are_read_as_dates(project):
    days = {
        "date": lambda frame: (pd.Timestamp("2024-01-25") + pd.to_timedelta(frame["hour"], "D")).dt.strftime("%Y%m%d")
    }
    contract, told, rows = drafted(fleet(**days).drop(columns="hour"))
    assert (contract.source.time_format, contract.clock.unit, contract.clock.step) == ("%Y%m%d", "d", 1)
    assert rows["time"].max() == LIFE + 3 * (MACHINES - 1) - 1
    assert 'time_format: taken as "%Y%m%d": dates written as numbers' in told


@pytest.mark.parametrize(("unit", "hour"), [("s", 3600), ("ms", 3_600_000)])
def test_times_since_1970_are_no_age_of_a_machine(project, unit, hour):
    frame = fleet(
        failed=failing, ts=lambda frame: 1_709_251_200 * (1 if unit == "s" else 1000) + hour * np.arange(len(frame))
    ).drop(columns="hour")
    contract, told, rows = drafted(frame)
    assert not contract.clock.counts_from_start
    assert (contract.clock.unit, contract.source.time_format) == ("h", f"epoch_{unit}")
    assert rows.groupby("asset")["time"].min().eq(0).all(), "each life counts from its first row"
    assert "'ts' holds dates from 2024-03-01" in told


@pytest.mark.parametrize(("same", "counts"), [(False, True), (True, False)])
def test_an_age_is_an_input_only_where_lives_differ(project, same, counts):
    frame = fleet(failed=failing)
    if same:
        frame = frame[frame["hour"] < LIFE].assign(failed=lambda frame: (frame["hour"] == LIFE - 1).astype(int))
    contract, told, _ = drafted(frame)
    assert contract.clock.counts_from_start is counts
    assert ("tells its remaining life by itself" in told) is same


def test_a_label_that_the_row_number_tells_is_named(project):
    _, told, _ = drafted(fleet(anomaly=lambda frame: (frame["hour"] >= 40).astype(int)))
    assert "the row number within a run tells anomaly by itself, with an F1 of 1.00" in told


def test_values_far_from_the_rest_are_told(project):
    _, told, _ = drafted(
        fleet(press=lambda frame: 990 + frame["hour"] % 10 - 988.5 * (frame["hour"] == 3), failed=failing)
    )
    assert f"values are far from the rest, in 'press' ({MACHINES}: 4.5)." in told


def test_the_costliest_assumption_comes_first_and_a_silent_machine_is_noticed(project):
    frame = fleet(failed=failing)
    contract, told, _ = drafted(frame[frame["hour"] != 7])
    places = [told.index(f"{number}. {what}") for number, what in enumerate(("failure:", "asset:", "time:"), 1)]
    assert places == sorted(places)
    assert contract.cases.stale_after == 24


def test_bursts_do_not_make_a_clock_that_jumps(project):
    frame = fleet(failed=failing, second=lambda frame: frame["hour"] // 5 * 36_000 + frame["hour"] % 5)
    contract, _, _ = drafted(frame.drop(columns="hour"))
    assert contract.clock.longest_gap >= 36_000
    assert contract.cases.stale_after >= 36_000


def test_a_link_stays_a_link_and_paths_in_the_project_are_relative(project):
    fleet(failed=failing).to_csv("january.csv", index=False)
    fleet(failed=failing).iloc[:-5].to_csv("february.csv", index=False)
    (project / "data" / "mine").mkdir(parents=True)
    link = project / "data" / "mine" / "current.csv"
    link.symlink_to("../../january.csv")
    assert foretwin("new", "mine", "data/mine/current.csv").exit_code == 0
    contract = load_twin(Paths(project, "mine").contract)
    assert contract.source.path == "current.csv"
    assert foretwin("new", "other", str(project / "january.csv")).exit_code == 0
    assert load_twin(Paths(project, "other").contract).source.path == "../../january.csv"

    lengths = []
    for month in ("january", "february"):
        link.unlink()
        link.symlink_to(f"../../{month}.csv")
        raw = project / month
        raw.mkdir()
        fetch(contract, Paths(project, "mine"), raw)
        lengths.append(len(adapt(contract, raw)))
    assert lengths[0] - lengths[1] == 5, "fetch reads what the link names now"


def test_a_file_outside_the_project_is_named_from_the_root(project, tmp_path):
    fleet(failed=failing).to_csv(tmp_path / "press.csv", index=False)
    assert foretwin("new", "mine", "../press.csv").exit_code == 0
    assert load_twin(Paths(project, "mine").contract).source.path == str(tmp_path / "press.csv")


def test_what_an_experiment_needs_in_git_is_named(project):
    fleet(failed=failing).to_csv("press.csv", index=False)
    foretwin("new", "mine", "press.csv")
    assert "git add" not in foretwin("add", "mine").output
    (project / ".git").mkdir()
    assert "  git add params.yaml data/mine/{twin,chain,dvc}.yaml\n" in foretwin("add", "mine").output


@pytest.mark.parametrize("name", ["failure", "Machine failure", "defect"])
def test_one_row_per_machine_is_a_question_of_risk_without_a_life(project, name):
    frame = fleet(**{name: lambda frame: frame["hour"] % 5 == 0, "date": "2024-05-31"}).drop(columns="hour")
    frame["machine"] = [f"D-{number}" for number in range(len(frame))]
    contract, told, rows = drafted(frame)
    assert contract.rul is None
    assert (contract.window.length, contract.quality.min_run_rows) == (1, 1)
    assert rows["asset"].nunique() == len(rows)
    assert (rows[fault_column(*contract.axes)] == 1).sum() == frame[name].sum()
    assert f"is read from {name!r}: healthy, or" in told


def two_presses() -> pd.DataFrame:
    hours = pd.date_range("2024-05-01", periods=80, freq="h")
    frame = pd.DataFrame({"press": ["P-1"] * 80 + ["P-2"] * 80, "time": [*hours, *hours]})
    return frame.assign(force=np.sin(np.arange(160.0)))


@pytest.mark.parametrize("key", ["plant/export.csv", "export.csv", None])
def test_spans_in_json_become_a_fault_axis(project, key):
    pairs = [["2024-05-01 10:00:00", "2024-05-01 19:00:00"]]
    others = {"plant/other.csv": []} if key else {}
    Path("spans.json").write_text(json.dumps({key: pairs, **others} if key else pairs))
    contract, told, rows = drafted(two_presses(), labels="spans.json")
    spans = contract.source.faults["anomaly"].spans
    assert (spans.path, spans.key) == ("../../spans.json", key)
    assert rows.groupby("asset")["fault_anomaly"].sum().tolist() == [10, 10]
    assert contract.rul is None
    assert "the axis anomaly is read from the spans of time in ../../spans.json: healthy, or anomaly" in told


def test_a_log_of_spans_becomes_an_axis_with_its_reasons(project):
    log = "Reason;Press;Start Time;End Time\njam;p-1;2024-05-01 10:00;2024-05-01 11:00\n"
    Path("log.csv").write_text(log + "Too hot;P-2;2024-05-01 15:00;2024-05-01 17:00\njam;P-2;2024-05-02;2024-05-02\n")
    contract, _, rows = drafted(two_presses(), labels="log.csv")
    assert contract.classes("anomaly") == ("healthy", "jam", "too_hot")
    counts = rows.groupby(["asset", "fault_anomaly"]).size()
    assert counts.to_dict() == {("P-1", 0): 78, ("P-1", 1): 2, ("P-2", 0): 76, ("P-2", 1): 1, ("P-2", 2): 3}


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("spans.json", '{"a": [], "b": []}', "no key of 2 is named as export.csv: 'a', 'b'"),
        ("log.csv", "what,for\n1,2\n", "no column seems to be where a span begins"),
        ("none.json", None, "cannot be read"),
    ],
)
def test_labels_that_cannot_be_understood_are_an_error(project, name, content, problem):
    if content is not None:
        Path(name).write_text(content)
    two_presses().to_csv("export.csv", index=False)
    done = foretwin("new", "mine", "export.csv", "--labels", name)
    assert done.exit_code == 1
    assert problem in " ".join(done.output.split())


def test_the_words_of_a_pattern_are_columns_and_each_file_a_machine(project):
    Path("rig").mkdir()
    for fault in range(24):
        for part in ("", "_late"):
            pd.DataFrame({"heat": np.arange(40.0) % 7, "flow": 3.5}).to_csv(
                f"rig/d{fault:02d}{part}.dat", header=False, index=False
            )
    done = foretwin("new", "mine", "rig", "--pattern", "d{fault:d}*.dat")
    assert done.exit_code == 0, done.output
    contract = load_twin(Paths(Path(), "mine").contract)
    assert (contract.source.asset, contract.source.pattern) == ("file name", "d{fault:d}*.dat")
    assert contract.axes == ("fault",)
    assert len(contract.classes("fault")) == 24
    assert tuple(contract.channels) == ("column_1", "column_2")


def test_files_of_one_machine_are_one_record(project):
    Path("line").mkdir()
    for number, name in enumerate(["C8", "C13-1", "C13-2"]):
        frame = pd.DataFrame({"hour": np.arange(40.0) + 40 * number, "heat": np.arange(40.0) % 7})
        frame.to_csv(f"line/{name}.csv", index=False)
    done = foretwin("new", "mine", "line", "--pattern", "C{asset:d}*.csv")
    assert done.exit_code == 0, done.output
    assert "2 in all" in " ".join(done.output.split())


def test_the_name_of_a_single_file_has_words_too(project):
    two_presses().drop(columns="press").head(80).to_csv("P7-export.csv", index=False)
    done = foretwin("new", "mine", "P7-export.csv", "--pattern", "{asset}-export.csv")
    assert done.exit_code == 0, done.output
    assert load_twin(Paths(Path(), "mine").contract).source.asset_column == "asset"
    refused = foretwin("new", "other", "P7-export.csv", "--pattern", "{asset}.dat")
    assert refused.exit_code == 1
    assert "its path does not end as {asset}.dat" in refused.output
