"""Readings over HTTP: what is stored, what is set aside, what is refused."""

import io
import json

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.live_project import FAN, PUMP, assert_problem, live, live_sqlite, living_project, message

ARROW = {"Content-Type": "application/vnd.apache.arrow.stream"}
PARQUET = {"Content-Type": "application/vnd.apache.parquet"}
JSON = {"Content-Type": "application/json"}
COUNTS = ("stored", "duplicates", "late", "gaps", "quarantined")


@pytest.fixture
def client(store, tmp_path):
    with live(store, living_project(tmp_path / "project")) as client:
        yield client


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A server for calls that must leave nothing behind."""
    with live_sqlite(tmp_path_factory.mktemp("shared")) as client:
        yield client
        assert client.get("/v1/twins").json()["items"] == []


def post(client, asset="P-1", query="?twin=pump", **more):
    return client.post(f"/v1/twins/{asset}/readings{query}", json=message(**more))


def counts(response) -> tuple:
    return tuple(response.raise_for_status().json()[name] for name in COUNTS)


def table(count=4) -> pa.Table:
    columns = {"time": np.arange(1.0, count + 1), **{name: np.full(count, 1.5) for name in PUMP.channel_names}}
    return pa.table(columns)


def arrow_of(written: pa.Table) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_stream(out, written.schema) as writer:
        writer.write_table(written)
    return out.getvalue()


def parquet_of(written: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(written, out)
    return out.getvalue()


def test_readings_are_stored_and_shown_in_order_of_time(client):
    answer = post(client, count=3).raise_for_status().json()
    assert (answer["asset"], answer["stored"], answer["stale"]) == ("P-1", 3, False)
    assert answer["age_seconds"] == 0
    post(client, count=1, start=4, value=2.5).raise_for_status()
    shown = client.get("/v1/twins/P-1/readings").raise_for_status().json()
    assert [one["time"] for one in shown["items"]] == [1, 2, 3, 4]
    assert shown["items"][3]["channels"] == dict.fromkeys(PUMP.channel_names, 2.5)
    assert shown["items"][3]["via"] == "http"
    assert shown["next"] is None
    newest = client.get("/v1/twins/P-1/readings?sort=-time&limit=2").json()
    assert [one["time"] for one in newest["items"]] == [4, 3]
    after = client.get(newest["next"]).json()
    assert [one["time"] for one in after["items"]] == [2, 1]


def test_the_same_readings_again_are_duplicates_and_other_values_are_set_aside(client):
    assert counts(post(client)) == (3, 0, 0, 0, 0)
    assert counts(post(client)) == (0, 3, 0, 0, 0)
    answer = post(client, value=9)
    assert_problem(answer, 422, "time", "nothing was stored")
    assert {one["reason"] for one in answer.json()["rejected"]} == {"conflict"}


@pytest.mark.parametrize(("headers", "encode"), [(ARROW, arrow_of), (PARQUET, parquet_of)])
def test_tables_are_stored(client, headers, encode):
    answer = client.post("/v1/twins/P-1/readings?twin=pump", content=encode(table()), headers=headers)
    assert counts(answer) == (4, 0, 0, 0, 0)
    assert client.get("/v1/twins/P-1").json()["last_reading"]["time"] == 4


def test_a_known_asset_needs_no_twin_and_an_unknown_one_does(client):
    assert_problem(post(client, query=""), 404, "asset", "?twin=NAME")
    post(client).raise_for_status()
    assert counts(post(client, query="", start=4)) == (3, 0, 0, 0, 0)
    assert counts(client.post("/v1/twins/F-1/readings", json=message(twin="fan"))) == (3, 0, 0, 0, 0)
    assert client.get("/v1/twins/F-1").json()["twin"] == FAN.name


def test_a_bad_reading_does_not_stop_the_good_ones(client):
    sent = message(count=3)
    sent["channels"]["c1"][1] = 5000.0
    answer = client.post("/v1/twins/P-1/readings?twin=pump", json=sent)
    assert counts(answer) == (2, 0, 0, 1, 1)
    (rejected,) = answer.json()["rejected"]
    assert rejected["reason"] == "range"
    assert "c1" in rejected["field"]
    (held,) = client.get("/v1/quarantine?asset=P-1").json()["items"]
    assert (held["reason"], held["via"], held["twin"]) == ("range", "http", "pump")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"channels": {"speed": ["fast"], "c1": [1], "c2": [1]}}, "type"),
        ({"channels": {"speed": [None], "c1": [1], "c2": [1]}}, "type"),
        ({"units": {"c1": "psi"}}, "unit"),
        ({"time": [-1]}, "order"),
    ],
)
def test_readings_that_are_none_are_refused_with_field_and_reason(client, change, reason):
    answer = client.post("/v1/twins/P-1/readings?twin=pump", json=message(count=1) | change)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [one["reason"] for one in answer.json()["rejected"]] == [reason]
    assert answer.json()["field"] == answer.json()["rejected"][0]["field"]


def test_a_clock_that_jumped_is_released_by_hand(client):
    post(client).raise_for_status()
    assert post(client, count=1, start=5000).json()["rejected"][0]["reason"] == "clock"
    (held,) = client.get("/v1/quarantine?reason=clock&released=false").json()["items"]
    assert client.post(f"/v1/quarantine/{held['id']}/release").raise_for_status().json()["stored"] == 1
    assert client.get("/v1/twins/P-1").json()["last_reading"]["time"] == 5000
    assert client.get("/v1/quarantine?released=false").json()["items"] == []
    assert_problem(client.post(f"/v1/quarantine/{held['id']}/release"), 409, "id", "was released")
    assert client.post("/v1/quarantine/999/release").status_code == 404


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"NaN", b"\xff\xfe", b'{"time": [NaN]}', b"{}"])
def test_a_body_that_says_nothing_is_refused(shared, body):
    answer = shared.post("/v1/twins/P-1/readings?twin=pump", content=body, headers=JSON)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_nan_names_its_field(client):
    body = json.dumps(message(count=1, value=float("nan"))).encode()
    answer = client.post("/v1/twins/P-1/readings?twin=pump", content=body, headers=JSON)
    assert answer.status_code == 422
    assert "speed" in answer.json()["field"]


@pytest.mark.parametrize(("headers", "encode"), [(ARROW, arrow_of), (PARQUET, parquet_of)])
def test_a_truncated_table_is_refused(shared, headers, encode):
    whole = encode(table(400))
    answer = shared.post("/v1/twins/P-1/readings?twin=pump", content=whole[: len(whole) // 2], headers=headers)
    assert_problem(answer, 400, "body")


def test_what_no_content_type_says_is_refused(shared):
    url = "/v1/twins/P-1/readings?twin=pump"
    body = orjson.dumps(message())
    assert_problem(shared.post(url, content=body, headers={"Content-Type": "text/csv"}), 415, "Content-Type")
    assert_problem(shared.post(url, content=body), 415, "Content-Type", "is missing")
    packed = JSON | {"Content-Encoding": "gzip"}
    assert_problem(shared.post(url, content=body, headers=packed), 415, "Content-Encoding")


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_that_is_too_large_is_refused_before_it_is_read_whole(store, tmp_path, monkeypatch, announced):
    monkeypatch.setenv("FORETWIN_MAX_BODY_BYTES", "1000")
    with live(store, living_project(tmp_path / "project")) as client:
        body = b" " * 1001 if announced else (b" " * 100 for _ in range(11))
        answer = client.post("/v1/twins/P-1/readings?twin=pump", content=body, headers=JSON)
        assert_problem(answer, 413, "body", "1000 bytes")
        small = orjson.dumps(message(count=1))
        client.post("/v1/twins/P-1/readings?twin=pump", content=small, headers=JSON).raise_for_status()


def test_a_twin_that_disagrees_is_refused(client):
    assert_problem(post(client, query="?twin=press"), 404, "twin", "press")
    assert_problem(client.post("/v1/twins/P-1/readings?twin=pump", json=message(twin="fan")), 422, "twin")
    post(client).raise_for_status()
    assert_problem(client.post("/v1/twins/P-1/readings?colour=red", json=message()), 422, "colour")
    assert post(client, query="?twin=fan", start=9).status_code in (409, 422)


@pytest.mark.parametrize("name", ["a%00b", "a%0Ab", "a%2Bb", "x" * 201])
def test_a_name_that_none_can_have_is_refused(shared, name):
    assert post(shared, asset=name).status_code == 422
