"""Pictures' numbers over HTTP: a run in pieces, the health of a fleet, and filters of its list."""

import pytest
from jsonschema import Draft202012Validator

from support.live_project import PUMP, assert_problem, live, living_project, message, score

pytestmark = pytest.mark.dated


@pytest.fixture
def root(tmp_path):
    return living_project(tmp_path / "project")


@pytest.fixture
def client(store, root):
    with live(store, root) as client:
        yield client


def send(client, name: str, times: list[float], values: list[float]) -> None:
    rows = {"time": times, "channels": dict.fromkeys(PUMP.channel_names, values)}
    client.post(f"/v1/twins/{name}/readings?twin=pump", json=rows).raise_for_status()


def series(client, query: str = "") -> dict:
    return client.get(f"/v1/twins/P-1/series{query}").raise_for_status().json()


def test_a_gap_stays_a_gap(client):
    send(client, "P-1", [1, 2, 5, 6], [1, 2, 5, 6])
    told = series(client)
    assert told["time"] == [1, 2, 3, 4, 5, 6]
    assert told["channels"]["c1"]["last"] == [1, 2, None, None, 5, 6]


def test_pieces_keep_the_extremes_and_the_last_value(client):
    values = [0.0] * 101
    values[50], values[51] = 9.5, -9.5
    send(client, "P-1", [float(i) for i in range(101)], values)
    told = series(client, "?points=5")
    assert told["time"] == [0, 25, 50, 75, 100]
    course = told["channels"]["speed"]
    assert (course["max"], course["min"]) == ([0, 0, 9.5, 0, 0], [0, 0, -9.5, 0, 0])
    assert course["last"] == [0] * 5
    assert course["limits"] == [-1000, 1000]


def test_the_rul_has_its_interval_and_the_case_its_mark(client, store, root):
    send(client, "P-1", [1, 2, 3, 4], [0, 0, 0, 0])
    assert series(client)["rul"] == {"value": [None] * 4, "low": [None] * 4, "high": [None] * 4}
    score(store, root)
    told = series(client)
    assert told["rul"]["value"][:3] == [None] * 3
    assert told["rul"]["low"][3] <= told["rul"]["value"][3] <= told["rul"]["high"][3]
    assert [(one["time"], one["kind"], one["what"]) for one in told["marks"]] == [(4, "case", "end_of_life")]
    client.post("/v1/twins/P-1/maintenance", json={"kind": "inspection", "time": 2}).raise_for_status()
    assert [one["kind"] for one in series(client)["marks"]] == ["maintenance", "case"]


def test_a_run_without_readings_is_empty_and_earlier_runs_are_asked_for(client):
    send(client, "P-1", [1, 2], [1, 2])
    client.post("/v1/twins/P-1/maintenance", json={"kind": "run_ended"}).raise_for_status()
    assert (series(client)["run"], series(client)["time"]) == (2, [])
    assert series(client, "?run=1")["time"] == [1, 2]
    assert_problem(client.get("/v1/twins/P-1/series?points=1"), 422, "points")
    assert_problem(client.get("/v1/twins/P-9/series"), 404, "asset")


def test_answers_are_as_their_schema_says(client):
    send(client, "P-1", [1, 2, 5], [1, 2, 5])
    operation = client.get("/openapi.json").json()["paths"]["/v1/twins/{asset}/series"]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    Draft202012Validator(schema).validate(series(client))


def test_the_overview_counts_the_fleet_by_health(client, store, root):
    for name in ("P-1", "P-2"):
        send(client, name, [1, 2, 3, 4], [0, 0, 0, 0])
    client.put("/v1/twins/P-3", json={"twin": "pump"}).raise_for_status()
    score(store, root)
    told = client.get("/v1/overview").raise_for_status().json()
    assert {(one["health"], one["assets"], one["unheard"]) for one in told["assets"]} == {
        ("failure", 2, 0),
        ("check_function", 1, 1),
    }
    assert told["cases"] == [{"severity": "urgent", "state": "open", "cases": 2}]
    assert told["waiting_for_scores"] == {"assets": 0, "since": None}
    assert client.get("/v1/twins/P-3").json()["health"] == "check_function"


def test_the_fleet_is_searched_by_name_tag_and_health(client, store, root):
    for name, tags in {"Pump_1": {"line": "a"}, "pumpX1": {"line": "b"}, "F-1": {}}.items():
        client.put(f"/v1/twins/{name}", json={"twin": "pump", "tags": tags}).raise_for_status()
    client.post("/v1/twins/F-1/readings", json=message(count=4)).raise_for_status()
    score(store, root)

    def names(query: str) -> list[str]:
        return [one["asset"] for one in client.get(f"/v1/twins?sort=name&{query}").raise_for_status().json()["items"]]

    assert names("search=PUMP_") == ["Pump_1"], "the underscore is no wildcard"
    assert names("tag=line%3Db") == ["pumpX1"]
    assert names("health=failure") == ["F-1"]
    (failing,) = client.get("/v1/twins?health=failure").json()["items"]
    assert [(one["fault"], one["severity"]) for one in failing["cases"]] == [("end_of_life", "urgent")]
    assert_problem(client.get("/v1/twins?tag=line"), 422, "tag", "NAME=VALUE")


def test_contracts_are_told_by_asset(client):
    send(client, "P-1", [1], [0])
    told = client.get("/v1/twins/P-1/contract").raise_for_status().json()
    assert list(told["channels"]) == list(PUMP.channel_names)
    assert "source" not in told, "it names places on the server"
