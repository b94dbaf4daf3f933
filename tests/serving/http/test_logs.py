"""Logs as JSON: what a record becomes, and what a real server writes on standard error."""

import json
import logging
import os
import subprocess
import sys
from contextvars import copy_context
from datetime import UTC, datetime, timedelta

import pytest

from foretwin.serving.http.logs import JsonFormatter
from foretwin.serving.http.requests import REQUEST_ID

SERVER = """
import logging, os, signal, warnings
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route
from foretwin.serving.http.logs import log_json
from foretwin.serving.http.requests import Observed

async def broken(request):
    logging.getLogger("shop").info("about to break", extra={"basket": 3})
    raise ZeroDivisionError("no\\nway")

async def end(request):
    os.kill(os.getpid(), signal.SIGTERM)

log_json()
warnings.warn("old ways")
app = Observed(Starlette(routes=[Route("/broken", broken), Route("/end", end)]), lambda *_: None)
uvicorn.run(app, port=int(os.environ["PORT"]), log_config=None, access_log=False)
"""


def line_of(message="said", *arguments, exception=None, **extra):
    record = logging.getLogger("shop").makeRecord("shop", 30, "f.py", 1, message, arguments, exception, extra=extra)
    text = JsonFormatter().format(record)
    assert "\n" not in text
    return json.loads(text, parse_constant=pytest.fail)


def test_a_record_becomes_one_object():
    line = line_of("%d of %s", 3, "P-1\nP-2", status=422, seconds=0.25, ready=True, missing=None)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "WARNING",
        "logger": "shop",
        "message": "3 of P-1\nP-2",
        "status": 422,
        "seconds": 0.25,
        "ready": True,
        "missing": None,
    }
    assert abs(datetime.fromisoformat(line_of()["time"]) - datetime.now(UTC)) < timedelta(seconds=5)


def test_fields_cannot_take_the_place_of_the_line_s_own():
    line = line_of(level="quiet", logger="elsewhere", time="never")
    assert (line["level"], line["logger"]) == ("WARNING", "shop")
    assert line["time"] != "never"


def test_whatever_a_field_holds_the_line_is_json():
    odd = {"nan": float("nan"), "huge": 2**200, "object": object, "half": "\ud800", "list": [1]}
    line = line_of("\ud800", **odd)
    assert line["nan"] == "nan"
    assert line["huge"] == 2**200
    assert line["list"] == "[1]"


def test_an_exception_is_one_field():
    try:
        raise ValueError("why\nnot")
    except ValueError:
        line = line_of(exception=sys.exc_info())
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: why\nnot")


def test_a_line_of_a_call_has_its_id():
    def inside():
        REQUEST_ID.set("r-1")
        return line_of()

    assert copy_context().run(inside)["request_id"] == "r-1"
    assert "request_id" not in line_of()


def test_a_line_of_a_traced_call_has_the_trace_s_id():
    from opentelemetry.sdk.trace import TracerProvider

    assert "trace_id" not in line_of()
    with TracerProvider().get_tracer("t").start_as_current_span("call") as span:
        assert line_of()["trace_id"] == f"{span.get_span_context().trace_id:032x}"


def test_everything_that_a_server_writes_is_a_line_of_json(tmp_path):
    import httpx

    from foretwin.twin.simulator.processes import free_port, listens, wait_for

    port = free_port()
    with (tmp_path / "err").open("wb") as err, (tmp_path / "out").open("wb") as out:
        environment = {**os.environ, "PORT": str(port)}
        process = subprocess.Popen([sys.executable, "-c", SERVER], stdout=out, stderr=err, env=environment)
        try:
            wait_for(lambda: listens(port), "server")
            answer = httpx.get(f"http://127.0.0.1:{port}/broken", headers={"X-Request-ID": "r-7"})
            httpx.get(f"http://127.0.0.1:{port}/end", headers={"X-Request-ID": "r-8"})
        finally:
            process.terminate()
            process.wait(10)
    assert answer.status_code == 500
    assert (tmp_path / "out").read_text() == ""
    lines = [json.loads(line) for line in (tmp_path / "err").read_text().splitlines()]
    assert {"uvicorn.error", "py.warnings", "shop", "foretwin.http"} <= {line["logger"] for line in lines}
    about = [line for line in lines if line.get("request_id") == "r-7"]
    assert [(line["logger"], line["level"]) for line in about] == [
        ("shop", "INFO"),
        ("foretwin.http", "ERROR"),
        ("uvicorn.error", "ERROR"),
    ]
    assert about[0]["basket"] == 3
    assert (about[1]["route"], about[1]["status"]) == ("/broken", 500)
    assert about[2]["exception"].endswith("ZeroDivisionError: no\nway")
