"""Service requests become work orders of maintenance systems: one each, whatever fails or is killed on the way."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from foretwin.errors import ConnectionsError
from foretwin.twin.outbox.routes.route_targets import route_targets
from foretwin.twin.outbox.routes.work_order_template import at_pointer, fill_body, load_template
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store.casework import cases
from support.maintenance_system import MaintenanceSystem
from support.routed_requests import SECRETS, deliver_until_killed, issue, request_service, routed, said_of, write_routes

pytestmark = pytest.mark.dated

TEMPLATES = Path(__file__).parents[4] / "serving" / "work_orders"
PAGE = (Path(__file__).parents[4] / "docs" / "work-orders.md").read_text()
NAMES = sorted(path.stem for path in TEMPLATES.glob("*.json"))
MAIL = {"mail": ["a@b"], "url": "smtp://x", "sender": "a"}
VALUES = {"site": "BEDFORD", "user": "foretwin"}


@pytest.fixture
def system():
    started = MaintenanceSystem().start()
    yield started
    started.stop()


def cmms(system: MaintenanceSystem, name: str, **more) -> dict:
    known = {"values_from": {"password": "CMMS_PASSWORD"}, "headers_from": {"apikey": "CMMS_KEY"}, "values": VALUES}
    return {"work_orders": str(TEMPLATES / f"{name}.json"), "url": system.url, **known, **more}


@pytest.mark.parametrize("name", NAMES)
def test_a_request_becomes_one_order_that_an_urgent_request_changes(one_store, system, tmp_path, name):
    root = write_routes(tmp_path, cmms=cmms(system, name))
    template = load_template(TEMPLATES / f"{name}.json")
    case = request_service(one_store)
    with routed(one_store, root):
        wait_for(lambda: said_of(one_store, case), "the note of the order")
        (order,) = system.orders
        with one_store.write() as connection:
            cases.escalate(connection, cases.find_case(connection, case), None, "watch", datetime.now(UTC))
        issue(one_store, case)
        wait_for(lambda: system.finds == 2 and (system.updates or not template.update), "the second request")
    assert len(system.orders) == 1
    assert f"foretwin-pump-{case}" in json.dumps(order)
    assert "Mode: wear" in json.dumps(order)
    assert system.headers[-1]["apikey"] == "key-1"
    assert len({one["idempotency-key"] for one in system.headers if "idempotency-key" in one}) == 1
    assert said_of(one_store, case) == [f"Work order 1001 in {template.system}"]
    for path, body in system.updates:
        assert json.dumps(template.words["priority"]["urgent"]) in json.dumps(body)
        assert "1001" in path + json.dumps(body)


def test_values_are_typed_and_what_is_not_known_is_left_out(one_store, system, tmp_path):
    root = write_routes(tmp_path, odoo=cmms(system, "odoo"))
    case = request_service(one_store)
    with routed(one_store, root):
        wait_for(lambda: said_of(one_store, case), "the note of the order")
    (made,) = system.orders[0]["vals_list"]
    assert made["equipment_id"] == 7
    assert fill_body({"asset": {"id": "{asset.tags.none|number}"}, "n": "{case}"}, {"case": 3}) == {"n": 3}
    assert at_pointer({"a": [{"b/c": 1}]}, "/a/0/b~1c") == 1


def test_a_killed_process_makes_no_order_twice(one_store, system, tmp_path):
    root = write_routes(tmp_path, cmms=cmms(system, "maximo"))
    case = request_service(one_store)
    system.swallows = True  # the order is made, and whoever made it dies before he hears of it
    deliver_until_killed(root, lambda: system.orders)
    assert said_of(one_store, case) == []
    system.swallows = False
    system.release.set()
    with routed(one_store, root):
        wait_for(lambda: said_of(one_store, case), "the note of the order")
    assert len(system.orders) == 1
    assert system.finds == 2
    assert said_of(one_store, case) == ["Work order 1001 in IBM Maximo Manage"]


def test_a_system_that_is_away_gets_the_order_once_it_is_there(one_store, system, tmp_path):
    root = write_routes(tmp_path, cmms=cmms(system, "atlas-cmms"))
    system.refuses = 2
    case = request_service(one_store)
    with routed(one_store, root):
        wait_for(lambda: said_of(one_store, case), "the note of the order")
    assert len(system.orders) == 1


def test_a_route_takes_its_owners_machines_and_its_severity_alone(one_store, system, tmp_path):
    other = MaintenanceSystem().start()
    root = write_routes(
        tmp_path,
        south=cmms(system, "maximo", owners=["south"]),
        urgent=cmms(system, "maximo", severity="urgent"),
        north=cmms(other, "maximo", owners=["no*"], twins=["pump"]),
    )
    case = request_service(one_store)
    with routed(one_store, root):
        wait_for(lambda: said_of(one_store, case), "the note of the order")
    assert (system.orders, len(other.orders)) == ([], 1)
    other.stop()


@pytest.mark.parametrize(
    ("route", "reason"),
    [
        ({"mail": ["a@b"], "chat_from": "X"}, "say one of"),
        ({"mail": ["a@b"], "url": "http://x", "sender": "a@b"}, "none that begins with smtp"),
        ({"work_orders": "t.json", "url": "https://u:p@x"}, "holds a user"),
        ({"mail": ["a@b"], "url": "smtp://x"}, "sender: is missing"),
        (
            {"mail": ["a@b"], "url": "smtp://x", "sender": "a", "quiet": {"begin": "22:00", "end": "22:00"}},
            "is the same",
        ),
        ({**MAIL, "typo": 1}, "unknown field"),
        ({"work_orders": "t.json", "url": "http://x", "headers_from": {"a": "NOT_SET"}}, "NOT_SET is not set"),
        ({"work_orders": "none.json", "url": "http://x"}, "cannot be read"),
    ],
)
def test_a_route_that_cannot_be_used_is_told_with_its_place(tmp_path, route, reason):
    write_routes(tmp_path, mine=route)
    with pytest.raises(ConnectionsError, match=reason):
        route_targets(None, tmp_path, SECRETS)


@pytest.mark.parametrize("name", NAMES)
def test_each_template_has_its_place_on_the_page_with_its_fields(name):
    template = json.loads((TEMPLATES / f"{name}.json").read_text())
    start = PAGE.index(f"`serving/work_orders/{name}.json`")
    section = PAGE[start : PAGE.find("\n### ", start)]
    assert template["tried"] == "not tried on a live system"
    assert template["tried"] in section
    assert template["read_on"] in section
    assert all(url in section for url in template["documentation"])
    assert "found again by" in section
    fields = [name for name in json.dumps(template["create"]["body"]).split('"') if name.isidentifier()]
    assert [one for one in fields if f"`{one}`" not in section and one not in ("vals_list", "id")] == []


def test_a_page_that_asks_to_sign_in_is_no_sign_that_there_is_no_order(one_store, system, tmp_path):
    root = write_routes(tmp_path, cmms=cmms(system, "maximo"))
    system.asks_to_sign_in = True
    case = request_service(one_store)
    with routed(one_store, root):
        wait_for(lambda: len(system.headers) > 1, "a second attempt")
        assert (system.orders, said_of(one_store, case)) == ([], [])
        system.asks_to_sign_in = False
        wait_for(lambda: said_of(one_store, case), "the note of the order")
    assert len(system.orders) == 1
