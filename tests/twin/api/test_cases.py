"""Cases over HTTP: list, service request, acknowledgement, verdict; deliveries."""

from datetime import UTC, datetime

import pytest

from foretwin.twin.store.casework import events
from support.live_project import assert_problem, live, living_project, message, score


@pytest.fixture
def root(tmp_path):
    return living_project(tmp_path / "project")


@pytest.fixture
def client(store, root):
    with live(store, root) as client:
        for name in ("P-1", "P-2"):
            client.post(f"/v1/twins/{name}/readings?twin=pump", json=message(count=4)).raise_for_status()
        score(store, root)
        yield client


def numbers(client, query="") -> list[int]:
    return [one["id"] for one in client.get(f"/v1/cases{query}").raise_for_status().json()["items"]]


def test_cases_are_filtered_and_sorted(client):
    listed = client.get("/v1/cases?sort=asset").json()["items"]
    assert [one["asset"] for one in listed] == ["P-1", "P-2"]
    assert {(one["fault"], one["severity"], one["state"]) for one in listed} == {("end_of_life", "urgent", "open")}
    assert all(one["stale"] is False and one["age_seconds"] >= 0 for one in listed)
    assert numbers(client, "?asset=P-2") == [listed[1]["id"]]
    assert (
        numbers(client, "?state=closed") == numbers(client, "?severity=planned") == numbers(client, "?twin=fan") == []
    )
    assert numbers(client, "?sort=-id") == sorted(numbers(client), reverse=True)
    assert_problem(client.get("/v1/cases?state=shut"), 422, "state")
    assert_problem(client.get("/v1/cases?severity=red"), 422, "severity")


def test_one_case_and_its_service_request(client):
    first = numbers(client, "?asset=P-1")[0]
    told = client.get(f"/v1/cases/{first}").raise_for_status().json()
    assert (told["id"], told["asset"], told["stale"]) == (first, "P-1", False)
    request = client.get(f"/v1/cases/{first}/service-request").raise_for_status().json()
    assert request["part"]["name"] == "P-1"
    assert request["instruction"] == "replace it"


@pytest.mark.parametrize("number", ["999", "0", "-1", "first", "99999999999", "2147483648"])
def test_a_case_that_is_not_there_is_not_found(client, number):
    for way in ("", "/service-request"):
        assert_problem(client.get(f"/v1/cases/{number}{way}"), 404, "case")
    assert_problem(client.post(f"/v1/cases/{number}/acknowledge"), 404, "case")
    assert_problem(client.post(f"/v1/cases/{number}/verdict", json={"verdict": "confirmed"}), 404, "case")


@pytest.mark.dated
def test_a_case_is_acknowledged_by_somebody(client):
    first = numbers(client)[0]
    told = client.post(f"/v1/cases/{first}/acknowledge", headers={"X-Actor": "ann"}).raise_for_status().json()
    assert told["state"] == "acknowledged"
    assert client.post(f"/v1/cases/{first}/acknowledge").raise_for_status().json()["state"] == "acknowledged"
    assert numbers(client, "?state=acknowledged") == [first]
    entries = client.get(f"/v1/twins/{told['asset']}/thread").json()["entries"]
    assert ("acknowledged", "ann") in [(one.get("action"), one.get("actor")) for one in entries]


@pytest.mark.dated
def test_a_verdict_closes_the_case_and_begins_the_next_run(client):
    first = numbers(client, "?asset=P-1")[0]
    verdict = {"verdict": "part_replaced", "serial_number": "N-1", "note": "worn"}
    client.post(f"/v1/cases/{first}/verdict", json=verdict, headers={"X-Actor": "ann"}).raise_for_status()
    assert client.get(f"/v1/cases/{first}").json()["state"] == "closed"
    told = client.get("/v1/twins/P-1").json()
    assert told["run"] == 2
    assert [one["serial_number"] for one in told["parts"]] == ["N-1"]
    assert told["open_cases"] == []
    assert_problem(client.post(f"/v1/cases/{first}/verdict", json={"verdict": "confirmed"}), 409, "verdict")
    assert_problem(client.post(f"/v1/cases/{first}/acknowledge"), 409, "case")
    (given,) = [one for one in client.get("/v1/twins/P-1/thread").json()["entries"] if one["kind"] == "verdict"]
    assert (given["verdict"], given["actor"], given["note"]) == ("part_replaced", "ann", "worn")


@pytest.mark.parametrize(
    ("sent", "status", "field"),
    [
        ({"verdict": "perhaps"}, 422, "verdict"),
        ({}, 422, "verdict"),
        ({"verdict": "confirmed", "colour": "red"}, 422, "colour"),
        ({"verdict": "confirmed", "time": -1}, 422, "time"),
        ([], 400, "body"),
    ],
)
def test_a_verdict_that_is_none_is_refused_and_the_case_stays_open(client, sent, status, field):
    first = numbers(client)[0]
    assert_problem(client.post(f"/v1/cases/{first}/verdict", json=sent), status, field)
    assert client.get(f"/v1/cases/{first}").json()["state"] == "open"


@pytest.mark.dated
def test_deliveries_that_were_given_up_are_listed(client, store):
    now = datetime.now(UTC)
    with store.write() as connection:
        events.assign(connection, "http://127.0.0.1:1/hook", now)
        connection.exec_driver_sql("UPDATE deliveries SET state = 'dead', attempts = 10, error = 'refused'")
    dead = client.get("/v1/deliveries?state=dead").raise_for_status().json()["items"]
    assert len(dead) >= 2
    assert {(one["error"], one["attempts"], one["target"]) for one in dead} == {
        ("refused", 10, "http://127.0.0.1:1/hook")
    }
    assert "foretwin.case.opened.v1" in {one["type"] for one in dead}
    assert client.get("/v1/deliveries?state=waiting").json()["items"] == []
    assert_problem(client.get("/v1/deliveries?state=lost"), 422, "state")
