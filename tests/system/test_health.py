"""A fleet of which nobody knows when it failed: from `foretwin new` to a case, and its verdict to a label."""

import json
import os
from datetime import UTC, datetime
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


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project with a twin of 24 fans without any label, trained, and promoted."""
    folder, before = tmp_path_factory.mktemp("fans"), Path.cwd()
    start_project(folder)
    fans(24, 1).to_csv(folder / "fans.csv", index=False)
    os.chdir(folder)
    try:
        told = shown("new", "fan", "fans.csv")
        assert "departures are told" in " ".join(told.split())
        contract = Paths(folder, "fan").contract
        contract.write_text(contract.read_text().replace("false_alarms: 12 ", "false_alarms: 1 "))
        shown("add", "fan")
        for stage in (fetch, adapt, validate, prepare, tune, train, evaluate, drift, promote):
            stage.main("fan", Path())
    finally:
        os.chdir(before)
    return folder


def test_the_draft_asks_for_health_and_the_figures_say_what_they_can_show(project):
    contract = load_twin(Paths(project, "fan").contract)
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
