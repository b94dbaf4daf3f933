import re

import numpy as np
import pandas as pd
import pytest

from foretwin.contract.holdout import Holdout
from foretwin.contract.twin import load_twin
from foretwin.dataset.table import column_types
from foretwin.errors import ContractError, SourceError
from foretwin.project.paths import Paths
from foretwin.sources import adapt, fetch
from foretwin.validation.few_units import LabelledUnits, few_units_hints
from foretwin.validation.scaffold.draft import draft_contract
from foretwin.validation.scaffold.measures import is_setting, widened


def fleet(assets: int = 6, life: int = 80, **columns) -> pd.DataFrame:
    """`assets` machines with `life` hourly rows each: a level in steps and a drifting temperature."""
    hours = np.tile(np.arange(life), assets)
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "machine": np.repeat([f"m{number}" for number in range(assets)], life),
            "hour": hours,
            "load": np.take([0.5, 0.75, 1.0], hours % 3),
            "Temp [°C]": 60 + 0.1 * hours + rng.normal(0, 1, len(hours)),
        }
        | columns
    )


def failing(assets: int) -> pd.DataFrame:
    """The fleet, each machine of which fails in its last row."""
    return fleet(assets).assign(failed=lambda frame: frame["hour"] == 79)


@pytest.fixture
def made(tmp_path):
    """Write the table, describe it, load what was written, and bring it through fetch and adapt."""

    def run(frame: pd.DataFrame, parquet: bool = False):
        file = tmp_path / ("export.parquet" if parquet else "export.csv")
        frame.to_parquet(file) if parquet else frame.to_csv(file, index=False)
        paths = Paths(tmp_path / "project", "mine")
        paths.data.mkdir(parents=True)
        text = draft_contract("mine", file).text
        paths.contract.write_text(text, encoding="utf-8")
        contract = load_twin(paths.contract)
        paths.raw.mkdir()
        fetch(contract, paths, paths.raw)
        rows = adapt(contract, paths.raw)
        assert {name: str(dtype) for name, dtype in rows.dtypes.items()} == column_types(contract)
        for name, channel in contract.channels.items():
            assert channel.min <= rows[name].min() <= rows[name].max() <= channel.max
        return contract, rows, text

    return run


def test_a_failure_flag_with_a_numeric_time(made):
    frame = fleet()
    contract, rows, text = made(frame.assign(failed=(frame["hour"] == 79).astype(int)))

    assert (contract.source.asset, contract.source.time, contract.source.failure) == ("machine", "hour", "failed")
    assert (contract.clock.unit, contract.clock.step, contract.clock.counts_from_start) == ("h", 1, False)
    assert {name: channel.role for name, channel in contract.channels.items()} == {"load": "setting", "temp": "sensor"}
    assert contract.channels["temp"].unit == "°C"
    assert contract.channels["load"].unit == "?"
    assert contract.rul.cap == 47, "60 % of 79 hours"
    assert contract.window.length == 20, "a quarter of a life"
    assert contract.quality.min_assets == 6
    assert (rows["rul"] == 0).sum() == 6
    assert "guessed" in text


