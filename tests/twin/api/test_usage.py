"""Usage by owner and month: what is counted, what remains, who sees it, and its three forms."""

import csv
import io
from datetime import UTC, datetime

import pytest
from jsonschema import Draft202012Validator
from sqlalchemy import insert, update

from foretwin.serving.access.authentication import Guard
from foretwin.serving.access.keys import KeyRequest, make_key
from foretwin.twin.store.scoring.usage import month_of
from foretwin.twin.store.summaries import usage_counts
from foretwin.twin.store.tables import assets
from support.live_project import assert_problem, live, living_project, message, score

pytestmark = pytest.mark.dated


@pytest.fixture
def root(tmp_path):
    return living_project(tmp_path / "project")


@pytest.fixture
def client(store, root):
    with live(store, root) as client:
        yield client


def send(client, name: str, count: int, start: int = 1) -> None:
    client.post(f"/v1/twins/{name}/readings?twin=pump", json=message(count=count, start=start)).raise_for_status()


def owned(client, **owners: str) -> None:
    for name, owner in owners.items():
        client.put(f"/v1/twins/{name}", json={"twin": "pump", "tags": {"owner": owner}}).raise_for_status()


def usage(client, query: str = "") -> dict:
    found = client.get(f"/v1/usage{query}").raise_for_status().json()["items"]
    return {(one["owner"], one["twin"]): (one["readings"], one["scores"]) for one in found}


def test_stored_readings_and_scores_are_counted_for_who_owns_the_machine_then(client, store, root):
    owned(client, A="acme", B="bolt")
    for name in ("A", "B", "C"):
        send(client, name, 4)
    send(client, "A", 4)  # again: duplicates are no readings
    assert client.post("/v1/twins/B/readings", json=message(count=1, start=9, value=9e9)).json()["quarantined"] == 1
    assert usage(client) == {("acme", "pump"): (4, 0), ("bolt", "pump"): (4, 0), ("", "pump"): (4, 0)}
    score(store, root)
    owned(client, B="acme")
    send(client, "B", 2, start=20)
    score(store, root)
    told = {("acme", "pump"): (6, 2), ("bolt", "pump"): (4, 1), ("", "pump"): (4, 1)}
    assert usage(client) == told
    client.delete("/v1/twins/A").raise_for_status()
    assert usage(client) == told, "a bill stays when a machine is erased"


def test_months_are_asked_for_and_one_that_is_over_is_always_the_same_event(client, store):
    owned(client, A="acme/1")
    send(client, "A", 3)
    now = month_of(datetime.now(UTC))
    rows = [{"partition": 0, "count": 5}, {"partition": 1, "count": 7}]  # of two that stored at once
    fixed = {"twin": "pump", "owner": "acme/1", "month": now - 1, "kind": "readings"}
    with store.write() as connection:
        connection.execute(insert(usage_counts), [{**fixed, **row} for row in rows])
    before = f"{(now - 1) // 12:04}-{(now - 1) % 12 + 1:02}"
    items = client.get("/v1/usage").json()["items"]
    assert [(one["is_over"], one["readings"]) for one in items] == [(False, 3), (True, 12)]
    assert usage(client, f"?until={before}") == {("acme/1", "pump"): (12, 0)}
    rows = list(csv.DictReader(io.StringIO(client.get(f"/v1/usage.csv?since={before}").text)))
    assert [one["readings"] for one in rows] == ["3", "12"]
    answer = client.get("/v1/usage/events")
    assert answer.headers["content-type"] == "application/cloudevents-batch+json"
    (event,) = answer.json()
    assert (event["id"], event["source"]) == (f"{before}/acme%2F1", "/foretwin/pump")
    assert event["data"]["readings"] == 12
    assert set(event) >= {"specversion", "type", "time", "subject"}
    with store.write() as connection:
        connection.execute(update(assets).values(tags={}))
    assert client.get("/v1/usage/events").json() == [event]
    for query in ("since=2026-13", "since=now", "since=2026-05&until=2026-04", "sort=owner"):
        assert_problem(client.get(f"/v1/usage?{query}"), 422, query.partition("=")[0])
    document = client.get("/openapi.json").json()
    content = document["paths"]["/v1/usage"]["get"]["responses"]["200"]["content"]["application/json"]
    schema = {**content["schema"], "components": document["components"]}
    Draft202012Validator(schema).validate(client.get("/v1/usage").json())


def test_a_customer_sees_what_his_machines_used_and_whose_key_names_no_owner_is_refused(store, root):
    keys, now = root / "keys.json", datetime.now(UTC)
    bounds = {"all": {}, "acme": {"owners": ["acme"]}, "line": {"owners": ["line=2"]}, "one": {"assets": ["A"]}}
    made = {name: make_key(keys, KeyRequest(name, ["read"], 1e6, **one), "ann", now) for name, one in bounds.items()}
    sender = make_key(keys, KeyRequest("sender", ["ingest", "operate"], 1e6), "ann", now)
    with live(store, root, Guard(keys)) as client:
        client.headers["authorization"] = f"Bearer {sender}"
        owned(client, A="acme", B="Acme")
        send(client, "A", 2)
        send(client, "B", 3)
        seen = {}
        for name, key in made.items():
            client.headers["authorization"] = f"Bearer {key}"
            answer = client.get("/v1/usage")
            seen[name] = answer.status_code, sorted(one["owner"] for one in answer.json().get("items", []))
    assert seen == {"all": (200, ["Acme", "acme"]), "acme": (200, ["acme"]), "line": (403, []), "one": (403, [])}
