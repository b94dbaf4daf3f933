"""The head of a request on a real socket: bounded in length and in time, and refused as a problem."""

import http.client
import json
import socket
import threading
import time

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from foretwin.serving.http import protocol
from foretwin.serving.http.protocol import MOST_HEAD, BoundedProtocol

PATIENCE = 0.5
GET = b"GET / HTTP/1.1\r\nHost: x\r\n"


async def size(request):
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture(scope="module")
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    routes = [Route("/", size, methods=["GET", "POST"])]
    config = uvicorn.Config(Starlette(routes=routes), port=free, http=BoundedProtocol, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    before, protocol.PATIENCE = protocol.PATIENCE, PATIENCE
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield free
    server.should_exit = True
    thread.join(10)
    protocol.PATIENCE = before


@pytest.fixture
def wire(port):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        yield connection


def answer(wire):
    response = http.client.HTTPResponse(wire)
    response.begin()
    return response.status, response.read(), response.headers


def assert_refused(wire, status):
    found, body, headers = answer(wire)
    problem = json.loads(body)
    assert headers["content-type"] == "application/problem+json"
    assert (found, problem["status"], problem["field"]) == (status, status, "request")
    assert wire.recv(1) == b"", "the connection ends"


def test_whole_requests_are_answered_one_after_the_other(wire):
    for count in (0, 10, 3 * MOST_HEAD):
        wire.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % count + b"x" * count)
        assert answer(wire)[:2] == (200, str(count).encode())
    time.sleep(1.5 * PATIENCE)
    wire.sendall(GET + b"\r\n")
    assert answer(wire)[0] == 200


def test_requests_that_come_together_are_both_answered(wire):
    wire.sendall(GET + b"\r\n" + GET + b"\r\n")
    received = b""
    while received.count(b"HTTP/1.1 200") < 2:
        more = wire.recv(4096)
        assert more, received
        received += more


def test_a_body_may_take_longer_than_a_head(wire):
    wire.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nx")
    time.sleep(1.5 * PATIENCE)
    wire.sendall(b"x")
    assert answer(wire)[:2] == (200, b"2")


def test_a_head_that_is_too_long_is_refused(wire):
    wire.sendall(GET)
    with pytest.raises(ConnectionError):  # noqa: PT012 - it may come at any of these
        for _ in range(100):
            wire.sendall(b"X: " + b"y" * MOST_HEAD + b"\r\n")
            time.sleep(0.01)


def test_the_refusal_of_a_long_head_says_why(wire):
    wire.sendall(GET + b"X: " + b"y" * MOST_HEAD)
    assert_refused(wire, 431)


@pytest.mark.parametrize("begun", [b"G", GET, GET + b"X-Y: "])
def test_a_head_that_does_not_arrive_is_given_up(wire, begun):
    wire.sendall(begun)
    assert_refused(wire, 408)


def test_so_is_the_second_one_of_a_connection(wire):
    wire.sendall(GET + b"\r\n")
    assert answer(wire)[0] == 200
    wire.sendall(GET)
    assert_refused(wire, 408)


def test_a_connection_that_says_nothing_is_closed(wire):
    begin = time.monotonic()
    assert wire.recv(1) == b""
    assert time.monotonic() - begin > 0.5 * PATIENCE


@pytest.mark.parametrize("noise", [b"\x16\x03\x01\x00\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"{}\r\n\r\n"])
def test_what_is_not_http_is_refused(wire, noise):
    wire.sendall(noise)
    assert_refused(wire, 400)
