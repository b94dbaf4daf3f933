"""The bench of the scoring service: its peers answer as the bundle does, and who answers otherwise is not measured."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from benchmarks.render.speed import bench_service
from benchmarks.speed.service.load import Call, read
from benchmarks.speed.service.run import against, middle
from benchmarks.speed.service.servers import JSON, Server, check, memory_mb, running, send, uvicorn
from foretwin.errors import ForetwinError
from foretwin.predictor.bundle import Bundle
from support.tiny_bundle import call_of, random_rows, save_tiny_bundle, tiny_twin

TWIN = tiny_twin(faults=False)
KEYED = JSON | {"Authorization": "Bearer a-key"}
ROWS = random_rows(TWIN, {"P-1": 8, "P-2": 5})


@pytest.fixture(scope="module")
def peers(tmp_path_factory):
    """Each FastAPI peer with the call for both assets; the bundle's answer to it; where their logs go."""
    folder = tmp_path_factory.mktemp("peers")
    (folder / "bundle").mkdir()
    save_tiny_bundle(folder / "bundle", TWIN)
    (folder / "keys.json").write_text(json.dumps({sha256(b"a-key").hexdigest(): ["score"]}))
    environment = {"PEER_BUNDLE": str(folder / "bundle"), "PEER_KEYS": str(folder / "keys.json")}
    calls = {(2, "json"): Call("/v1/score", KEYED, json.dumps(call_of(TWIN, ROWS)).encode(), 2)}
    applications = ("fastapi_checked", "fastapi_pydantic", "fastapi_bare")
    servers = [Server(name, uvicorn(f"{name}:create_app"), calls, environment) for name in applications]
    return servers, Bundle.load(folder / "bundle").score(ROWS), folder / "log.txt"


def test_every_fastapi_peer_answers_as_the_bundle_and_refuses_what_it_must(peers):
    servers, expected, log = peers
    for server in servers:
        call = server.calls[2, "json"]
        with running(server, call, log) as there:
            check(server, there.port, {2: expected["rul"].to_numpy()})
            said = json.loads(send(there.port, call).content)["scores"]
            text = replace(call, body=call.body.replace(b'"time": [1.0', b'"time": ["one"'))
            nobody = replace(call, headers=JSON)
            refused = {send(there.port, text).status_code, send(there.port, nobody).status_code}
        assert [score["warnings"] for score in said] == expected["warnings"].tolist()
        assert np.allclose([score["rul"]["low"] for score in said], expected["rul_low"])
        assert refused == ({422, 200} if server.name == "fastapi_bare" else {422, 401})


def test_a_server_with_other_numbers_is_not_measured(peers):
    servers, expected, log = peers
    with (
        running(servers[2], servers[2].calls[2, "json"], log) as there,
        pytest.raises(ForetwinError, match="fastapi_bare, 2 windows as json: answers other numbers than the bundle"),
    ):
        check(servers[2], there.port, {2: expected["rul"].to_numpy() + 0.1})


def test_a_server_that_ends_at_once_is_named(peers):
    servers, _, log = peers
    broken = replace(servers[2], environment={"PEER_BUNDLE": "/nowhere"})
    with (
        pytest.raises(ForetwinError, match="fastapi_bare: does not answer"),
        running(broken, broken.calls[2, "json"], log),
    ):
        pass


@pytest.mark.parametrize("wrong", [{"refused": 1}, {"broken": 1}, {"calls": 0}])
def test_a_load_of_which_something_failed_is_no_measurement(wrong):
    said = {"calls": 3000, "microseconds": 2_000_000, "p50": 250.0, "p99": 900.0, "refused": 0, "broken": 0}
    found = read(f"Running\n{json.dumps(said)}\n", "http://there")
    assert (found.calls_per_second, found.p50_ms, found.p99_ms) == (1500, 0.25, 0.9)
    with pytest.raises(ForetwinError, match="http://there: of"):
        read(json.dumps(said | wrong), "http://there")


def test_memory_counts_a_child_of_a_child():
    grandchild = "import time; kept = bytearray(60_000_000); print(flush=True); time.sleep(60)"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}])"
    with subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE, start_new_session=True) as process:
        process.stdout.readline()
        size = memory_mb(process.pid)
        os.killpg(process.pid, signal.SIGKILL)
    assert 70 < size < 200


def test_a_figure_is_the_median_of_its_rounds():
    rounds = [{"single": {"1": {"p99_ms": value}}, "ready_seconds": 2 * value} for value in (3, 1, 7)]
    assert middle(rounds) == {"single": {"1": {"p99_ms": 3}}, "ready_seconds": 6}


def test_a_ratio_above_one_means_that_the_service_is_faster():
    fast, slow = (
        {"single": {"1": {"calls_per_second": rate}}, "json_64": {"calls_per_second": rate / 10}} for rate in (30, 20)
    )
    assert against(fast, slow) == {"1": 1.5, "json_64": 1.5}


def test_the_page_shows_every_server_ratio_and_layer_of_the_report():
    at = {"calls_per_second": 1234.0, "p50_ms": 0.51, "p99_ms": 2.5}
    many = at | {"windows_per_second": 4321.0}
    single = dict.fromkeys(("1", "8", "16", "64"), at)
    slow = {"single": single, "json_64": many, "json_256": many, "ready_seconds": 1.25, "memory_mb": 171.0}
    ratios = dict.fromkeys(("arrow_of_bare", "json_of_bare", "arrow_of_json", "one_connection_of_bare"), 0.81)
    gained = {"p99_of_rival": dict.fromkeys(single, 1.23), "most_that_a_queue_gains": 0.07}
    page = bench_service(
        {
            "machine": {"cores": "2", "processor": "a processor"},
            "rounds": 5,
            "servers": {"Foretwin": slow | {"arrow_256": many | {"windows_per_second": 98765.0}}, "another": slow},
            "ratios": ratios | gained | {"single": {"another": dict.fromkeys((*single, "json_64"), 0.93)}},
            "layers": {"a layer": {"1": at, "16": at | {"calls_per_second": 777.0}}},
            "in_process": {"score_1": 3000.0, "score_256": 25000.0, "network_1": 20000.0, "network_16": 27000.0},
        }
    )
    assert "| Foretwin | 1234, 0.51, 2.5 |" in page
    assert "| 4321 | 98765 | 1.2, 171 |" in page
    assert "| another | 0.93 | 0.93 | 0.93 | 0.93 | 0.93 |" in page
    assert "| 1.23, 1.23, 1.23, 1.23 |" in page
    assert "| a layer | 1234, 2.5 | 777, 2.5 |" in page
    assert "| windows/s | 20000 | 27000 |" in page
    assert "by 7% at most" in page
