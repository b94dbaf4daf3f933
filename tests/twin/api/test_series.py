"""Pictures' numbers over HTTP: a run in pieces, the health of a fleet, and filters of its list."""

import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from foretwin.champion.champion import load_champion
from foretwin.twin.store.casework import cases
from foretwin.twin.store.casework.cases import NewCase, Numbers
from foretwin.twin.store.scoring import scores
from foretwin.twin.store.scoring.scores import Score
from support.live_project import PUMP, assert_problem, live, living_project, message, score
from support.stored_case import MODEL
from support.stored_readings import store_rows

pytestmark = pytest.mark.dated

ODD = "out_of_training_range: c1"


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


def test_a_channel_has_the_range_that_the_champion_learnt_from(client, root):
    send(client, "P-1", [1, 2], [1, 2])
    ranges = load_champion(root, "pump", None).bundle.reference.ranges[:, PUMP.channel_names.index("c1")]
    assert series(client)["channels"]["c1"]["trained"] == pytest.approx(ranges.tolist(), rel=1e-4)
    shutil.rmtree(root / "models" / "pump" / "champion")
    assert series(client)["channels"]["c1"]["trained"] is None


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
    document = client.get("/openapi.json").json()
    validate(document)  # every reference leads somewhere
    operation = document["paths"]["/v1/twins/{asset}/series"]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    Draft202012Validator({**schema, "components": document["components"]}).validate(series(client))


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


def test_the_fleet_is_narrowed_by_site_line_and_owner(client):
    for name, tags in {"A": ("Ulm", "1", "acme"), "B": ("Ulm", "2", "acme"), "C": ("Bonn", "2", "rival")}.items():
        told = dict(zip(("site", "line", "owner"), tags, strict=True))
        client.put(f"/v1/twins/{name}", json={"twin": "pump", "tags": told}).raise_for_status()
        client.post(f"/v1/twins/{name}/readings", json=message(count=1)).raise_for_status()

    def names(query: str) -> list[str]:
        return [one["asset"] for one in client.get(f"/v1/twins?sort=name&{query}").raise_for_status().json()["items"]]

    assert names("site=Ulm") == ["A", "B"]
    assert names("line=2&owner=acme") == ["B"]
    assert names("site=Ulm&tag=line%3D2") == ["B"]
    assert names("site=ulm") == []
    assert client.get("/v1/overview").json()["owners"] == ["acme", "rival"]


def test_the_overview_counts_failures_a_few_machines_at_a_time(client, store, root, monkeypatch):
    for name in ("P-1", "P-2", "P-3"):
        send(client, name, [1, 2, 3, 4], [0, 0, 0, 0])
    score(store, root)
    send(client, "P-1", [5], [0])  # so that it fails later than its case was opened
    case = client.get("/v1/cases?asset=P-1").json()["items"][0]["id"]
    client.post(f"/v1/cases/{case}/verdict", json={"verdict": "run_ended"}).raise_for_status()
    client.get("/v1/kpis").raise_for_status()
    monkeypatch.setattr("foretwin.twin.api.twins.COUNTED_AT_ONCE", 1)
    for name in ("P-2", "P-3"):
        case = client.get(f"/v1/cases?asset={name}").json()["items"][0]["id"]
        client.post(f"/v1/cases/{case}/verdict", json={"verdict": "run_ended"}).raise_for_status()

    def told() -> tuple[int, int, bool]:
        (one,) = client.get("/v1/overview").json()["failures"]
        return one["foreseen"], one["missed"], one["is_complete"]

    assert [told(), told(), told(), told()] == [(1, 1, False), (1, 2, False), (1, 2, True), (1, 2, True)]
    (year,) = client.get("/v1/kpis").json()["twins"]
    assert [year["total"]["failures"][kind] for kind in ("foreseen", "missed")] == [1, 2]


def test_contracts_are_told_by_asset(client):
    send(client, "P-1", [1], [0])
    told = client.get("/v1/twins/P-1/contract").raise_for_status().json()
    assert list(told["channels"]) == list(PUMP.channel_names)
    assert "source" not in told, "it names places on the server"


def test_health_is_the_first_word_that_holds(store, root):
    contract = PUMP.model_copy(update={"cases": PUMP.cases.model_copy(update={"stale_after": 1.0})})
    (root / "data" / "pump" / "twin.yaml").write_text(contract.model_dump_json())
    with live(store, root) as client:
        for name, case, warnings, silent in (
            ("failing", "urgent", [ODD], True),
            ("wearing", "planned", [ODD], True),
            ("silent", None, [ODD], True),
            ("odd", None, [ODD], False),
            ("sensor", None, [ODD, "check_function: flow contradicts the other channels"], False),
            ("elsewhere", None, ["unknown_regime: speed"], False),
            ("fine", None, ["rul_at_cap", "short_history: 4 of 8 rows"], False),
        ):
            tell(store, contract, name, case, warnings, silent)
        client.put("/v1/twins/new", json={"twin": "pump"}).raise_for_status()
        told = {one["asset"]: one["health"] for one in client.get("/v1/twins").json()["items"]}
        assert told == {
            "failing": "failure",
            "wearing": "maintenance_required",
            "silent": "check_function",
            "new": "check_function",
            "odd": "off_specification",
            "sensor": "check_function",
            "elsewhere": "off_specification",
            "fine": "good",
        }
        assert {name: client.get(f"/v1/twins/{name}").json()["health"] for name in told} == told
        counted = client.get("/v1/overview").json()["assets"]
        assert sum(one["silent"] for one in counted) == 3
        assert {one["health"]: one["assets"] for one in counted} == {**Counter(told.values())}


def tell(store, contract, name: str, severity: str | None, warnings: list[str], silent: bool) -> None:
    """A machine with one reading and one score, and a case of that severity."""
    at = datetime.now(UTC) - timedelta(hours=2 if silent else 0)
    rows = pd.DataFrame(
        {"asset": [name], "run": 1, "time": 1.0, **dict.fromkeys(contract.channel_names, np.float32(0))}
    )
    number = store_rows(store, contract, rows, at)[name]
    with store.write() as connection:
        model = scores.model_id(connection, contract.name, MODEL, contract.digest, at, 0.9)
        rul = {"rul": 50.0, "rul_low": 40.0, "rul_high": 60.0}
        one = Score(number, 1, 1.0, model, at, 1.0, 8, **rul, faults={}, diagnosis={}, warnings=warnings)
        scores.add_scores(connection, [one])
        if severity:
            numbers = Numbers(time=1.0, scored_at=at, model=model, probability=None, **rul)
            new = NewCase(contract.name, number, 1, "end_of_life", severity, numbers, {})
            assert cases.insert(connection, new, "watch", at)
