"""How key figures are shown: as files, by the command, over HTTP."""

import csv
import json

import pytest
from click.testing import CliRunner
from starlette.datastructures import QueryParams

from foretwin.cli.twins.kpis import kpis_command as command
from foretwin.errors import BadInput
from foretwin.serving.access.authentication import ANYBODY
from foretwin.twin.api.call import Call, Living, json_response
from foretwin.twin.api.plant import kpis as route
from foretwin.twin.kpis.writing import write_reports
from foretwin.twin.store import open_store
from support.kpis_fleet import PUMP, THRUST, YEAR_END, Fleet, on, outcomes, report
from support.live_project import living_project
from support.tiny_bundle import tiny_twin

pytestmark = pytest.mark.dated


def test_a_report_is_written_for_people_and_for_programs(fleet, store, tmp_path):
    fleet.lives("P-1", on(1, 10), 100)
    fleet.answers(fleet.alarm("P-1", THRUST, 30, on(1, 11, 6)), "part_replaced", on(1, 20))
    evil = PUMP.model_copy(update={"title": "<script>alert(1)</script>"})
    found = report(store, evil, now=on(3, 20))
    for ending in ("html", "json", "csv"):
        write_reports([found], tmp_path / f"out.{ending}")

    assert json.loads((tmp_path / "out.json").read_text())["twins"] == [found]
    with (tmp_path / "out.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["avoided"] for line in lines] == ["1", "0", "0"]
    assert [line["cost.saved.high"] for line in lines] == ["9500", "0", "0"]
    assert [line["lead_time.median"] for line in lines] == [""] * 3
    page = (tmp_path / "out.html").read_text()
    assert "<script>" not in page
    assert "http" not in page.replace("http-equiv", "")  # nothing is fetched from elsewhere
    assert page.count("<svg") == 7  # no lead time is known
    assert "2026-01: 1" in page
    assert "2026-03 (so far)" in page
    with pytest.raises(BadInput, match=r"out\.pdf"):
        write_reports([found], tmp_path / "out.pdf")


@pytest.fixture
def project(tmp_path, monkeypatch):
    root = living_project(tmp_path / "project", tiny_twin("pump"), tiny_twin("fan", rul=False))
    monkeypatch.chdir(root)
    store = open_store(f"sqlite:///{root}/twins.db")
    fleet = Fleet(store, tiny_twin("pump"))
    fleet.lives("P-1", on(1, 10), 100)
    fleet.answers(fleet.alarm("P-1", "mode.wear", 30, on(1, 11, 6)), "run_ended", on(1, 20))
    store.close()
    return root


def foretwin(*arguments: str):
    return CliRunner(env={"COLUMNS": "250"}).invoke(command, arguments, catch_exceptions=True)


def test_the_command_shows_each_twin_that_has_assets(project):
    done = foretwin("--since", "2026-01-01", "--until", "2026-01-31", "--out", "figures/january.csv")

    assert done.exit_code == 0, done.output
    shown = " ".join(done.output.split())
    assert "Tiny pump, 2026-01-01 to 2026-01-31" in shown
    assert "Tiny fan" not in shown
    assert "70 (70 to 70)" in shown
    assert "100% (1 of 1)" in shown
    assert "write `costs:`" in shown
    assert (project / "figures" / "january.csv").read_text().count("\n") == 2


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["--twin", "bus"], "twin"),
        (["--since", "yesterday"], "--since"),
        (["--until", "1969-12-31"], "--until"),
        (["--until", "9999-12-31"], "--until"),
        (["--out", "figures.pdf"], "--out"),
    ],
)
def test_the_command_refuses_what_makes_no_report(project, arguments, field):
    done = foretwin(*arguments)

    assert isinstance(done.exception, BadInput)
    assert done.exception.field == field


def asked(root, store, query: str) -> dict:
    contracts = {twin.name: twin for twin in (tiny_twin("fan", rul=False), tiny_twin("pump"))}
    living = Living(store, root, contracts, 0, None, None, None, None, None)
    return route.get_kpis(Call(living, "/v1/kpis", {}, QueryParams(query), b"", "", ANYBODY, "http", YEAR_END))


def test_the_end_point_answers_for_one_twin_or_all(project):
    store = open_store(f"sqlite:///{project}/twins.db")

    (pump,) = asked(project, store, "period=all")["twins"]
    (fan,) = asked(project, store, "twin=fan&since=2026-01-01&until=2026-01-31")["twins"]

    assert (pump["twin"], outcomes(pump["total"])) == ("pump", (1, 0, 0, 0))
    assert (fan["twin"], [one["name"] for one in fan["periods"]]) == ("fan", ["2026-01"])
    assert json.loads(json_response({"twins": [pump, fan]}).body)["twins"][0] == pump
    for query, field in (("twin=bus", "twin"), ("period=year", "period"), ("since=soon", "since"), ("x=1", "x")):
        with pytest.raises(BadInput) as refusal:
            asked(project, store, query)
        assert refusal.value.field == field
    store.close()
