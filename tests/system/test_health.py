"""A fleet of which nobody knows when it failed, from `foretwin new` over cases and verdicts to what fails, and when."""

import json
import os
import re
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.worked_examples import start_project
from foretwin.contract.twin import load_twin
from foretwin.predictor.bundle import Bundle
from foretwin.project.paths import Paths
from foretwin.twin.store import open_store
from foretwin.twin.training_feedback.history import export_history
from pipelines import adapt, drift, evaluate, fetch, prepare, promote, train, tune, validate
from support.commands import shown
from support.live_project import score

HOURS, LATE = 200, 24
WEAR = 50  # hours in which a fan of `wearing_out` goes from sound to its end
DAYS = (0, 120, 140, 150, 160, 170, 180, 190, HOURS)  # hours at which readings come in
COMMENTED = r"^# (rul: |faults:|  bearing: |    lead_time: )"  # lines of the draft that ask for what labels teach
FILTER = "  filter: {title: Filter, classes: {clear: null, blocked: {part: filter, instruction: Swap, lead_time: 9}}}\n"


def fans(machines: int, seed: int) -> pd.DataFrame:
    """Fans whose current follows their speed, each with its own offset; heat follows both."""
    generator, parts = np.random.default_rng(seed), []
    for number in range(machines):
        speed = 1000 + 200 * np.sin(np.arange(HOURS) / 11 + number) + generator.normal(0, 10, HOURS)
        current = speed / 100 + generator.normal(0, 0.2) + generator.normal(0, 0.1, HOURS)
        heat = 30 + current + generator.normal(0, 0.3, HOURS)
        name = f"fan-{seed}-{number:02}"
        parts.append(
            pd.DataFrame({"fan": name, "hour": np.arange(HOURS), "speed": speed, "current": current, "heat": heat})
        )
    return pd.concat(parts, ignore_index=True)


def wearing_out(machines: int, seed: int) -> pd.DataFrame:
    """Fans that fail in their last hour: by a worn bearing, or every second by a blocked filter."""
    rows = fans(machines, seed)
    number = rows["fan"].str[-2:].astype(int)
    end = HOURS - 5 * (number % 7)
    wear = (1 - (end - 1 - rows["hour"]) / WEAR).clip(lower=0)
    rows["current"] += np.where(number % 2 == 0, 6.0, -4.0) * wear
    rows["heat"] += np.where(number % 2 == 0, 6.0, 9.0) * wear
    return rows[rows["hour"] < end]


