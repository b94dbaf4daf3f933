"""The real service on a free port of this machine, driven over HTTP as applications do."""

import io
import json
import socket
import subprocess
import sys

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from foretwin.predictor.bundle import Bundle
from foretwin.serving.scoring import score as scoring
from foretwin.wire.tables import ARROW, PARQUET, write_table
from support.served import JSON, served
from support.tiny_bundle import REPOSITORY, call_of, environment, random_rows, tiny_project, tiny_twin

PUMP = tiny_twin("pump", channels=9, length=20)
FAN = tiny_twin("fan", rul=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    tiny_project(root, PUMP, FAN)
    return root


@pytest.fixture(scope="module")
def service(project):
    with served(project, FORETWIN_MAX_ROWS="300") as running:
        yield running
    with pytest.raises(OSError, match="refused"):  # it ended
        socket.create_connection((running.client.base_url.host, running.client.base_url.port))


@pytest.fixture
def client(service):
    return service.client


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
    assert {name: answer["model"][name] for name in ("name", "version", "run", "contract")} == {
        "name": "foretwin-pump",
        "version": "3",
        "run": "run-of-pump",
        "contract": PUMP.digest,
    }
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


@pytest.mark.parametrize("sent", [ARROW, PARQUET])
@pytest.mark.parametrize("wanted", [ARROW, PARQUET])
def test_a_table_is_scored_and_answered_as_a_table(client, project, sent, wanted):
    rows = random_rows(PUMP, {"P-1": 20, "P-2": 35, "P-3": 2})
    body = write_table(pa.Table.from_pandas(rows, preserve_index=False), sent)
    headers = {"Content-Type": sent, "Accept": wanted}
    answer = client.post("/v1/score?twin=pump", content=body, headers=headers).raise_for_status()
    assert answer.headers["content-type"] == wanted
    file = io.BytesIO(answer.content)
    table = pa.ipc.open_stream(file).read_all() if wanted == ARROW else pyarrow.parquet.read_table(file)
    assert json.loads(table.schema.metadata[b"foretwin"])["version"] == "3"
    got = table.to_pandas().assign(warnings=lambda frame: frame["warnings"].map(list))
    pd.testing.assert_frame_equal(got, local_score(project, PUMP, rows), check_dtype=False)


def test_a_large_call_is_answered_like_a_small_one(client, project):
    rows = random_rows(PUMP, {f"P-{i}": 20 for i in range(15)})
    body = orjson.dumps(call_of(PUMP, rows))
    padded = body.replace(b"{", b"{" + b" " * (scoring.INLINE_BYTES + 1), 1)
    answers = [
        client.post("/v1/score", content=sent, headers=JSON).raise_for_status().json() for sent in (body, padded)
    ]
    assert answers[0] == answers[1]


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


@pytest.mark.parametrize("path", ["/openapi.json", "/docs.json"])
def test_each_example_of_the_api_description_can_be_sent_as_it_is(client, path):
    post = client.get(path).json()["paths"]["/v1/score"]["post"]
    examples = post["requestBody"]["content"]["application/json"]["examples"]
    for twin in ("pump", "fan"):
        (score,) = client.post("/v1/score", json=examples[twin]["value"]).raise_for_status().json()["scores"]
        assert not [warning for warning in score["warnings"] if "out_of_training_range" in warning]


def test_health_and_the_index_answer(client):
    assert client.get("/livez").json() == {"status": "alive"}
    assert client.get("/readyz").json()["champions"] == {"pump": "3", "fan": "3"}
    assert "/v1/score" in client.get("/").json()["routes"]
    assert "http" not in client.get("/").text, "it loads nothing from elsewhere"
    assert "foretwin_requests_total" in client.get("/metrics").text


def test_without_any_champion_it_is_alive_but_not_ready(tmp_path):
    (tmp_path / "models").mkdir()
    with served(tmp_path, ready=False) as running:
        response = running.client.get("/readyz")
        assert_problem(response, 503, "service")
        assert running.client.get("/livez").status_code == 200


@pytest.mark.parametrize("path", ["/nope", "/v1", "/v2/score", "/static_content/nope", "/%00", "/../etc"])
def test_an_unknown_route_is_refused_in_the_same_shape(client, path):
    assert_problem(client.get(path), 404, "path")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_another_method_is_refused_and_the_right_one_named(client, method):
    response = client.request(method, "/v1/score")
    assert_problem(response, 405, "method")
    assert response.headers["allow"] == "POST"


def changed():
    return call_of(PUMP, random_rows(PUMP, {"P-1": 3}))


def test_ten_megabytes_of_noise_are_refused_and_the_server_lives_on(client):
    noise = np.random.default_rng(1).bytes(10_000_000)
    assert_problem(client.post("/v1/score", content=noise, headers=JSON), 413, "body")
    chunks = (noise[i : i + 65536] for i in range(0, len(noise), 65536))  # no Content-Length announces these
    assert_problem(client.post("/v1/score", content=chunks, headers=JSON), 413, "body")
    assert_problem(client.post("/v1/score", content=noise[:8_000_000], headers=JSON), 400, "body")
    assert client.post("/v1/score", json=changed()).status_code == 200


def test_a_connection_that_ends_in_the_middle_of_a_call_harms_nobody(client):
    with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
        head = "POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        head += "Content-Length: 1000\r\n\r\n{"
        connection.sendall(head.encode())
    assert client.post("/v1/score", json=changed()).status_code == 200


def test_what_the_service_imports_holds_nothing_of_training(tmp_path):
    script = "import sys; import foretwin.serving.__main__; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, env=environment(tmp_path), capture_output=True, check=True
    )
    heavy = {"torch", "lightning", "mlflow", "optuna", "great_expectations", "scipy", "sklearn", "dvc", "matplotlib"}
    assert not (heavy | {"bentoml", "shap", "numba"}) & set(done.stdout.decode().split())


def test_open_to_everybody_it_listens_on_this_machine_alone(project):
    more = {"FORETWIN_PROJECT": str(project), "FORETWIN_ACCESS": "open", "FORETWIN_HOST": "192.0.2.1"}
    done = subprocess.run(
        [sys.executable, "-m", "foretwin.serving"],
        env=environment(project, **more),
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert "192.0.2.1" in done.stderr
