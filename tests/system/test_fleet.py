"""The living twin as README shows it: a fleet replayed over MQTT, cases before failures, a verdict that teaches."""

import json
import re
import shutil

import pandas as pd
import pytest
from sqlalchemy import text

from foretwin.twin.simulator.processes import free_port
from foretwin.twin.store import open_store
from support.clone import ROOT, run

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def living(built, tmp_path_factory):
    """A copy of the built project, in which a fleet of 20 pumps has been watched; and what the terminal showed."""
    folder = tmp_path_factory.mktemp("living") / "project"
    shutil.copytree(built, folder, symlinks=True)
    contract = folder / "data/pump/twin.yaml"  # whole lives pass in a minute here, and an hour's limit with them
    contract.write_text(contract.read_text().replace("  open_below: 72\n", "  open_below: 72\n  new_per_hour: 100\n"))
    shown = run(f"foretwin demo --pumps 20 --speed 20 --port {free_port()}", folder)
    return folder, shown


def asked(folder, question):
    store = open_store(f"sqlite:///{folder}/twins.db")
    with store.read() as connection:
        rows = connection.execute(text(question)).all()
    store.close()
    return rows


def test_readme_shows_the_commands_that_are_tested_here():
    readme = (ROOT / "README.md").read_text()
    assert "foretwin demo" in readme
    assert "\tforetwin demo\n" in (ROOT / "Makefile").read_text(), "make fleet is another name of it"
    for command in ("foretwin case 3", "foretwin verdict 3 run_ended", "foretwin history pump"):
        assert command in readme


def test_readings_arrive_over_mqtt_and_scores_change(living):
    folder, _ = living
    assert asked(folder, "SELECT DISTINCT via FROM batches") == [("mqtt",)]
    assert asked(folder, "SELECT count(*), sum(gaps), sum(quarantined) FROM assets") == [(20, 0, 0)]
    for _, count, different in asked(folder, "SELECT asset, count(*), count(DISTINCT rul) FROM scores GROUP BY asset"):
        assert count >= 5
        assert different >= 3


def test_cases_open_before_the_failures(living):
    _, shown = living
    told = re.search(r"(\d+) of (\d+) failures had a case before they came\s+([\d.]+) h before in the median", shown)
    assert told, shown
    before, failures, hours = int(told[1]), int(told[2]), float(told[3])
    assert failures >= 10
    assert before >= 0.8 * failures
    assert 10 < hours < 300


def test_the_request_names_the_part_and_a_verdict_is_in_the_next_training(living):
    folder, _ = living
    number, asset, fault, run_number = asked(
        folder,
        """SELECT cases.id, assets.name, fault, cases.run FROM cases JOIN assets ON assets.id = cases.asset
        WHERE fault LIKE 'mode.%' AND state = 'open' AND severity = 'urgent' ORDER BY cases.id LIMIT 1""",
    )[0]
    part = {"impeller_wear": "impeller and wear rings", "thrust_bearing": "thrust bearing set"}
    part["radial_bearing"] = "radial bearing set"
    assert part[fault.removeprefix("mode.")] in run(f"foretwin case {number}", folder)
    assert "closed" in run(f"foretwin verdict {number} run_ended", folder)
    assert (number, "verdict") in asked(folder, "SELECT id, closed_because FROM cases WHERE state = 'closed'")
    run("foretwin history pump", folder)
    run("dvc repro data/pump/dvc.yaml:prepare", folder)
    manifest = json.loads((folder / "data/pump/windows/history.json").read_text())
    assert manifest["assets"] == 1
    rows = pd.read_parquet(folder / "data/pump/rows/rows.parquet")
    learnt = rows[rows["asset"] == f"store/{asset}"]
    assert run_number == 1
    assert learnt["rul"].iloc[-1] == 0
    assert learnt["rul"].notna().all()
    splits = json.loads((folder / "data/pump/windows/splits.json").read_text())
    assert f"store/{asset}" in splits


def test_processes_that_are_killed_lose_nothing(built, tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed") / "project"
    shutil.copytree(built, folder, symlinks=True)
    run("python -m benchmarks.reliability.kill 12", folder)
    report = json.loads((folder / "reports/reliability_sqlite.json").read_text())
    assert sum(report["kills"].values()) >= 12
    found = report["found"]
    assert found["readings"] == report["sent"]["messages"] > 10_000
    assert found["scores"] > 100
    assert found["cases"] >= 10
