"""Every refusal of the scoring service from outside: its status, the field at fault, and one shape for all of them."""

import io
import json
import re
import time
from datetime import UTC, datetime, timedelta

import httpx
import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pytest

from benchmarks.reliability.soak.project import make_project, served
from foretwin.serving.access.keys import KeyRequest, keys_path, make_key, revoke_key
from foretwin.wire.tables import ARROW, JSON, PARQUET, write_table
from support.tiny_bundle import REPOSITORY, call_of, random_rows, save_tiny_bundle, tiny_twin

PUMP = tiny_twin("pump", channels=4)
MOTOR = tiny_twin("motor")  # has a contract in the project, and no champion
MOST_ROWS, MOST_BYTES = 300, 1_000_000
SCORE = "/v1/score"
TABLES = {"arrow": ARROW, "parquet": PARQUET}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    make_project(root, [PUMP], save_tiny_bundle)
    (root / "data" / "motor").mkdir()
    (root / "data" / "motor" / "twin.yaml").write_text(MOTOR.model_dump_json())
    return root


@pytest.fixture(scope="module")
def client(project):
    limits = {"FORETWIN_MAX_ROWS": str(MOST_ROWS), "FORETWIN_MAX_BODY_BYTES": str(MOST_BYTES)}
    with served(project, **limits) as service:
        url = f"http://127.0.0.1:{service.port}"
        with httpx.Client(base_url=url, headers=service.headers, trust_env=False, timeout=20) as client:
            yield client


def refused(response: httpx.Response, status: int, field: str) -> dict:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"]
    problem = response.json()
    assert set(problem) == {"type", "title", "status", "detail", "field"}
    assert (problem["status"], problem["field"]) == (status, field), problem
    assert problem["detail"].startswith(f"{field}: ")
    assert "\n" not in problem["detail"]
    assert "Traceback" not in response.text
    return problem


def changed(**changes) -> dict:
    """A call for one asset with three rows, changed."""
    call = call_of(PUMP, random_rows(PUMP, {"P-1": 3}))
    call["assets"][0] |= changes
    return call


def channel(**changes) -> dict:
    call = changed()
    call["assets"][0]["channels"] |= changes
    return call


def without_channel() -> dict:
    call = changed()
    del call["assets"][0]["channels"]["c1"]
    return call


def test_what_is_changed_below_is_answered_as_it_is(client):
    assert client.post(SCORE, json=changed()).status_code == 200
    for form, kind in TABLES.items():
        answer = client.post(f"{SCORE}?twin=pump", content=write_table(table(), kind), headers={"Content-Type": kind})
        assert answer.status_code == 200, (form, answer.text)
        assert answer.headers["content-type"] == JSON


CHANNELS = "assets[0].channels"
CALLS = {
    "missing channel": (without_channel(), 422, f"{CHANNELS}.c1"),
    "unknown channel": (channel(flow=[1, 2, 3]), 422, f"{CHANNELS}.flow"),
    "text for a number": (channel(c1=[1, "2", 3]), 422, f"{CHANNELS}.c1[1]"),
    "truth for a number": (channel(c1=[1, True, 3]), 422, f"{CHANNELS}.c1[1]"),
    "null for a number": (channel(c1=[1, 2, None]), 422, f"{CHANNELS}.c1[2]"),
    "NaN": (channel(c1=[1, float("nan"), 3]), 422, f"{CHANNELS}.c1[1]"),
    "infinity": (channel(c1=[1, 2, float("inf")]), 422, f"{CHANNELS}.c1[2]"),
    "beyond single precision": (channel(c1=[1, 2, 1e39]), 422, f"{CHANNELS}.c1[2]"),
    "beyond double precision": (channel(c1=[1, 10**400, 3]), 422, f"{CHANNELS}.c1[1]"),
    "wrong unit of time": (changed() | {"units": {"time": "min"}}, 422, "units.time"),
    "wrong unit of a channel": (changed() | {"units": {"c1": "psi"}}, 422, "units.c1"),
    "times in minutes": (changed(time=[60, 120, 180]), 422, "assets[0].time"),
    "unsorted times": (changed(time=[1, 3, 2]), 422, "assets[0].time[2]"),
    "duplicate times": (changed(time=[1, 2, 2]), 422, "assets[0].time[2]"),
    "empty window": (changed(time=[], channels={name: [] for name in PUMP.channel_names}), 422, "assets[0].time"),
    "no assets": ({"twin": "pump", "assets": []}, 422, "assets"),
    "too few rows": (call_of(PUMP, random_rows(PUMP, {"P-1": 1})), 422, "assets[0].time"),
    "lists of different lengths": (channel(c1=[1, 2]), 422, f"{CHANNELS}.c1"),
    "an asset twice": ({"twin": "pump", "assets": changed()["assets"] * 2}, 422, "assets[1].asset"),
    "an unknown field": (changed() | {"when": 1}, 422, "when"),
    "no moment": (changed(observed_at="yesterday"), 422, "assets[0].observed_at"),
    "a moment without a zone": (changed(observed_at="2026-11-21T12:00:00"), 422, "assets[0].observed_at"),
    "too many rows": (call_of(PUMP, random_rows(PUMP, {"P-1": 200, "P-2": 101})), 413, "assets[1].time"),
    "unknown twin": (changed() | {"twin": "engine"}, 404, "twin"),
    "twin without champion": (changed() | {"twin": "motor"}, 409, "twin"),
    "no twin": ({"assets": changed()["assets"]}, 422, "twin"),
    "no object": ([], 400, "body"),
}


