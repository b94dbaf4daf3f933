"""Twins over HTTP: fleet, description, scores, thread, copy, erasure; and how every refusal looks."""

import io
import socket
import threading
import zipfile
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import event

from foretwin.twin.api.app import WAYS
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import assets, open_store
from foretwin.twin.store.casework import cases
from foretwin.twin.store.casework.cases import NewCase
from support.live_project import PUMP, assert_problem, live, live_sqlite, living_project, message, score

STORED = {"twin": "pump", "serial_number": "S-1", "location": "hall 3", "tags": {"line": "A"}}


@pytest.fixture
def root(tmp_path):
    return living_project(tmp_path / "project")


@pytest.fixture
def client(store, root):
    with live(store, root) as client:
        yield client


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A server for calls that must leave nothing behind."""
    with live_sqlite(tmp_path_factory.mktemp("shared")) as client:
        yield client
        assert client.get("/v1/twins").json()["items"] == []


def fill(client, *names, count=3, value=0.0, twin="pump"):
    for name in names:
        sent = message(count=count, value=value)
        client.post(f"/v1/twins/{name}/readings?twin={twin}", json=sent).raise_for_status()


def names_of(client, query) -> list[str]:
    return [one["asset"] for one in client.get(f"/v1/twins{query}").raise_for_status().json()["items"]]


# description


def test_an_asset_is_registered_and_described(client):
    parts = [{"part": "P-1", "serial_number": "B-7", "provenance": "works order 9"}]
    told = (
        client.put("/v1/twins/P-1", json=STORED | {"parts": parts}, headers={"X-Actor": "ann"})
        .raise_for_status()
        .json()
    )
    assert {name: told[name] for name in STORED} == STORED
    assert told["last_reading"] is None
    assert (told["stale"], told["age_seconds"], told["last_score"]) == (False, None, None)
    assert [(one["part"], one["serial_number"], one["provenance"]) for one in told["parts"]] == [
        ("P-1", "B-7", "works order 9")
    ]
    client.put("/v1/twins/P-1", json={"location": "hall 4"}).raise_for_status()
    told = client.get("/v1/twins/P-1").json()
    assert (told["location"], told["serial_number"], told["tags"]) == ("hall 4", "S-1", {"line": "A"})
    entries = client.get("/v1/twins/P-1/thread").json()["entries"]
    assert ("asset.registered", "ann") in [(one.get("action"), one.get("actor")) for one in entries]
    assert ("asset.described", "http") in [(one.get("action"), one.get("actor")) for one in entries]


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"twin": "pump", "colour": "red"}, "colour"),
        ({"twin": "pump", "tags": {"a": 1}}, "tags.a"),
        ({"twin": "pump", "parts": [{"serial_number": "x"}]}, "parts.0.part"),
        ({"location": "hall 3"}, "twin"),
        ({"twin": "press"}, "twin"),
        ({"twin": "pump", "location": ""}, "location"),
    ],
)
def test_a_description_that_is_none_is_refused_and_nothing_is_registered(shared, sent, field):
    assert_problem(shared.put("/v1/twins/P-1", json=sent), 422, field)
    assert shared.get("/v1/twins/P-1").status_code == 404


def test_texts_with_nul_never_reach_the_store(shared):
    assert_problem(shared.put("/v1/twins/P-1", json=STORED | {"location": "a\0b"}), 400, "body", "NUL")
    assert_problem(shared.get("/v1/twins?twin=a%00b"), 422, "twin", "NUL")
    assert shared.get("/v1/twins/a%00b").status_code == 422


def test_an_asset_stays_of_its_twin(client):
    fill(client, "P-1")
    assert_problem(client.put("/v1/twins/P-1", json={"twin": "fan"}), 409, "asset")


def test_who_acts_must_have_a_name(shared):
    assert_problem(shared.put("/v1/twins/P-1", json=STORED, headers={"X-Actor": "x" * 201}), 422, "X-Actor")


# fleet


def test_the_fleet_is_filtered_and_sorted(client, store, root):
    fill(client, "P-2", "P-1", count=4)
    fill(client, "P-3", count=1)  # too short to be scored
    fill(client, "F-1", twin="fan")
    client.put("/v1/twins/P-2", json={"location": "hall 3"}).raise_for_status()
    score(store, root)
    assert names_of(client, "") == ["F-1", "P-1", "P-2", "P-3"]
    assert names_of(client, "?twin=pump&sort=-name") == ["P-3", "P-2", "P-1"]
    assert names_of(client, "?location=hall%203") == ["P-2"]
    assert names_of(client, "?sort=rul_low&twin=pump")[-1] == "P-3", "an unknown life comes last"
    items = {one["asset"]: one for one in client.get("/v1/twins").json()["items"]}
    assert items["P-1"]["last_score"]["rul"]["unit"] == "h"
    assert items["P-1"]["last_score"]["model"]["name"] == "foretwin-pump"
    assert items["P-1"]["open_cases"] == 1
    assert "rul" not in items["F-1"]["last_score"]
    assert items["P-3"]["last_score"] is None


def test_the_shortest_life_comes_first(client, store, root):
    for i, value in enumerate((0.5, 0.0, -0.5)):
        fill(client, f"P-{i}", value=value)
    score(store, root)
    items = client.get("/v1/twins?sort=rul_low").json()["items"]
    lows = [one["last_score"]["rul"]["low"] for one in items]
    assert lows == sorted(lows)
    assert lows[0] < lows[-1]


@pytest.mark.dated
def test_pages_lead_through_the_whole_fleet_once(client, store):
    with store.write() as connection:
        assets.register_assets(connection, "pump", [f"P-{i:03}" for i in range(23)], datetime.now(UTC))
    url, seen, pages = "/v1/twins?limit=5&sort=-name", [], 0
    while url:
        page = client.get(url).raise_for_status().json()
        seen += [one["asset"] for one in page["items"]]
        url, pages = page["next"], pages + 1
    assert seen == [f"P-{i:03}" for i in reversed(range(23))]
    assert pages == 5


def test_a_silent_asset_is_stale_everywhere(store, tmp_path):
    quick = PUMP.model_copy(update={"cases": PUMP.cases.model_copy(update={"stale_after": 1e-6})})  # of an hour
    with live(store, living_project(tmp_path / "quick", quick)) as client:
        fill(client, "P-1")
        client.put("/v1/twins/P-2", json={"twin": "pump"}).raise_for_status()
        assert names_of(client, "?stale=true") == ["P-1"]
        assert names_of(client, "?stale=false") == ["P-2"], "what never spoke is not stale"
        for path in ("", "/readings", "/scores", "/thread"):
            told = client.get(f"/v1/twins/P-1{path}").raise_for_status().json()
            assert told["stale"] is True
            assert told["age_seconds"] > 0


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?colour=red", "colour"),
        ("?limit=0", "limit"),
        ("?limit=1001", "limit"),
        ("?limit=many", "limit"),
        ("?offset=-1", "offset"),
        ("?sort=colour", "sort"),
        ("?stale=maybe", "stale"),
        ("?twin=", "twin"),
        ("?twin=pump&twin=fan", "twin"),
    ],
)
def test_a_parameter_that_is_none_is_named(shared, query, field):
    assert_problem(shared.get(f"/v1/twins{query}"), 422, field)


@pytest.mark.parametrize(
    "path", ["", "/readings", "/scores", "/thread", "/export", "/aas", "/aas.aasx", "/end-of-life"]
)
def test_an_unknown_asset_is_not_found(shared, path):
    assert_problem(shared.get(f"/v1/twins/nobody{path}"), 404, "asset", "nobody")


# scores


def test_scores_are_shown_with_their_model(client, store, root):
    fill(client, "P-1", count=4)
    score(store, root)
    fill(client, "P-1", count=6)
    score(store, root)
    told = client.get("/v1/twins/P-1/scores").raise_for_status().json()
    assert [one["time"] for one in told["items"]] == [4, 6]
    newest = client.get("/v1/twins/P-1").json()["last_score"]
    assert newest == told["items"][1]
    assert newest["model"]["version"] == "3"
    assert set(newest["faults"]) == {"mode", "bearing"}
    assert newest["rul"]["low"] <= newest["rul"]["value"] <= newest["rul"]["high"]
    assert client.get("/v1/twins/P-1/scores?since=2020-01-01&run=2").json()["items"] == []
    assert_problem(client.get("/v1/twins/P-1/scores?since=yesterday"), 422, "since")


def test_a_score_that_lost_its_number_is_an_error_and_no_null(client, store, root):
    fill(client, "P-1", count=4)
    score(store, root)
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE scores SET rul = NULL")
    assert_problem(client.get("/v1/twins/P-1/scores"), 500, "store")
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE scores SET rul = NULL, rul_low = NULL, rul_high = NULL")
    assert_problem(client.get("/v1/twins/P-1"), 500, "store")


# thread, maintenance, copy, erasure


@pytest.mark.dated
def test_the_thread_tells_what_was_known_at_a_moment(client, store, root):
    fill(client, "P-1", count=4)
    score(store, root)
    between = datetime.now(UTC)
    client.post("/v1/twins/P-1/maintenance", json={"kind": "part_replaced", "part": "P-1"}).raise_for_status()
    kinds = [one["kind"] for one in client.get("/v1/twins/P-1/thread").json()["entries"]]
    assert kinds[0] == "readings"
    assert {"score", "case", "maintenance", "part"} <= set(kinds)
    told = client.get("/v1/twins/P-1/thread", params={"at": between.isoformat()}).raise_for_status().json()
    assert told["state"]["reading"]["time"] == 4
    assert told["state"]["score"]["time"] == 4
    assert told["state"]["parts"] == []
    assert [one["fault"] for one in told["state"]["open_cases"]] == ["end_of_life"]
    assert "maintenance" not in [one["kind"] for one in told["entries"]]
    before = (between - timedelta(days=1)).isoformat()
    assert client.get("/v1/twins/P-1/thread", params={"at": before}).json()["state"]["reading"] is None
    later = (between + timedelta(days=1)).isoformat()
    assert_problem(client.get("/v1/twins/P-1/thread", params={"at": later}), 422, "at", "future")
    assert_problem(client.get("/v1/twins/P-1/thread?limit=x"), 422, "limit")


def test_maintenance_begins_the_next_run(client):
    fill(client, "P-1")
    told = client.post("/v1/twins/P-1/maintenance", json={"kind": "run_ended"}).raise_for_status().json()
    assert (told["run"], told["next_run"]) == (1, 2)
    assert client.get("/v1/twins/P-1").json()["run"] == 2
    assert_problem(client.post("/v1/twins/P-1/maintenance", json={"kind": "painted"}), 422, "kind")
    assert_problem(client.post("/v1/twins/nobody/maintenance", json={"kind": "inspection"}), 404, "asset")


def test_what_if_needs_a_forward_model_and_options(client):
    fill(client, "P-1")
    option = {"name": "slower", "settings": {"speed": 1}}
    assert_problem(client.post("/v1/twins/P-1/what-if", json={"options": [option]}), 422, "twin")
    assert_problem(client.post("/v1/twins/P-1/what-if", json={}), 422, "options")
    assert_problem(client.post("/v1/twins/P-1/what-if", json={"options": [{}]}), 422, "options[0].name")
    assert_problem(client.post("/v1/twins/P-1/what-if", json={"horizon": 9}), 422, "horizon")


def test_an_asset_is_copied_and_erased(client):
    fill(client, "P-1", "P-2")
    copy = client.get("/v1/twins/P-1/export").raise_for_status()
    assert copy.headers["content-type"] == "application/zip"
    assert "P-1.zip" in copy.headers["content-disposition"]
    assert "readings.parquet" in zipfile.ZipFile(io.BytesIO(copy.content)).namelist()
    certificate = client.delete("/v1/twins/P-1", headers={"X-Actor": "ann"}).raise_for_status().json()
    assert certificate["actor"] == "ann"
    assert_problem(client.get("/v1/twins/P-1"), 404, "asset")
    assert_problem(client.delete("/v1/twins/P-1"), 404, "asset")
    assert names_of(client, "") == ["P-2"]


# everything else


def test_the_service_describes_itself_truly(shared):
    routes = shared.get("/").json()["routes"]
    assert {"GET /v1/twins", "GET /openapi.json", "GET /livez"} <= set(routes)
    described = shared.get("/openapi.json").json()
    there = {f"{method.upper()} {path}" for path, methods in described["paths"].items() for method in methods}
    assert there == {f"{way.method} {way.path}" for way in WAYS}
    assert there <= set(routes)
    for way in WAYS:
        for name in way.query:
            path = way.path.replace("{asset}", "x").replace("{case}", "1")
            answer = shared.request(way.method, f"{path}?{name}=", headers={"Content-Type": "application/json"})
            assert "is unknown here" not in answer.text, (way.path, name)
    schema = described["paths"]["/v1/cases/{case}/verdict"]["post"]["requestBody"]["content"]["application/json"]
    assert "verdict" in schema["schema"]["properties"]
    assert all(one["summary"] for methods in described["paths"].values() for one in methods.values())


def test_health_answers(shared):
    assert shared.get("/livez").json() == {"status": "alive"}
    assert shared.get("/readyz").json() == {"status": "ready"}


def test_a_small_answer_is_sent_at_once(shared):
    took = sorted(shared.get("/livez").elapsed.total_seconds() for _ in range(21))
    assert took[10] < 0.03, "40 ms are what Nagle's algorithm and a delayed acknowledgement cost"


def test_unknown_routes_and_methods_are_problems(shared):
    assert_problem(shared.get("/v2/twins"), 404, "path")
    assert_problem(shared.get("/v1/twins/"), 404, "path")
    refused = shared.delete("/v1/twins")
    assert_problem(refused, 405, "method")
    refused = shared.patch("/v1/twins/P-1")
    assert_problem(refused, 405, "method")
    assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD", "PUT", "DELETE"}


def test_pages_of_other_hosts_may_not_call(shared):
    assert_problem(shared.get("/v1/twins", headers={"Host": "pumps.example"}), 403, "Host")
    assert_problem(shared.delete("/v1/twins/P-1", headers={"Origin": "https://pumps.example"}), 403, "Origin")
    assert_problem(shared.get("/v1/twins", headers={"Origin": "null"}), 403, "Origin")
    assert shared.get("/v1/twins", headers={"Origin": "http://localhost:8000"}).status_code == 200


def test_a_store_that_is_away_is_told_and_used_again(tmp_path, postgres):
    store = open_store(postgres.new_database("live_away"))
    with live(store, living_project(tmp_path / "project")) as client:
        fill(client, "P-1")
        postgres.stop()
        try:
            refused = client.get("/v1/twins")
            assert_problem(refused, 503, "store", "PostgreSQL")
            assert int(refused.headers["retry-after"]) > 0
            assert_problem(client.get("/readyz"), 503, "store")
            assert client.get("/livez").status_code == 200
        finally:
            postgres.start()
        assert names_of(client, "") == ["P-1"]
    store.close()


def test_a_full_disk_is_told(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/twins.db")
    with live(store, living_project(tmp_path / "project")) as client:
        store.close()  # the next connections know how little room there is
        event.listen(store.engine, "connect", lambda raw, _: raw.execute("PRAGMA max_page_count = 1"))
        refused = client.post("/v1/twins/P-1/readings?twin=pump", json=message(count=20_000))
        assert_problem(refused, 507, "store", "free some space")


def test_what_nobody_expected_is_logged_and_never_shown(client, root, monkeypatch, caplog):
    fill(client, "P-1")
    monkeypatch.setattr("foretwin.twin.api.twins.thread", lambda *_: 1 / 0)
    assert_problem(client.get("/v1/twins/P-1/thread"), 500, "service", "its log says why")
    wait_for(lambda: "ZeroDivisionError" in caplog.text, "line in the log")
    assert client.get("/v1/twins/P-1").status_code == 200


def test_the_loop_stays_free_while_the_store_is_busy(tmp_path):
    store, answers = open_store(f"sqlite:///{tmp_path}/twins.db"), []  # SQLite has one writer, for whom all others wait
    with live(store, living_project(tmp_path / "project")) as client:
        waiting = threading.Thread(target=lambda: answers.append(client.put("/v1/twins/P-1", json=STORED)))
        with store.write():
            waiting.start()
            assert client.get("/livez", timeout=2).status_code == 200
            assert client.get("/v1/twins", timeout=2).json()["items"] == []
            assert not answers
        waiting.join(20)
        assert answers[0].status_code == 200
    store.close()


def test_a_caller_that_leaves_midway_harms_nobody(client):
    host, port = client.base_url.host, client.base_url.port
    with socket.create_connection((host, port)) as caller:
        head = "POST /v1/twins/P-1/readings?twin=pump HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n"
        caller.sendall((head + "Content-Type: application/json\r\n\r\n{").encode())
    assert client.get("/livez").status_code == 200
    assert names_of(client, "") == []


def test_twenty_callers_at_once_are_all_answered(client):
    url = str(client.base_url)

    def put(i):
        sent = message(count=5)
        answers.append(httpx.post(f"{url}/v1/twins/P-{i}/readings?twin=pump", json=sent, trust_env=False, timeout=30))

    answers: list[httpx.Response] = []
    threads = [threading.Thread(target=put, args=(i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.json()["stored"] for one in answers] == [5] * 20
    assert len(names_of(client, "")) == 20


@pytest.mark.dated
def test_a_digest_of_the_fleet_is_shown_without_an_asset(client, store):
    with store.write() as connection:
        new = NewCase("pump", None, None, "digest", "planned", None, {"assets": []})
        case = cases.insert(connection, new, "test", datetime.now(UTC))
    told = client.get(f"/v1/cases/{case.id}").raise_for_status().json()
    assert (told["asset"], told["fault"]) == (None, "digest")
    assert [one["id"] for one in client.get("/v1/cases?fault=digest").json()["items"]] == [case.id]