def test_timestamps_and_a_rul_column_in_parquet(made):
    frame = fleet()
    frame["hour"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(frame["hour"] * 30, unit="min")
    frame = frame.rename(columns={"hour": "Zeitstempel"}).assign(RUL=np.tile(np.arange(80)[::-1] * 30.0, 6))
    contract, rows, _ = made(frame, parquet=True)

    assert (contract.source.time, contract.source.rul) == ("Zeitstempel", "RUL")
    assert (contract.clock.unit, contract.clock.step) == ("min", 30)
    assert contract.rul.cap == 1400
    assert rows["time"].max() == 79 * 30
    assert "RUL" not in contract.source.columns.values(), "a label must not become a channel"


@pytest.mark.parametrize(
    ("seconds", "unit", "step"), [(0.5, "s", 0.5), (1, "s", 1), (90, "min", 1.5), (7200, "h", 2), (86400, "d", 1)]
)
def test_the_clock_of_timestamps_is_the_largest_unit_that_a_step_fills(made, seconds, unit, step):
    frame = fleet()
    frame["hour"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(frame["hour"] * seconds, unit="s")
    contract, _, _ = made(frame.rename(columns={"hour": "time"}))

    assert (contract.clock.unit, contract.clock.step) == (unit, step)


def snapshots(count: int = 400) -> pd.DataFrame:
    """One row for each of `count` drives, a tenth of which failed."""
    rng = np.random.default_rng(2)
    wear = rng.uniform(0, 100, count)
    return pd.DataFrame(
        {
            "row": np.arange(1, count + 1),
            "Serial number": [f"Z{number:05d}" for number in rng.permutation(count)],
            "grade": np.take(["L", "M", "H"], rng.integers(0, 3, count)),
            "Wear [min]": wear,
            "Broken": (wear > 90).astype(int),
        }
    )


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("name", ["Serial number", "Chargenkennung"])
@pytest.mark.parametrize("dated", [False, True])
def test_a_table_of_one_row_per_machine_is_a_risk_without_a_history(made, shuffled, name, dated):
    frame = snapshots().rename(columns={"Serial number": name})
    if dated and name == "Serial number":
        frame["date"] = np.take(["2024-03-01", "2024-03-02", "2024-04-09"], frame["row"] % 3)
    frame = frame.sample(frac=1, random_state=1) if shuffled else frame
    contract, rows, text = made(frame)

    assert (contract.source.asset, contract.window.length, contract.quality.min_run_rows) == (name, 1, 1)
    assert contract.rul is None
    assert contract.axes == ("broken",)
    assert set(contract.channels) == {"grade", "wear"}, "neither the number of the row nor the date is a channel"
    assert '"?"' not in text.split("channels:")[0], "no unit is asked for, since no clock is needed"
    assert (rows["time"] == 0).all()
    by_name = rows.set_index("asset").loc[frame[name]]
    assert (by_name["fault_broken"].to_numpy() == frame["Broken"].to_numpy()).all()
    np.testing.assert_allclose(by_name["wear"], frame["Wear [min]"], rtol=1e-6)


def test_numbered_readings_of_one_machine_are_no_machines(made):
    hours = pd.date_range("2024-01-01", periods=300, freq="h")
    frame = pd.DataFrame({"id": range(300), "timestamp": hours, "heat": np.sin(np.arange(300.0)), "alarm": 0})
    frame.loc[50:60, "alarm"] = 1
    contract, _, _ = made(frame)

    assert contract.source.single_asset == "export"
    assert contract.window.length > 1


def test_weird_column_names_become_channels_that_map_back(made):
    columns = {
        "Druck (bar)": 5.0,
        "Öl-Temp. [°C]": 50.0,
        "2nd stage": 1.5,
        "fault code": 1.0,
        "温度": 3.0,
        "run": 1,
        "run ": 7.0,
    }
    frame = fleet().rename(columns={"Temp [°C]": 'Temp: "T1" # [°C]'})
    contract, _, text = made(
        frame.assign(**{name: value + np.sin(frame["hour"]) * (name != "run") for name, value in columns.items()})
    )

    assert dict(contract.source.columns) == {
        "temp_t1": 'Temp: "T1" # [°C]',
        "druck": "Druck (bar)",
        "ol_temp": "Öl-Temp. [°C]",
        "channel_2nd_stage": "2nd stage",
        "channel": "温度",
        "channel_run": "run ",
    }
    assert contract.source.run == "run"
    assert contract.channels["druck"].unit == "bar"
    assert '"fault code": looks like a label' in text


def test_columns_that_differ_in_nothing_but_the_unit_stay_apart(made):
    frame = fleet()
    contract, _, _ = made(frame.assign(**{"Temp [K]": frame["Temp [°C]"] + 273}))

    assert dict(contract.source.columns) == {"temp": "Temp [°C]", "temp_2": "Temp [K]"}


def test_constant_and_tiny_columns_load(made):
    frame = fleet()
    contract, _, _ = made(
        frame.assign(zero=0.0, offset=-3.25, leak=1e-9 * np.sin(frame["hour"]), huge=1e12 * np.sin(frame["hour"]))
    )

    assert contract.quality.may_be_constant == ("zero", "offset")
    assert contract.channels["leak"].max < 1e-6
    assert contract.channels["leak"].role == "sensor"


def test_a_table_without_labels_says_what_is_missing_and_still_loads(made):
    contract, rows, text = made(fleet())

    assert rows["rul"].isna().all()
    assert not contract.source.runs_end_in_failure
    assert "No column seems to say when a machine failed: what is normal is learnt" in text


def test_text_and_half_empty_columns_are_left_out_with_the_reason(made):
    frame = fleet()
    gaps = frame["hour"].where(frame["hour"] % 40 == 0)
    _, _, text = made(frame.assign(note="checked", sparse=gaps))

    assert "\"note\": holds one text on every row, 'checked'" in text
    assert '"sparse": is empty on more than half of the rows' in text


def test_gaps_are_carried_forward(made):
    frame = fleet()
    frame.loc[5, "load"] = np.nan
    contract, rows, _ = made(frame)

    assert contract.source.missing == "carry_forward"
    assert rows["load"].notna().all()


def test_a_clock_that_begins_far_from_zero_is_no_age(made):
    contract, _, _ = made(fleet().assign(hour=lambda frame: frame["hour"] + 50_000))

    assert not contract.clock.counts_from_start


def test_few_machines_are_dealt_by_how_their_lives_ended_and_it_is_told_what_that_is_worth(made):
    contract, rows, text = made(failing(4))

    assert (contract.quality.min_assets, contract.quality.min_failures) == (4, 3)
    assert contract.holdout == Holdout(stratify=True)
    assert "holdout:  # 4 labelled machines are few" in text
    assert (
        "of 4 labelled machines 1 would be held out"
        in few_units_hints(LabelledUnits.of(rows, contract), contract.holdout)[0]
    )


def test_the_lives_of_one_machine_are_each_held_out_whole(made):
    lives = [failing(1).assign(hour=lambda frame, n=n: frame["hour"] + 1000 * n) for n in range(4)]
    contract, rows, text = made(pd.concat(lives, ignore_index=True))

    assert contract.holdout == Holdout(by="run")
    assert "1 machine had 4 labelled lives: each life is held out whole" in text
    assert rows["run"].nunique() == 4


@pytest.mark.parametrize("lives", [1, 2])
def test_of_too_few_lives_it_is_told_what_their_figures_are_worth(made, lives):
    contract, rows, _ = made(failing(lives))

    assert contract.holdout == Holdout(by="time")
    told = few_units_hints(LabelledUnits.of(rows, contract), contract.holdout)
    assert len(told) == 1
    assert f"of {lives} labelled {'life' if lives == 1 else 'lives'} none can be held out whole" in told[0]


def test_a_split_in_the_file_is_taken(made):
    table = failing(6)
    table["set"] = np.where(table["machine"].isin(["m1", "m4"]), "test", "train")
    contract, rows, _ = made(table)

    assert contract.source.split == "set"
    assert set(rows.loc[rows["fixed_split"] == "test", "asset"]) == {"m1", "m4"}
    assert contract.holdout.plain
    assert list(contract.channels) == ["load", "temp"]


def test_of_few_machines_under_few_loads_whole_loads_are_held_out(made):
    table = failing(8)
    table["Load [kN]"] = table["machine"].str[1:].astype(int) // 2 * 10
    contract, rows, text = made(table.drop(columns="load"))

    assert (contract.source.subset, contract.holdout) == ("Load [kN]", Holdout(by="subset"))
    assert "8 labelled lives lie in 4 parts of the data" in text
    assert set(rows["subset"]) == {"0", "10", "20", "30"}
    assert "load" in contract.channels, "a number remains an input"


def test_a_speed_in_the_path_is_held_out_as_a_whole_and_is_no_year(tmp_path):
    for state in "NBI":
        for speed in (800, 1200, 1400):
            fleet(1, 20).drop(columns="machine").to_csv(tmp_path / f"{state}_{speed}_5.csv", index=False)
    text = draft_contract("mine", tmp_path, pattern="{fault}_{speed:d}_{part:d}.csv").text
    assert 'subset: "speed"' in text
    assert "holdout:  # 9 labelled lives lie in 3 parts" in text
    assert "by: subset" in text


def test_a_fleet_is_held_out_by_machine(made):
    contract, rows, text = made(failing(20))

    assert contract.holdout.plain
    assert "holdout" not in text
    assert few_units_hints(LabelledUnits.of(rows, contract), contract.holdout) == []


def test_every_guess_of_a_column_is_marked(made):
    _, _, text = made(fleet().assign(failed=0, run=1))

    for field in ("asset", "time", "run", "failure", "unit", "step", "cap", "length"):
        assert re.search(rf"^ +{field}: .*# guessed", text, re.MULTILINE), field


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "the file is empty"),
        ("machine,hour,load\n", "no rows"),
        ("machine,speed,load\na,1,2\n", "no column seems to hold the time"),
        ("machine,date,load\na,in May,2\n", r"line 2: column 'date': 'in May' is not a time"),
        ("hour,load\n1,2\n2,3\n1,4\n", "no column seems to name the machine"),
        ("machine,hour,note\na,1,x\na,2,y\n", "no numeric column"),
        ("machine,hour,load\na,1,2\nb,1,3\n", "time never rises within a machine"),
        ("machine,hour,load\na,1,2\na,2\n", "line 3: has 2 fields"),
        ("machine,hour,load,load\na,1,2,3\n", "column 'load' is there 2 times"),
    ],
)
def test_a_file_that_cannot_be_a_twin_is_a_source_error(tmp_path, content, reason):
    file = tmp_path / "export.csv"
    file.write_text(content)
    with pytest.raises(SourceError, match=reason) as caught:
        draft_contract("mine", file)
    assert "export.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_that_no_twin_may_have_is_a_contract_error(tmp_path):
    fleet().to_csv(tmp_path / "export.csv", index=False)
    with pytest.raises(ContractError, match="My Twin: name: "):
        draft_contract("My Twin", tmp_path / "export.csv")