@pytest.mark.parametrize("path", [SCORE, "/v1/explain"])
@pytest.mark.parametrize("name", CALLS)
def test_a_call_in_json_that_breaks_the_contract_is_refused_by_its_field(client, name, path):
    call, status, field = CALLS[name]
    refused(client.post(path, content=json.dumps(call), headers={"Content-Type": JSON}), status, field)


def test_several_assets_are_not_explained_at_once(client):
    call = call_of(PUMP, random_rows(PUMP, {"P-1": 3, "P-2": 3}))
    refused(client.post("/v1/explain", json=call), 422, "assets")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"twin": "pump"} {}', b"NaN"])
def test_a_body_that_is_no_json_is_refused(client, body):
    refused(client.post(SCORE, content=body, headers={"Content-Type": JSON}), 400, "body")


def table(**changes) -> pa.Table:
    """Three rows of one asset, with columns changed, or left out where they are None."""
    columns = random_rows(PUMP, {"P-1": 3}).to_dict("list") | changes
    return pa.table({name: values for name, values in columns.items() if values is not None})


NAN, INFINITY = float("nan"), float("inf")
COLUMNS = {
    "missing channel": (lambda: table(c1=None), 422, "c1"),
    "no asset": (lambda: table(asset=None), 422, "asset"),
    "no time": (lambda: table(time=None), 422, "time"),
    "unknown channel": (lambda: table(flow=[1.0, 2.0, 3.0]), 422, "flow"),
    "text for a number": (lambda: table(c1=["1", "2", "3"]), 422, "c1"),
    "truth for a number": (lambda: table(c1=[True, False, True]), 422, "c1"),
    "nothing for a number": (lambda: table(c1=[1.0, None, 3.0]), 422, "c1"),
    "NaN": (lambda: table(c1=[1.0, NAN, 3.0]), 422, "c1"),
    "infinity": (lambda: table(c1=[1.0, 2.0, INFINITY]), 422, "c1"),
    "beyond single precision": (lambda: table(c1=[1.0, 2.0, 1e39]), 422, "c1"),
    "times in minutes": (lambda: table(time=[60.0, 120.0, 180.0]), 422, "time of P-1"),
    "unsorted times": (lambda: table(time=[1.0, 3.0, 2.0]), 422, "time"),
    "duplicate times": (lambda: table(time=[1.0, 2.0, 2.0]), 422, "time"),
    "wrong unit": (lambda: in_unit("c1", b"psi"), 422, "units.c1"),
    "wrong unit of time": (lambda: in_unit("time", b"min"), 422, "units.time"),
    "a name that is missing": (lambda: table(asset=["P-1", None, "P-1"]), 422, "asset"),
    "rows of an asset apart": (
        lambda: pa.concat_tables([table(), table(asset=["P-2"] * 3), table(time=[4.0, 5.0, 6.0])]),
        422,
        "asset",
    ),
    "too many rows": (lambda: pa.table(dict(random_rows(PUMP, {"P-1": 301}))), 413, "body"),
    "a nested column": (lambda: table(c1=[[1.0], [2.0], [3.0]]), 422, "c1"),
    "a moment that is text": (lambda: table(observed_at=["now"] * 3), 422, "observed_at"),
}


def in_unit(name: str, unit: bytes) -> pa.Table:
    content = table()
    fields = [field.with_metadata({b"unit": unit}) if field.name == name else field for field in content.schema]
    return content.cast(pa.schema(fields))


