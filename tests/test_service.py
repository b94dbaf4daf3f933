"""The real server on a free port of this machine, driven over HTTP."""

import json
import socket
import subprocess
import sys
import time

import httpx
import numpy as np
import orjson
import pandas as pd
import pytest
from tiny_bundle import REPOSITORY, call_of, environment, random_rows, tiny_project, tiny_twin

from foretwin.bundle import Bundle
from foretwin.scoring_call import ANSWER_SCHEMA

PUMP = tiny_twin("pump", channels=9, length=20)
FAN = tiny_twin("fan", rul=False)
BROKEN = tiny_twin("broken")
SERVE = "import sys; from pathlib import Path; from foretwin import packaging; "
SERVE += "packaging.serve(Path(sys.argv[1]), int(sys.argv[2]))"
JSON = {"Content-Type": "application/json"}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until_ready(client, process, log):
    for _ in range(600):
        if process.poll() is not None:
            break
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(f"the server did not start:\n{log.read_text()}")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    tiny_project(root, PUMP, FAN)
    tiny_project(root, BROKEN, bias=np.nan)
    return root


@pytest.fixture(scope="module")
def client(project):
    port, log = free_port(), project / "server.log"
    command = [sys.executable, "-c", SERVE, str(project), str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env=environment(project, FORETWIN_MAX_ROWS="300"), cwd=project
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as client:
            wait_until_ready(client, process, log)
            yield client
    finally:
        process.terminate()
        process.wait(20)
    with pytest.raises(httpx.ConnectError):  # its workers ended with it
        httpx.get(f"http://127.0.0.1:{port}/livez", trust_env=False)


def local_score(project, twin, rows):
    return Bundle.load(project / "models" / twin.name / "champion" / "bundle").score(rows)


def assert_problem(response, status, field):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert set(problem) == {"type", "title", "status", "detail", "field"}
    assert (problem["status"], problem["field"]) == (status, field)
    assert problem["detail"].startswith(f"{field}: ")
    assert "Traceback" not in response.text


def test_the_service_scores_as_the_bundle_does_with_the_channels_in_any_order(client, project):
    rows = random_rows(PUMP, {"P-1": 20, "P-2": 35, "P-3": 2})
    want = local_score(project, PUMP, rows)
    answer = client.post("/v1/score", json=call_of(PUMP, rows)).raise_for_status().json()
    scores = answer["scores"]
    assert answer["model"] == {"name": "foretwin-pump", "version": "3", "run": "run-of-pump"}
    assert [score["asset"] for score in scores] == ["P-1", "P-2", "P-3"]
    assert [score["time"] for score in scores] == [20, 35, 2]
    for name, column in {"value": "rul", "low": "rul_low", "high": "rul_high"}.items():
        np.testing.assert_allclose([score["rul"][name] for score in scores], want[column], rtol=0, atol=1e-6)
    for axis in PUMP.axes:
        got = pd.DataFrame([score["faults"][axis] for score in scores])
        assert list(got.columns) == list(PUMP.classes(axis))
        np.testing.assert_allclose(got, want[[f"p_{axis}_{name}" for name in got]], rtol=0, atol=1e-6)
        assert np.ptp(got.to_numpy()[:, 0]) > 0.01, "the assets must differ, or agreement proves nothing"
        assert [score["diagnosis"][axis] for score in scores] == want[axis].tolist()
    assert [score["warnings"] for score in scores] == want["warnings"].tolist()
    assert {(score["rul"]["level"], score["rul"]["unit"]) for score in scores} == {(0.9, "h")}


def test_rows_before_the_window_change_nothing_but_the_age(client):
    rows = random_rows(PUMP, {"P-1": 35})
    whole, window = (call_of(PUMP, part) for part in (rows, rows.tail(20)))
    scores = [client.post("/v1/score", json=call).json()["scores"] for call in (whole, window)]
    assert scores[0] == scores[1]
    window["assets"][0]["time"] = [t - 15 for t in window["assets"][0]["time"]]
    assert client.post("/v1/score", json=window).json()["scores"] != scores[0]


def test_two_twins_answer_side_by_side(client, project):
    rows = random_rows(FAN, {"F-1": 6})
    (score,) = client.post("/v1/score", json=call_of(FAN, rows)).raise_for_status().json()["scores"]
    assert "rul" not in score
    want = local_score(project, FAN, rows)
    np.testing.assert_allclose(score["faults"]["mode"]["wear"], want["p_mode_wear"][0], rtol=0, atol=1e-6)


def test_the_models_are_listed_with_what_they_want_to_know(client, project):
    models = {model["twin"]: model for model in client.get("/v1/models").json()["models"]}
    assert set(models) == {"pump", "fan", "broken"}
    identity = json.loads((project / "models/pump/champion/identity.json").read_text())
    assert {name: models["pump"][name] for name in identity} == identity
    assert models["pump"]["contract"] == PUMP.digest
    assert models["pump"]["window"] == {"length": 20, "shortest": 2}
    assert models["pump"]["clock"]["unit"] == "h"
    assert list(models["pump"]["channels"]) == list(PUMP.channel_names)
    assert models["pump"]["channels"]["c1"]["max"] == 1000


@pytest.mark.parametrize("path", ["/openapi.json", "/docs.json"])
def test_each_example_of_the_api_description_can_be_sent_as_it_is(client, path):
    post = client.get(path).json()["paths"]["/v1/score"]["post"]
    examples = post["requestBody"]["content"]["application/json"]["examples"]
    assert post["responses"]["200"]["content"]["application/json"]["schema"] == ANSWER_SCHEMA
    for twin in ("pump", "fan"):
        (score,) = client.post("/v1/score", json=examples[twin]["value"]).raise_for_status().json()["scores"]
        assert not [warning for warning in score["warnings"] if "out_of_training_range" in warning]


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/"])
def test_health_metrics_and_the_index_answer(client, path):
    assert client.get(path).status_code == 200


def test_the_index_loads_nothing_from_elsewhere(client):
    assert "http" not in client.get("/").text


def changed(**changes):
    call = call_of(PUMP, random_rows(PUMP, {"P-1": 3}))
    call["assets"][0] |= changes
    return call


def with_channel(**changes):
    call = changed()
    call["assets"][0]["channels"] |= changes
    return call


CHANNELS = "assets[0].channels"
REFUSED = {
    "unknown twin": ({"twin": "engine", "assets": [{}]}, 404, "twin"),
    "no twin": ({"assets": [{}]}, 422, "twin"),
    "no assets": ({"twin": "pump", "assets": []}, 422, "assets"),
    "unknown top field": (changed() | {"when": 1}, 422, "when"),
    "missing channel": (changed(channels={"speed": [1, 2, 3]}), 422, f"{CHANNELS}.c1"),
    "unknown channel": (with_channel(flow=[1, 2, 3]), 422, f"{CHANNELS}.flow"),
    "text for a number": (with_channel(c1=[1, "2", 3]), 422, f"{CHANNELS}.c1[1]"),
    "truth for a number": (with_channel(c1=[1, 2, True]), 422, f"{CHANNELS}.c1[2]"),
    "null for a number": (with_channel(c1=[None, 2, 3]), 422, f"{CHANNELS}.c1[0]"),
    "huge integer": (with_channel(c1=[1, 10**80, 3]), 422, f"{CHANNELS}.c1[1]"),
    "nested garbage": (with_channel(c1=[1, [[{"a": [0]}]], 3]), 422, f"{CHANNELS}.c1[1]"),
    "lengths differ": (with_channel(c1=[1, 2]), 422, f"{CHANNELS}.c1"),
    "empty channel": (with_channel(c1=[]), 422, f"{CHANNELS}.c1"),
    "empty time": (changed(time=[]), 422, "assets[0].time"),
    "time stands still": (changed(time=[1, 1, 2]), 422, "assets[0].time[1]"),
    "time goes back": (changed(time=[1, 3, 2]), 422, "assets[0].time[2]"),
    "too few rows": (call_of(PUMP, random_rows(PUMP, {"P-1": 1})), 422, "assets[0].time"),
    "asset twice": ({"twin": "pump", "assets": changed()["assets"] * 2}, 422, "assets[1].asset"),
    "too many rows": (call_of(PUMP, random_rows(PUMP, {"P-1": 200, "P-2": 101})), 413, "assets[1].time"),
    "too many assets": (call_of(PUMP, random_rows(PUMP, {f"P-{i}": 2 for i in range(151)})), 413, "assets[150].time"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_call_that_breaks_the_contract_is_refused_as_a_problem(client, name):
    call, status, field = REFUSED[name]
    assert_problem(client.post("/v1/score", content=json.dumps(call), headers=JSON), status, field)


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_token_that_is_no_number_is_refused_with_its_field(client, token):
    body = json.dumps(with_channel(c8=[1, 2, "HERE"])).replace('"HERE"', token)
    assert_problem(client.post("/v1/score", content=body, headers=JSON), 422, f"{CHANNELS}.c8[2]")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"speed=1", b"\xff\xfe\x00", b"[" * 100_000, b"[]", b"null", b'"' + b"x" * 99]
)
def test_a_body_that_is_not_json_or_no_object_is_refused(client, body):
    assert_problem(client.post("/v1/score", content=body, headers=JSON), 400, "body")


@pytest.mark.parametrize(
    "kind", ["text/csv", "application/x-www-form-urlencoded", "", "application/vnd.bentoml+pickle"]
)
def test_another_content_type_is_refused(client, kind):
    body = orjson.dumps(changed())
    assert_problem(client.post("/v1/score", content=body, headers={"Content-Type": kind}), 415, "Content-Type")


def test_a_compressed_body_is_refused(client):
    headers = JSON | {"Content-Encoding": "gzip"}
    assert_problem(client.post("/v1/score", content=b"\x1f\x8b", headers=headers), 415, "Content-Encoding")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_another_method_is_refused_and_the_right_one_named(client, method):
    response = client.request(method, "/v1/score")
    assert_problem(response, 405, "method")
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/nope", "/v1", "/v2/score", "/static_content/nope", "/%00", "/../etc"])
def test_an_unknown_route_is_refused_in_the_same_shape(client, path):
    assert_problem(client.get(path), 404, "path")


def test_the_frameworks_own_routes_refuse_in_the_same_shape(client):
    assert_problem(client.post("/livez"), 405, "method")


def test_a_prediction_that_is_not_finite_is_an_error_and_never_an_answer(client, project):
    response = client.post("/v1/score", json=call_of(BROKEN, random_rows(BROKEN, {"B-1": 4})))
    assert_problem(response, 500, "body")
    assert "rul is not finite" in (project / "server.log").read_text()


def test_ten_megabytes_of_noise_are_refused_and_the_server_lives_on(client):
    noise = np.random.default_rng(1).bytes(10_000_000)
    assert_problem(client.post("/v1/score", content=noise, headers=JSON), 413, "body")
    chunks = (noise[i : i + 65536] for i in range(0, len(noise), 65536))  # no Content-Length announces these
    assert_problem(client.post("/v1/score", content=chunks, headers=JSON), 413, "body")
    assert_problem(client.post("/v1/score", content=noise[:8_000_000], headers=JSON), 400, "body")
    assert client.post("/v1/score", json=changed()).status_code == 200


def test_a_connection_that_ends_in_the_middle_of_a_call_harms_nobody(client):
    with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
        head = "POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
        connection.sendall(head.encode())
    assert client.post("/v1/score", json=changed()).status_code == 200


def test_a_body_that_does_not_arrive_is_given_up(client):
    head = "POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    with socket.create_connection((client.base_url.host, client.base_url.port), timeout=20) as connection:
        connection.sendall(head.encode())
        answer = connection.recv(4096).decode()
    assert answer.startswith("HTTP/1.1 503")
    assert "application/problem+json" in answer


def test_what_the_service_imports_holds_nothing_of_training(tmp_path):
    script = "import sys; sys.path.insert(0, '.'); import foretwin.bundle, foretwin.scoring_call, serving.service;"
    script += "print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, env=environment(tmp_path), capture_output=True, check=True
    )
    heavy = {"torch", "lightning", "mlflow", "optuna", "great_expectations", "scipy", "sklearn", "dvc", "matplotlib"}
    assert not heavy & set(done.stdout.decode().split())