@pytest.mark.parametrize(
    ("low", "high", "limits"),
    [(0, 10, (0, 20)), (20, 90, (0, 130)), (-5, -1, (-7, 0)), (3, 3, (1, 5)), (0, 0, (0, 1)), (980, 1020, (960, 1040))],
)
def test_limits_are_round_and_do_not_pass_zero(low, high, limits):
    assert widened(low, high) == limits


def test_a_setting_is_what_takes_few_values_often():
    assert is_setting(pd.Series([1.0, 2.0] * 50))
    assert not is_setting(pd.Series([1.0] * 100))
    assert not is_setting(pd.Series(np.arange(100.0)))


def test_columns_mean_what_somebody_says_and_the_others_are_guessed(tmp_path):
    frame = fleet(6).assign(minute=fleet(6)["hour"] * 60, shift=1 + fleet(6)["hour"] % 3, odd=fleet(6)["hour"] % 7)
    file = tmp_path / "export.csv"
    frame.to_csv(file, index=False)

    def drafted(**told: str):
        draft = draft_contract("mine", file, told=told)
        (tmp_path / "twin.yaml").write_text(draft.text)
        return load_twin(tmp_path / "twin.yaml"), " ".join(draft.assumptions.lines())

    guessed, _ = drafted()
    assert (guessed.source.time, guessed.source.faults) == ("hour", {}), "its name comes before that of the minute"
    assert {"load", "temp", "shift", "odd"} <= set(guessed.channels)
    contract, said = drafted(minute="time", shift="label", odd="left_out")
    assert (contract.source.time, contract.source.asset) == ("minute", "machine")
    assert contract.source.faults["shift"].column == "shift"
    assert {"load", "temp"} <= set(contract.channels)
    assert not {"shift", "odd"} & set(contract.channels)
    assert "'odd' is left out, as was said" in said
    for told, problem in (
        ({"hour": "time", "load": "time"}, "cannot both be the time"),
        ({"day": "time"}, "there is no column day; there is machine, hour"),
        ({"hour": "clock"}, "clock is no meaning; there is asset, time"),
        ({"load": "failure"}, "load cannot be the failure"),
        ({"machine": "time"}, "machine cannot be the time"),
    ):
        with pytest.raises(SourceError, match=problem):
            drafted(**told)