@pytest.mark.parametrize("form", TABLES)
@pytest.mark.parametrize("name", COLUMNS)
def test_a_table_that_breaks_the_contract_is_refused_by_its_column(client, name, form):
    make, status, field = COLUMNS[name]
    body = write_table(make(), TABLES[form])
    refused(client.post(f"{SCORE}?twin=pump", content=body, headers={"Content-Type": TABLES[form]}), status, field)


@pytest.mark.parametrize("form", TABLES)
def test_a_table_that_is_empty_damaged_or_cut_off_is_refused(client, form):
    kind = {"Content-Type": TABLES[form]}
    whole = write_table(table(), TABLES[form])
    refused(
        client.post(f"{SCORE}?twin=pump", content=write_table(table().slice(0, 0), TABLES[form]), headers=kind),
        422,
        "rows",
    )
    for body in (whole[: len(whole) // 2], whole[:-20] if form == "parquet" else whole[:200], b"", b"PAR1", b"\0" * 99):
        refused(client.post(f"{SCORE}?twin=pump", content=body, headers=kind), 400, "body")
    short = write_table(table().slice(0, 1), TABLES[form])
    refused(client.post(f"{SCORE}?twin=pump", content=short, headers=kind), 422, "assets.P-1")


@pytest.mark.parametrize("form", TABLES)
def test_the_twin_of_a_table_is_named_beside_it(client, form):
    body, kind = write_table(table(), TABLES[form]), {"Content-Type": TABLES[form]}
    refused(client.post(SCORE, content=body, headers=kind), 422, "twin")
    refused(client.post(f"{SCORE}?twin=engine", content=body, headers=kind), 404, "twin")
    refused(client.post(f"{SCORE}?twin=motor", content=body, headers=kind), 409, "twin")


@pytest.mark.parametrize("kind", ["text/csv", "", "application/vnd.apache.arrow.file", "application/x-pickle"])
def test_another_content_type_is_refused(client, kind):
    refused(client.post(SCORE, content=orjson.dumps(changed()), headers={"Content-Type": kind}), 415, "Content-Type")


def test_a_table_is_not_explained(client):
    body = write_table(table(), ARROW)
    refused(client.post("/v1/explain?twin=pump", content=body, headers={"Content-Type": ARROW}), 415, "Content-Type")


def test_a_compressed_body_is_refused(client):
    headers = {"Content-Type": JSON, "Content-Encoding": "gzip"}
    refused(client.post(SCORE, content=b"\x1f\x8b", headers=headers), 415, "Content-Encoding")


@pytest.mark.parametrize("wanted", ["text/html", "application/xml, image/*", f"{JSON};q=0"])
def test_an_answer_in_a_form_that_is_not_there_is_refused(client, wanted):
    refused(client.post(SCORE, json=changed(), headers={"Accept": wanted}), 406, "Accept")


@pytest.mark.parametrize("path", ["/v1", "/v1/scores", "/v1/score/", "/v2/score", "/%00", "/static/x"])
def test_an_unknown_route_is_refused(client, path):
    refused(client.get(path), 404, "path")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", SCORE, "POST"),
        ("PUT", "/v1/explain", "POST"),
        ("POST", "/v1/models", "GET"),
        ("DELETE", "/readyz", "GET"),
    ],
)
def test_another_method_is_refused_and_the_right_one_named(client, method, path, allowed):
    answer = client.request(method, path)
    refused(answer, 405, "method")
    assert allowed in answer.headers["allow"]


class TestTooLarge:
    """A client that sends all of its body before it reads gets the refusal all the same."""

    noise = np.random.default_rng(1).bytes(20 * MOST_BYTES)

    def test_where_the_length_is_announced(self, client):
        refused(client.post(SCORE, content=self.noise, headers={"Content-Type": JSON}), 413, "body")

    def test_where_it_comes_in_chunks(self, client):
        chunks = (self.noise[at : at + 65536] for at in range(0, len(self.noise), 65536))
        refused(client.post(SCORE, content=chunks, headers={"Content-Type": JSON}), 413, "body")

    @pytest.mark.parametrize("kind", TABLES.values())
    def test_in_every_form(self, client, kind):
        refused(client.post(f"{SCORE}?twin=pump", content=self.noise, headers={"Content-Type": kind}), 413, "body")

    def test_and_the_largest_that_is_allowed_is_read(self, client):
        body = orjson.dumps(changed())
        body += b" " * (MOST_BYTES - len(body))
        assert client.post(SCORE, content=body, headers={"Content-Type": JSON}).status_code == 200
        refused(client.post(SCORE, content=body + b" ", headers={"Content-Type": JSON}), 413, "body")