def run_stages() -> None:
    """Run the stages of `dvc repro` for the fan."""
    for stage in (fetch, adapt, validate, prepare, tune, train, evaluate, drift, promote):
        stage.main("fan", Path())


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project with a twin of 24 fans without any label, trained, and promoted; asked for what labels may teach."""
    folder, before = tmp_path_factory.mktemp("fans"), Path.cwd()
    start_project(folder)
    fans(24, 1).to_csv(folder / "fans.csv", index=False)
    os.chdir(folder)
    try:
        told = shown("new", "fan", "fans.csv")
        assert "departures are told" in " ".join(told.split())
        contract = Paths(folder, "fan").contract
        text = contract.read_text().replace("false_alarms: 12 ", "false_alarms: 1 ")
        text = re.sub(COMMENTED, r"\1", text, flags=re.MULTILINE).replace("rul: {cap: 120,", "rul: {cap: 50,")
        text = text.replace("length: 50 ", "shortest: 50\n  length: 50 ").replace("0}}}\n", "0}}}\n" + FILTER)
        for name in ("current", "heat"):
            text = re.sub(rf"({name}: .*) min: .*", r"\1 min: 0, max: 90}", text)
        contract.write_text(text)
        shown("add", "fan")
        run_stages()
    finally:
        os.chdir(before)
    return folder


def test_the_draft_asks_for_health_and_the_figures_say_what_they_can_show(project):
    contract = Bundle.load(project / "models" / "fan" / "champion" / "bundle").contract
    assert (contract.rul, contract.axes) == (None, ("health",))
    assert contract.window.shortest == contract.window.length > 1
    assert contract.health.baseline == 1
    record = json.loads((project / "models" / "fan" / "candidates" / "blend.json").read_text())
    assert "too much alike" in record["own_baseline"]["not_learnt"], "speed says more than the fans' own offsets"
    metrics = json.loads((project / "models" / "fan" / "evaluation.json").read_text())
    found = metrics["network"]["fault"]["health"]
    assert found["detected"] > 0.5
    assert found["alarm_share"] < 0.05
    assert found["normal_windows"] == 30
    assert metrics["baselines"]["normal_space"]["fault"]["health"]["macro_f1"] > 0.5
    card = (project / "models" / "fan" / "card.html").read_text()
    assert "of the departures that were put into held-out runs" in card
    assert "It does not answer bearing yet, since no labels show two of its classes" in card
    assert metrics["untaught"].keys() == {"rul", "bearing", "filter"}


def test_a_sensor_that_parts_from_the_others_is_told_and_what_is_normal_is_not(project):
    bundle = Bundle.load(project / "models" / "fan" / "champion" / "bundle")
    new = fans(12, 2).rename(columns={"fan": "asset", "hour": "time"}).assign(run=1)
    calm = bundle.score(new)
    assert (calm["health"] == "departed").sum() == 0
    late = new["time"] >= HOURS - LATE
    told = bundle.score(new.assign(current=new["current"] + 3.0 * late))
    assert (told["health"] == "departed").mean() > 0.7
    assert (told["health"] == "normal").sum() == 0
    departed = told[told["health"] == "departed"]
    assert (departed["health_state"] == "check_function").mean() > 0.7
    assert departed["warnings"].map(lambda one: "check_function: current jumps" in one).any()


def test_a_case_opens_on_a_machine_that_departs_not_on_its_sensor_and_its_verdict_is_a_label(project, monkeypatch):
    monkeypatch.chdir(project)
    hot = fans(2, 3)
    late, first = hot["hour"] >= HOURS - LATE, hot["fan"] == "fan-3-00"
    hot["current"] += 3.0 * late
    hot["heat"] += 3.0 * (late & first)  # as a current that is no sensor's mistake would have it
    hot.to_csv("tonight.csv", index=False)
    shown("ingest", "tonight.csv", "--twin", "fan")
    store = open_store("sqlite:///twins.db")
    score(store, project)
    cases = shown("cases")
    assert cases.count("health.departed") == 1
    assert "fan-3-00" in cases
    shown("verdict", "1", "confirmed")
    export_history(store, project, load_twin(Path("data/fan/twin.yaml")), datetime.now(UTC))
    store.close()
    (table,) = (project / "data" / "fan" / "history").glob("*.parquet")
    assert 1 in set(pd.read_parquet(table)["fault_health"])


def ingested(rows: pd.DataFrame, store, project: Path) -> None:
    """Bring readings in as days go by, with a pass of the scoring loop after each."""
    for begin, end in pairwise(DAYS):
        rows[rows["hour"].between(begin, end - 1)].to_csv("tonight.csv", index=False)
        shown("ingest", "tonight.csv", "--twin", "fan")
        score(store, project)


def open_cases() -> list[tuple[str, str, str]]:
    """Return number, machine and fault of each open case."""
    return re.findall(r"│ +(\d+) │ (\S+) │ (\S+) │ \S+ │ open ", shown("cases"))


def test_verdicts_teach_what_fails_and_when_under_the_contract_of_the_first_day(project, monkeypatch):
    monkeypatch.chdir(project)
    store = open_store("sqlite:///taught.db")
    monkeypatch.setenv("FORETWIN_STORE", "sqlite:///taught.db")
    ingested(wearing_out(16, 4), store, project)
    cases = open_cases()
    assert sorted(asset for _, asset, _ in cases) == [f"fan-4-{number:02}" for number in range(16)]
    for number, asset, fault in cases:
        assert fault == "health.departed"
        found = "bearing.worn" if int(asset[-2:]) % 2 == 0 else "filter.blocked"
        shown("verdict", number, "run_ended", "--fault", found)
    shown("history", "fan")
    run_stages()
    verdict = json.loads((project / "models" / "fan" / "promotion.json").read_text())
    assert verdict["promoted"]
    assert any("it answers rul, bearing, filter too" in one["sentence"] for one in verdict["checks"])

    ingested(wearing_out(2, 5), store, project)
    store.close()
    told = {asset: (number, fault) for number, asset, fault in open_cases()}
    assert {asset: fault for asset, (_, fault) in told.items()} == {
        "fan-5-00": "bearing.worn",
        "fan-5-01": "filter.blocked",
    }
    request = shown("case", told["fan-5-01"][0])
    assert "| Part | filter |" in " ".join(request.split())
    assert "merged" in shown("cases"), "the departure went on in the fault that it was"
