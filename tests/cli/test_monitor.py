"""`foretwin monitor`: what it prints, how it repeats, when it trains again; and how a fleet's case is shown."""

import re
import threading
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from foretwin.cli.twins.monitor import fleet_case_text, monitor_command, parse_period, repeat
from foretwin.errors import BadInput, StoreAway
from foretwin.twin.monitoring.prometheus import FAMILIES
from foretwin.twin.store import open_store
from foretwin.twin.store.casework import cases
from support.live_project import live
from support.monitored_fleet import PUMP, live_through, look, machines, monitored_project
from support.tiny_bundle import REPOSITORY


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The current folder: a project with a store of its own."""
    root = monitored_project(tmp_path)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def own_store(project):
    opened = open_store(f"sqlite:///{project}/twins.db")
    yield opened
    opened.close()


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(monitor_command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_quiet_store_is_told_and_no_failure(project):
    said = printed("pump")
    assert said.startswith("pump: nothing to compare yet")
    assert said.endswith("wrote reports/monitor/pump/report.html\n")


def test_drift_is_told_with_its_case(project, own_store):
    live_through(own_store, project, machines(20, 60, seed=3, c1=1.5))
    said = printed("pump", "--readings", "400")
    assert "pump: 1 limit broken (champion version 3)" in said
    assert "  c1 is +1." in said
    assert "  case 1 opened" in said
    assert "pump: 1 limit broken" in printed("pump", "--since", "1h")
    with pytest.raises(BadInput, match="exclude each other"):
        printed("pump", "--since", "1h", "--readings", "4")


@pytest.mark.dated
def test_a_period_leaves_out_what_came_before_it(project, own_store):
    now = datetime.now(UTC)
    live_through(own_store, project, machines(20, 30, seed=3, c1=1.5), now - timedelta(hours=3))
    live_through(own_store, project, machines(20, 30, seed=4, start=30), now)
    report = look(own_store, project, since=timedelta(hours=1))
    assert report["drift"]["readings"] == 600
    assert report["signals"][0]["value"] == 0


@pytest.mark.parametrize(("text", "seconds"), [("30min", 1800), ("1.5h", 5400), ("7d", 604800)])
def test_periods(text, seconds):
    assert parse_period(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["7", "d", "0h", "-3h", "7w", "1e3h", "99999999d"])
def test_what_is_no_period(text):
    with pytest.raises(BadInput, match="30min, 12h or 7d"):
        parse_period(text)


def report(retrain: bool) -> dict:
    return {"verdict": {"retrain": retrain}}


def test_one_look_retrains_only_where_the_verdict_asks_for_it():
    done = []
    for retrain in (True, False):
        repeat(lambda retrain=retrain: report(retrain), lambda: done.append("retrained"), None, threading.Event())
    repeat(lambda: report(True), None, None, threading.Event())
    assert done == ["retrained"]


def test_looks_are_repeated_until_stopped_whatever_goes_wrong_in_one(capsys):
    stop, looks = threading.Event(), []

    def once():
        looks.append(1)
        if len(looks) == 1:
            raise StoreAway("twins.db: is away")
        if len(looks) == 3:
            stop.set()
        return report(False)

    repeat(once, None, 0.01, stop)
    assert len(looks) == 3
    assert capsys.readouterr().err == "twins.db: is away\n"
    with pytest.raises(StoreAway):
        repeat(lambda: (_ for _ in ()).throw(StoreAway("away")), None, None, threading.Event())


def test_a_case_of_the_fleet_is_shown_to_people_and_over_http(project, own_store):
    live_through(own_store, project, machines(20, 60, seed=3, c1=1.5))
    number = look(own_store, project)["case"]["case"]
    with own_store.read() as connection:
        text = fleet_case_text(cases.find_case(connection, number))
    assert text.startswith(f"# Case {number}: drift in the fleet of pump\n\nplanned, opened ")
    assert "\n- c1 is +1." in text
    with live(own_store, project) as client:
        shown = client.get(f"/v1/cases/{number}").json()
        assert (shown["asset"], shown["fault"], shown["evidence"]["version"]) == (None, "drift", "3")
        assert client.post(f"/v1/cases/{number}/acknowledge").json()["state"] == "acknowledged"
        refused = client.post(f"/v1/cases/{number}/verdict", json={"verdict": "run_ended"})
        assert (refused.status_code, refused.json()["field"]) == (422, "verdict")
        given = client.post(f"/v1/cases/{number}/verdict", json={"verdict": "confirmed", "note": "new sensors"})
        assert (given.status_code, given.json()["verdict"]) == (200, "confirmed")
        shown = client.get(f"/v1/cases/{number}").json()
        assert (shown["state"], shown["closed_because"]) == ("closed", "verdict")
        again = client.post(f"/v1/cases/{number}/verdict", json={"verdict": "confirmed"})
        assert again.status_code == 409


def test_a_twin_is_named_that_is_there(project):
    with pytest.raises(BadInput, match="there is pump"):
        printed("pumpe")
    assert PUMP.name == "pump"


def test_the_page_explains_every_metric_of_the_monitor():
    page = (REPOSITORY / "docs" / "watching.md").read_text()
    table = page[page.index("### The monitor's metrics") : page.index("## Logs")]
    told = re.findall(r"^\| `(\w+)` \| (.+?) \| (.*?) ?\|$", table, re.MULTILINE)
    assert {name: (about, tuple(re.findall(r"`(\w+)`", labels))) for name, about, labels in told} == FAMILIES