def key(project, name: str, scopes=("score",), rate: float = 1000.0, **more) -> dict[str, str]:
    """The header with a new key; the service reads the file again within a second."""
    now = datetime.now(UTC)
    token = make_key(keys_path(project, {}), KeyRequest(name, scopes, rate, **more), "a test", now)
    return {"Authorization": f"Bearer {token}"}


def wait_for_keys(client, headers) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        answer = client.get("/v1/models", headers=headers)
        if "no key that counts" not in answer.text:
            return
        time.sleep(0.1)
    pytest.fail("the new key is not known within 10 s")


NO_KEYS = ["", "Bearer", "Bearer ftw_", "Basic eDp5", "Bearer ftw_000000000000_" + "0" * 64, "ftw_x_y", "Bearer \xff"]


@pytest.mark.parametrize("value", NO_KEYS)
def test_no_key_and_a_wrong_one_are_refused(client, value):
    answer = client.post(SCORE, json=changed(), headers={"Authorization": value.encode("latin-1")})
    refused(answer, 401, "Authorization")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_missing_header_is_refused(client):
    with httpx.Client(base_url=client.base_url, trust_env=False) as stranger:
        for answer in (stranger.post(SCORE, json=changed()), stranger.get("/v1/models"), stranger.post("/v1/explain")):
            refused(answer, 401, "Authorization")
        page = (REPOSITORY / "docs" / "access.md").read_text()
        free = re.findall(r"`(/\S*)`", re.search(r"^\| `foretwin serve` \|(.*)\|$", page, re.MULTILINE).group(1))
        assert "/metrics" in free
        for path in free:
            assert stranger.get(path).status_code == 200


def test_an_expired_key_is_refused_and_says_since_when(client, project):
    ended = datetime.now(UTC) - timedelta(days=3)
    headers = key(project, "expired", expires_at=ended)
    wait_for_keys(client, headers)
    problem = refused(client.post(SCORE, json=changed(), headers=headers), 401, "Authorization")
    assert f"{ended:%Y-%m-%d}" in problem["detail"]


def test_a_revoked_key_is_refused(client, project):
    headers = key(project, "revoked")
    wait_for_keys(client, headers)
    assert client.post(SCORE, json=changed(), headers=headers).status_code == 200
    revoke_key(keys_path(project, {}), "revoked", "a test", datetime.now(UTC))
    time.sleep(1.5)
    refused(client.post(SCORE, json=changed(), headers=headers), 401, "Authorization")


def test_a_key_without_the_scope_is_refused_and_the_scope_named(client, project):
    headers = key(project, "reader", scopes=("read",))
    wait_for_keys(client, headers)
    problem = refused(client.post(SCORE, json=changed(), headers=headers), 403, "Authorization")
    assert "score" in problem["detail"]
    assert client.get("/v1/models", headers=headers).status_code == 200


def test_too_many_calls_are_refused_with_when_to_come_back(client, project):
    headers = key(project, "slow", rate=2.0)
    wait_for_keys(client, headers)
    answers = [client.post(SCORE, json=changed(), headers=headers) for _ in range(5)]
    late = [answer for answer in answers if answer.status_code != 200]
    assert late
    for answer in late:
        refused(answer, 429, "Authorization")
    time.sleep(int(late[-1].headers["retry-after"]))
    assert client.post(SCORE, json=changed(), headers=headers).status_code == 200


def test_a_score_is_never_a_null(client):
    rows = random_rows(PUMP, {f"P-{i}": 2 + i for i in range(8)})
    for scale in (0, 1, 200, 1e6, 1e30):
        call = call_of(PUMP, rows.assign(**{name: rows[name] * scale for name in PUMP.channel_names}))
        if scale > 1000:  # beyond the limits of the contract
            problem = client.post(SCORE, json=call)
            assert problem.status_code == 422, problem.text
            assert "outside -1000 to 1000" in problem.json()["detail"]
            continue
        for score in client.post(SCORE, json=call).raise_for_status().json()["scores"]:
            assert 0 <= score["rul"]["low"] <= score["rul"]["value"] <= score["rul"]["high"]
        frame = pd.read_parquet(io.BytesIO(client.post(SCORE, json=call, headers={"Accept": PARQUET}).content))
        assert np.isfinite(frame[["rul", "rul_low", "rul_high"]].to_numpy()).all()
