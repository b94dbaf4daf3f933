"""Maintenance systems that call back: a case follows the state of its order."""

from pathlib import Path

import pytest
import yaml

from foretwin.twin.outbox.routes.work_orders import case_of
from foretwin.twin.store import open_store
from support.live_project import assert_problem, live, living_project
from support.stored_case import store_case
from support.tiny_bundle import tiny_twin

TEMPLATES = Path(__file__).parents[3] / "serving" / "work_orders"


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    """A client, and the number of an open case."""
    root = living_project(tmp_path_factory.mktemp("called") / "project")
    routes = {
        name: {"work_orders": str(TEMPLATES / f"{file}.json"), "url": "http://127.0.0.1:9"}
        for name, file in (("maximo", "maximo"), ("odoo", "odoo"), ("sap", "sap-s4-notification"))
    }
    (root / "routes.yaml").write_text(yaml.safe_dump(routes))
    store = open_store(f"sqlite:///{root}/twins.db")
    case = store_case(store, tiny_twin("pump"), "mode.wear").id
    with live(store, root) as client:
        yield client, case
    store.close()


def told(plant, route: str, **body):
    client, _ = plant
    return client.post(f"/v1/work-orders/{route}", json=body)


def maximo(plant, status: str, **more):
    return told(plant, "maximo", externalrefid=f"foretwin-pump-{plant[1]}", status=status, **more)


def test_a_case_follows_the_order_and_the_same_call_again_changes_nothing(plant):
    client, case = plant
    assert maximo(plant, "APPR").json() == {"case": case, "state": "acknowledged", "changed": True}
    assert maximo(plant, "APPR").json() == {"case": case, "state": "acknowledged", "changed": False}
    planned = maximo(plant, "SCHED", schedstart="2030-01-02T08:00:00+01:00")
    assert planned.json() == {"case": case, "state": "planned", "changed": True}
    assert client.get(f"/v1/cases/{case}").json()["planned_for"] == "2030-01-02T07:00:00Z"
    assert maximo(plant, "WMATL").json()["state"] == "waiting_for_part"
    for changed in (True, False):
        assert maximo(plant, "COMP").json() == {"case": case, "state": "waiting_for_part", "changed": changed}
    (comment,) = client.get(f"/v1/cases/{case}/comments").json()["items"]
    assert comment["text"] == "The work order is done, says maximo; a verdict closes the case"
    thread = client.get("/v1/twins/P-017/thread").json()["entries"]
    assert [one["action"] for one in thread if one["kind"] == "case"].count("moved") == 3


def test_a_title_that_begins_with_the_reference_names_the_case_too(plant):
    _, case = plant
    name = f"foretwin-pump-{case} P-017: Mode: wear (planned)"
    answer = told(plant, "odoo", name=name, stage_id={"display_name": "In Progress"})
    assert answer.json()["state"] == "acknowledged"
    assert [case_of(one) for one in ("foretwin-pump-7 x", "foretwin-7", "pump-7", "foretwin-pump-")] == [
        7,
        7,
        None,
        None,
    ]


def test_what_does_not_fit_is_told_with_its_place(plant):
    assert_problem(maximo(plant, "ODD"), 422, "/status", "WAPPR")
    assert_problem(
        told(plant, "maximo", externalrefid="x", status="APPR"), 422, "/externalrefid", "no reference of ours"
    )
    assert_problem(maximo(plant, "SCHED"), 422, "/schedstart", "needs a moment")
    wrong = f"foretwin-fan-{plant[1]}"
    assert_problem(told(plant, "maximo", externalrefid=wrong, status="APPR"), 404, "case")
    assert_problem(told(plant, "sap", a=1), 404, "route", "not known to call back")
    assert_problem(told(plant, "none", a=1), 404, "route", "routes.yaml")
