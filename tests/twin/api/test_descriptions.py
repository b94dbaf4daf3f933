"""The OpenAPI document of `foretwin live`: a name and a schema for each operation, to which its answers keep."""

from datetime import UTC, datetime, timedelta

import pytest

from foretwin.champion import ledger
from foretwin.champion.ledger import LedgerEntry
from foretwin.project.paths import Paths
from foretwin.twin.api.app import WAYS
from foretwin.twin.api.openapi import ANSWERS
from foretwin.twin.monitoring.run import MonitorSettings, monitor
from foretwin.twin.store import assets, open_store
from foretwin.twin.store.casework import events
from foretwin.twin.store.casework.outbox import emit
from support.described_answers import assert_as_described
from support.live_project import PUMP, live, living_project, message, score
from support.pictures import picture

pytestmark = pytest.mark.dated

# Which ask for a degradation model, or for a former champion: their own tests hold them.
TYPE_CALLS = ("post_type_file", "post_type_columns", "post_type_draft", "post_type_build", "post_type_discard")
KEY_CALLS = (
    "get_keys",
    "post_key",
    "post_key_revocation",
    "get_sessions",
    "post_session_end",
)  # nobody needs a key here
ELSEWHERE = {"post_what_if", "post_rollback", "post_photo", "post_work_order_state", *TYPE_CALLS, *KEY_CALLS}


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    """A client of a plant in which everything has happened that an operation tells of."""
    root = living_project(tmp_path_factory.mktemp("described") / "project")
    store = open_store(f"sqlite:///{root}/twins.db")
    with live(store, root) as client:
        rows = {"time": [1, 2, 3, 4], "channels": {name: [0.0] * 3 + [9e9] for name in PUMP.channel_names}}
        for name in ("P-1", "P-2"):
            told = {"twin": "pump", "parts": [{"part": "seal", "serial_number": "S-1"}], "tags": {"hall": "3"}}
            client.put(f"/v1/twins/{name}", json=told).raise_for_status()
            client.post(f"/v1/twins/{name}/readings", json=rows).raise_for_status()
        client.put("/v1/twins/P-3", json={"twin": "pump"}).raise_for_status()
        score(store, root)
        client.post("/v1/holds", json={"asset": "P-1", "because": "claim 12"}).raise_for_status()
        now = datetime.now(UTC)
        with store.write() as connection:
            emit(connection, "asset.stale", "pump", assets.find_asset(connection, "P-1"), "assets/1", {}, now)
            events.assign(connection, "http://127.0.0.1:9/away", now)
        monitor(store, root, PUMP, MonitorSettings(), now)
        decision = LedgerEntry(now, "promoted", "3", "d" * 64, "run", None, "3", ("it is better",), "ann")
        ledger.append(Paths(root, "pump").ledger, decision)
        yield client
    store.close()


@pytest.fixture(scope="module")
def document(plant):
    return plant.get("/openapi.json").raise_for_status().json()


def test_each_operation_has_a_name_of_its_own_and_a_schema_of_its_answer(document):
    operations = [one for methods in document["paths"].values() for one in methods.values()]
    names = [one["operationId"] for one in operations]
    assert len(set(names)) == len(names) == len(WAYS)
    for one in operations:
        (content,) = one["responses"]["200"]["content"].values()
        assert content["schema"], one["operationId"]
        assert one["tags"]
    titles = [
        content["schema"]["title"]
        for one in operations
        for kind, content in one["responses"]["200"]["content"].items()
        if kind == "application/json"
    ]
    assert {one for one in titles if titles.count(one) > 1} == {"AssetDetail", "CaseAnswer", "TypeJobAnswer"}, (
        "as several answer"
    )


def test_every_answer_is_as_described(plant, document):
    def ask(way, url: str, body=None) -> dict:
        answer = plant.request(way.method, url, json=body)
        assert answer.status_code == 200, answer.text
        assert_as_described(document, way.method, way.path, answer.json())
        return answer.json()

    case = plant.get("/v1/cases?asset=P-1").json()["items"][0]["id"]
    other = plant.get("/v1/cases?asset=P-2").json()["items"][0]["id"]
    bodies = {
        "put_twin": {"location": "hall 3"},
        "post_readings": message(count=1, start=5),
        "post_events": {"events": [{"code": "E1", "time": 3}]},
        "post_maintenance": {"kind": "inspection", "note": "quiet"},
        "post_explanation": {},
        "post_acknowledge": {},
        "post_move": {"state": "planned", "planned_for": (datetime.now(UTC) + timedelta(days=1)).isoformat()},
        "post_assignment": {"person": "ann"},
        "post_rest": {"until": "2100-01-01T00:00:00Z", "reason": "no crew"},
        "post_comment": {"text": "noisy"},
        "post_verdict": {"verdict": "confirmed", "note": "worn"},
        "post_hold": {"asset": "P-2", "because": "claim 4711"},
        "post_hold_lift": {"because": "it is settled"},
    }
    photo = plant.post(f"/v1/cases/{case}/photos", content=picture((8, 8)), headers={"content-type": "image/jpeg"})
    assert_as_described(document, "POST", "/v1/cases/{case}/photos", photo.raise_for_status().json())
    last = [way for way in WAYS if way.method == "DELETE"]
    past = [
        way for way in WAYS if way.operation in ("get_comments", "get_similar", "get_photos")
    ]  # of what was done before
    for way in [*(way for way in WAYS if way not in (*past, *last)), *past, *last]:
        if way.path in ANSWERS or way.operation in ELSEWHERE or way.operation == "post_release":
            continue
        number = other if way.operation == "post_verdict" else case
        url = way.path.replace("{asset}", "P-1").replace("{case}", str(number)).replace("{twin}", "pump")
        answer = ask(way, url, bodies.get(way.operation))
        if "items" in answer:
            assert answer["items"], way.operation
    ask(next(way for way in WAYS if way.operation == "get_twin"), "/v1/twins/P-3")
    ask(next(way for way in WAYS if way.operation == "get_thread"), f"/v1/twins/P-2/thread?at={_now()}")


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def test_a_release_is_as_described(plant, document):
    early = {"time": [900], "run": 7, "channels": {name: [0.0] for name in PUMP.channel_names}}
    refused = plant.post("/v1/twins/P-2/readings", json=early)
    assert refused.status_code == 422, refused.text
    waiting = [
        one for one in plant.get("/v1/quarantine?asset=P-2").json()["items"] if one["reason"] in ("run", "clock")
    ]
    answer = plant.post(f"/v1/quarantine/{waiting[0]['id']}/release", json={}).raise_for_status().json()
    assert_as_described(document, "POST", "/v1/quarantine/{message}/release", answer)
