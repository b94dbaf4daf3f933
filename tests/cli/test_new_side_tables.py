"""`foretwin new` with tables beside the readings: what it makes of their columns, whatever these are called."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretwin.contract.twin import load_twin
from foretwin.errors import ContractError
from foretwin.project.paths import Paths
from foretwin.sources import adapt, fetch
from support.commands import foretwin

HOURS = pd.date_range("2024-05-01", periods=200, freq="h")
PRESSES = [f"P-{number:02}" for number in range(1, 7)]


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """Write five tables of a fleet; `names` renames their columns."""
    monkeypatch.chdir(tmp_path)

    def write(names: dict[str, str], **shift: int) -> None:
        rng = np.random.default_rng(3)
        readings = pd.DataFrame({"at": np.tile(HOURS, 6), "press": np.repeat(PRESSES, 200)})
        readings["force"] = rng.normal(50, 5, len(readings))
        at = pd.Timestamp("2024-05-01") + pd.to_timedelta(rng.permutation(199)[:18] + 1, unit="h")
        failed = pd.DataFrame({"press": np.resize(PRESSES, 6), "at": at[:6], "part": np.resize(["ram", "seal"], 6)})
        failed["at"] += pd.Timedelta(days=shift.get("failures", 0))
        work = pd.DataFrame({"press": np.resize(PRESSES, 12), "at": at[6:], "part": np.resize(["ram", "seal"], 12)})
        events = pd.DataFrame({"at": np.resize(HOURS[::7], 60), "press": np.resize(PRESSES, 60)})
        events["code"] = np.resize(["E1", "E1", "E2"], 60)
        machines = pd.DataFrame({"press": PRESSES, "model": "M4", "age": [1, 2, 3, 2, 3, 9]})
        frames = {"readings": readings, "failures": failed, "maintenance": work, "events": events, "assets": machines}
        for name, frame in frames.items():
            frame.rename(columns=names).to_csv(f"{name}.csv", index=False, sep=";")

    return write


def drafted() -> tuple[str, pd.DataFrame]:
    options = [f"--{name}={name}.csv" for name in ("failures", "maintenance", "events", "assets")]
    done = foretwin("new", "press", "readings.csv", *options)
    assert done.exit_code == 0, done.output
    paths = Paths(Path(), "press")
    contract = load_twin(paths.contract)
    paths.raw.mkdir(parents=True)
    fetch(contract, paths, paths.raw)
    return done.output, adapt(contract, paths.raw)


def test_five_tables_are_drafted_whatever_their_columns_are_called(tables, tmp_path, monkeypatch):
    rows = []
    for names in ({}, {"at": "wann", "press": "k", "part": "was", "code": "x9", "age": "years"}):
        folder = tmp_path / str(len(rows))
        folder.mkdir()
        monkeypatch.chdir(folder)
        tables(names)
        told, table = drafted()
        rows.append(table)
        assert "failures: 6 rows of 6 machines" in " ".join(told.split())
        assert "'model'" in told
    first, second = rows
    lives = first.drop_duplicates(["asset", "run"])
    assert lives["ended"].value_counts().to_dict() == {"replaced": 12, "failed": 6, "running": 6}
    assert first["e1_count"].sum() == 40
    assert lives["rul"].notna().sum() == 6
    assert first.iloc[:, 1:].fillna(-9).to_numpy().tolist() == second.iloc[:, 1:].fillna(-9).to_numpy().tolist()


def test_tables_that_do_not_overlap_in_time_are_told_and_label_nothing(tables):
    tables({}, failures=-400)
    told, rows = drafted()
    told = " ".join(told.split())
    assert "0 are of machines and times of the readings" in told
    assert "readings (2024-05-01 00:00 to 2024-05-09 07:00) and failures" in told
    assert "do not overlap" in told
    assert rows["rul"].isna().all()


def test_a_date_of_two_meanings_is_asked_and_nothing_is_read_before(tables):
    tables({})
    failures = pd.read_csv("failures.csv", sep=";").assign(at="03/05/2024 08:00")
    failures.to_csv("failures.csv", index=False, sep=";")
    done = foretwin("new", "press", "readings.csv", "--failures", "failures.csv")
    assert done.exit_code == 0, done.output
    assert "failures.time_format: day_first or month_first?" in " ".join(done.output.split())
    paths = Paths(Path(), "press")
    paths.raw.mkdir(parents=True)
    contract = load_twin(paths.contract)
    fetch(contract, paths, paths.raw)
    with pytest.raises(ContractError, match=r"source\.failures\.time_format"):
        adapt(contract, paths.raw)
