"""The living twin as README shows it: a fleet replayed over MQTT, cases before failures, a verdict that teaches."""

import json
import re
import shutil
import subprocess
from signal import SIGINT

import httpx
import pandas as pd
import pytest
from sqlalchemy import text

from foretwin.twin.simulator.processes import free_port, wait_for
from foretwin.twin.store import open_store
from support.clone import BIN, ROOT, clean_environment, run

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def living(built, tmp_path_factory):
    """A copy of the built project, in which a fleet of 20 pumps has been watched; and what the terminal showed.

    Its pages have been asked for their key figures, and then Ctrl-C has ended it.
    """
    folder, port = tmp_path_factory.mktemp("living") / "project", free_port()
    shutil.copytree(built, folder, symlinks=True)
    shown, pages = folder / "shown.txt", f"http://127.0.0.1:{port}"
    with shown.open("wb") as out:
        command = ["demo", "--pumps", "20", "--speed", "20", "--port", str(port)]
        environment = clean_environment() | {"PYTHONUNBUFFERED": "1"}
        demo = subprocess.Popen([BIN / "foretwin", *command], cwd=folder, env=environment, stdout=out, stderr=out)
    try:
        wait_for(lambda: "until Ctrl-C" in shown.read_text() or demo.poll() is not None, "end of the lives", 300)
        assert demo.poll() is None, shown.read_text()
        figures = httpx.get(f"{pages}/v1/kpis").raise_for_status().json()["twins"][0]
        assert httpx.get(pages, headers={"Accept": "text/html"}).status_code == 200
    finally:
        demo.send_signal(SIGINT)
    assert demo.wait(30) == 0
    return folder, shown.read_text(), figures


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
    folder, _, _ = living
    assert asked(folder, "SELECT DISTINCT via FROM batches") == [("mqtt",)]
    assert asked(folder, "SELECT count(*), sum(gaps), sum(quarantined) FROM assets") == [(20, 0, 0)]
    for _, count, different in asked(folder, "SELECT asset, count(*), count(DISTINCT rul) FROM scores GROUP BY asset"):
        assert count >= 5
        assert different >= 3


def test_cases_open_before_the_failures(living):
    _, shown, _ = living
    told = re.search(r"(\d+) of (\d+) failures had a case before they came\s+([\d.]+) h before in the median", shown)
    assert told, shown
    before, failures, hours = int(told[1]), int(told[2]), float(told[3])
    assert failures >= 10
    assert before >= 0.8 * failures
    assert 10 < hours < 300


def test_every_case_has_a_date_by_which_it_ranks_and_its_pump_a_place(living):
    folder, _, _ = living
    assert asked(folder, "SELECT count(*) FROM cases WHERE asset IS NOT NULL AND latest_safe_date IS NULL") == [(0,)]
    (left,) = asked(folder, "SELECT count(DISTINCT latest_safe_date) FROM cases WHERE state <> 'closed'")[0]
    assert left >= 2, "those that are left for whoever watches are apart"
    assert asked(folder, "SELECT count(*) FROM assets WHERE tags LIKE '%site%'") == [(20,)]


def test_the_first_cases_have_verdicts_which_the_key_figures_count(living):
    folder, shown, figures = living
    given = int(re.search(r"(\d+) cases have a verdict", shown)[1])
    assert given >= 8
    assert asked(folder, "SELECT count(*), count(DISTINCT actor) FROM verdicts") == [(given, 1)]
    assert figures["total"]["failures"]["count"] == given


def test_the_request_names_the_part_and_a_verdict_is_in_the_next_training(living):
    folder, _, _ = living
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
    (given,) = asked(folder, "SELECT count(*) FROM verdicts")[0]
    assert manifest["assets"] == given
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
