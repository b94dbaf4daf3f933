"""Broken and hostile calls to the real service: some hundreds of them here, twenty thousand in `make soak`."""

import http.client
import socket
import struct

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.reliability.fuzz import send as soak_fuzz
from benchmarks.reliability.fuzz.calls import Sample, samples, valid_sample
from benchmarks.reliability.fuzz.send import Answer, Connection, complaint, fuzz, memory_mb
from benchmarks.reliability.fuzz.table_calls import nested_schema, stream
from benchmarks.reliability.soak.project import make_project, served
from foretwin.wire.tables import ARROW, JSON, PARQUET
from support.tiny_bundle import save_tiny_bundle, tiny_twin

PUMP = tiny_twin("pump", channels=9, length=20)
FAN = tiny_twin("fan", rul=False)
TWINS = [PUMP, FAN]
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    make_project(root, TWINS, save_tiny_bundle)
    with served(root) as running:
        yield running


@pytest.fixture
def send(service):
    connection = Connection(service.port, service.headers)
    yield connection.send
    connection.close()


def test_broken_calls_are_refused_and_the_service_goes_on(service):
    found = fuzz(service.port, service.process.pid, TWINS, (600, 4), service.headers)
    assert found["complaints"] == []
    assert found["bodies"] == 600
    assert found["statuses"]["200"] > 60, "most of what is sent is broken, not all"
    assert {"400", "413", "415", "422"} <= found["statuses"].keys()


def table_call(kind: str, body: bytes) -> Sample:
    return Sample("crafted", "/v1/score?twin=pump", (("Content-Type", kind),), body)


def zeros_in_zstd() -> bytes:
    return stream(pa.table({"asset": ["a"] * 30_000_000}), "zstd")


def damaged_histogram() -> bytes:
    """A Parquet file whose column says of itself what cannot be."""
    from benchmarks.reliability.fuzz.table_calls import table, written

    body = bytearray(written(table(PUMP, np.random.default_rng(1)), "parquet", np.random.default_rng(1)))
    footer = len(body) - 8 - int.from_bytes(body[-8:-4], "little")
    for spot in range(footer, len(body) - 8, 7):
        body[spot] ^= 0x10
    return bytes(body)


def endless_list() -> bytes:
    """A footer that announces a list of 2^60 single bytes."""
    footer = b"\x19\xf3" + b"\xff" * 8 + b"\x0f\x00"
    return b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1"


CRAFTED = {
    "a Parquet schema nested 8,000 times": (PARQUET, lambda: nested_schema(8_000), 400),
    "a Parquet schema nested 100,000 times": (PARQUET, lambda: nested_schema(100_000), 400),
    "a Parquet footer that is damaged all over": (PARQUET, damaged_histogram, 400),
    "a Parquet footer with an endless list": (PARQUET, endless_list, 400),
    "an Arrow stream that swells": (ARROW, zeros_in_zstd, 413),
    "an Arrow stream of a negative length": (ARROW, lambda: b"\xff\xff\xff\xff\xff\xff\xff\xff", 400),
    "JSON nested 200,000 times": (JSON, lambda: b'{"twin":' * 200_000, 400),
    "JSON with a number of five million digits": (JSON, lambda: b'{"twin": ' + b"9" * 5_000_000 + b"}", 400),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_what_is_made_to_crash_or_swell_is_refused(service, send, name):
    kind, body, status = CRAFTED[name]
    answer = send(table_call(kind, body()))
    assert complaint(table_call(kind, b""), answer) is None
    assert answer.status == status, answer.body
    assert service.process.poll() is None
    assert memory_mb(service.process.pid, "VmHWM") < soak_fuzz.PEAK_MB


def test_headers_without_end_are_refused_before_they_fill_the_memory(service):
    before = memory_mb(service.process.pid)
    endless = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n" + (b"X-Y: " + b"y" * 100_000 + b"\r\n") * 1000
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as wire, pytest.raises(ConnectionError):
        wire.sendall(endless)
    assert memory_mb(service.process.pid) < before + 20


def test_what_is_not_http_is_refused_as_a_problem(service):
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as wire:
        wire.sendall(b"\x16\x03\x01 TLS here?\r\n\r\n")
        response = http.client.HTTPResponse(wire)
        response.begin()
        answer = Answer(response.status, response.headers["content-type"], response.read())
    assert answer.status == 400
    assert complaint(table_call(JSON, b""), answer) is None


@pytest.mark.parametrize("form", ["json", "arrow", "parquet"])
def test_an_untouched_call_is_answered_in_every_form(send, form):
    generator = np.random.default_rng(1)
    for twin in TWINS:
        answer = send(valid_sample(twin, form, generator))
        assert answer.status == 200, answer.body
        assert complaint(valid_sample(twin, form, generator), answer) is None


def test_the_same_seed_gives_the_same_calls():
    first, again, other = (samples(TWINS, seed) for seed in (1, 1, 2))
    drawn = [next(first) for _ in range(50)]
    assert drawn == [next(again) for _ in range(50)]
    assert drawn != [next(other) for _ in range(50)]


WRONG = {
    "a failure": Answer(500, soak_fuzz.PROBLEM, b"{}"),
    "no answer": Answer(0),
    "a refusal as text": Answer(400, "text/plain", b"no"),
    "a refusal without a field": Answer(422, soak_fuzz.PROBLEM, b'{"type":"","title":"","status":422,"detail":""}'),
    "a score that is null": Answer(200, JSON, b'{"scores":[{"faults":{"mode":null}}]}'),
    "a life outside its interval": Answer(200, JSON, b'{"scores":[{"rul":{"low":3,"value":2,"high":4}}]}'),
    "a table with NaN": Answer(200, ARROW, stream(pa.table({"rul": [1.0, float("nan")]}))),
    "a table with a null": Answer(200, ARROW, stream(pa.table({"rul": [1.0, None]}))),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_answer_that_nobody_can_use_is_noticed(name):
    assert complaint(table_call(JSON, b""), WRONG[name])
