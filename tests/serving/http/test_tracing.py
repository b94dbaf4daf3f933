"""Traces: nothing without the standard variables; with them, spans arrive at a real OTLP receiver on loopback."""

import os
import subprocess
import sys
import time

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from foretwin.errors import ParamsError
from foretwin.serving.http.requests import Observed
from foretwin.serving.http.tracing import traced
from support.loopback_server import served
from support.trace_receiver import trace_receiver

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SERVER = 2  # a span's kind in the protocol


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def receiver():
    with trace_receiver() as listening:
        yield listening


async def score(request):
    await request.body()
    return PlainTextResponse("scored")


async def broken(request):
    raise ZeroDivisionError


def application():
    routes = [Route("/v1/score", score, methods=["POST"]), Route("/broken", broken), Route("/livez", score)]
    return Observed(Starlette(routes=routes), lambda *_: None)


def test_a_span_of_a_call_arrives_with_the_caller_s_as_its_parent(receiver, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=plant-7")
    with served(traced(application(), "foretwin")) as service:
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        assert httpx.post(f"{service}/v1/score", content=b"{}", headers=headers).text == "scored"
    # The batch would leave after five seconds: it is here because the server's end sends it.
    (span,) = receiver.spans
    assert (span.name, span.kind) == ("POST /v1/score", SERVER)
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert span.end_time_unix_nano > span.start_time_unix_nano
    path, told, _ = receiver.sent[0]
    assert path == "/v1/traces"
    assert told["x-tenant"] == "plant-7"
    assert receiver.resource["service.name"] == "foretwin"


def test_the_scoring_service_sends_its_spans_before_it_ends(receiver, tmp_path):
    from support.served import served as service_of
    from support.tiny_bundle import call_of, random_rows, tiny_project, tiny_twin

    pump = tiny_twin()
    tiny_project(tmp_path, pump)
    with service_of(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url) as service:
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        call = call_of(pump, random_rows(pump, {"P-1": 8}))
        service.client.post("/v1/score", json=call, headers=headers).raise_for_status()
        service.client.get("/metrics").raise_for_status()
    (span,) = receiver.spans
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == ("POST /v1/score", TRACE, PARENT)
    assert receiver.resource["service.name"] == "foretwin"


def test_without_a_parent_each_call_is_a_trace_and_errors_are_marked(receiver, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{receiver.url}/elsewhere")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "plant-7")
    with served(traced(application(), "foretwin")) as service:
        httpx.post(f"{service}/v1/score", content=b"{}")
        httpx.get(f"{service}/broken")
        httpx.get(f"{service}/livez")  # probes would bury the others
    spans = receiver.spans
    assert [span.name for span in spans] == ["POST /v1/score", "GET /broken"]
    assert len({span.trace_id for span in spans}) == 2
    assert [span.status.code for span in spans] == [0, 2]
    assert receiver.sent[0][0] == "/elsewhere"
    assert receiver.resource["service.name"] == "plant-7"


def test_the_sampler_of_the_environment_is_heeded(receiver, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    with served(traced(application(), "foretwin")) as service:
        httpx.post(f"{service}/v1/score", content=b"{}")
    assert receiver.spans == []


def test_a_receiver_that_is_away_disturbs_no_call(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    with served(traced(application(), "foretwin")) as service:
        for _ in range(20):
            assert httpx.post(f"{service}/v1/score", content=b"{}", timeout=1).status_code == 200
        ending = time.monotonic()
    assert time.monotonic() - ending < 6, "nor does it hold up the end"


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "True"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
    ],
)
def test_who_asks_for_no_traces_pays_nothing_for_them(environment):
    code = """
import sys
from foretwin.serving.http.tracing import traced
import foretwin.serving.http.logs
async def app(scope, receive, send): ...
assert traced(app, "foretwin") is app
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("OTEL_TRACES_EXPORTER", "jaeger", "is 'jaeger'; there is otlp and none"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "is 'grpc'; spans are sent by http/protobuf alone"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "is 'http/json'; spans are sent by http/protobuf alone"),
    ],
)
def test_what_is_not_there_is_refused_at_the_start(monkeypatch, name, value, reason):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv(name, value)
    with pytest.raises(ParamsError, match=f"{name}: {reason}"):
        traced(application(), "foretwin")
