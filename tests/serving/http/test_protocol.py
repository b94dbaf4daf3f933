"""What a client may take on a real socket: bounded in length and in time, and refused as a problem."""

import asyncio
import gc
import http.client
import json
import socket
import threading
import time
from functools import partial
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from foretwin.serving.http.connections import ConnectionLimits, Connections
from foretwin.serving.http.protocol import LEAST_SENT, MOST_HEAD, BoundedProtocol
from foretwin.twin.simulator.processes import wait_for

PATIENCE = 0.5
MOST, EACH = 30, 10
LONG = 30_000_000
GET = b"GET / HTTP/1.1\r\nHost: x\r\n"


async def size(request):
    return PlainTextResponse(str(len(await request.body())))


async def refuse(request):
    return PlainTextResponse("no", 401)


async def long(request):
    return PlainTextResponse("x" * LONG)


async def stream(request):
    async def pieces():
        for _ in range(3):
            await asyncio.sleep(PATIENCE)
            yield b"x"

    return StreamingResponse(pieces())


async def count(request):
    return PlainTextResponse(str(len(list(Path("/proc/self/fd").iterdir()))))


@pytest.fixture(scope="module")
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    ways = {"/": size, "/refuse": refuse, "/long": long, "/count": count, "/stream": stream}
    app = Starlette(routes=[Route(path, way, methods=["GET", "POST"]) for path, way in ways.items()])
    http = partial(BoundedProtocol, connections=Connections(ConnectionLimits(MOST, EACH)), patience=PATIENCE)
    server = uvicorn.Server(uvicorn.Config(app, port=free, http=http, log_config=None, proxy_headers=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield free
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def wire(port):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        yield connection


def answer(wire):
    response = http.client.HTTPResponse(wire)
    response.begin()
    return response.status, response.read(), response.headers


def assert_refused(wire, status, field="request"):
    found, body, headers = answer(wire)
    problem = json.loads(body)
    assert headers["content-type"] == "application/problem+json"
    assert (found, problem["status"], problem["field"]) == (status, status, field)
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


def test_a_body_that_goes_on_may_take_longer_than_a_head(wire):
    parts = 20
    wire.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (parts * LEAST_SENT))
    for _ in range(parts):
        wire.sendall(b"x" * LEAST_SENT)
        time.sleep(2 * PATIENCE / parts)
    assert answer(wire)[:2] == (200, b"%d" % (parts * LEAST_SENT))


@pytest.mark.parametrize("pause", [0, PATIENCE / 10])
def test_a_body_that_trickles_is_refused(wire, pause):
    wire.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx")
    for _ in range(15 if pause else 0):
        wire.sendall(b"x")
        time.sleep(pause)
    assert_refused(wire, 408, "timeout")


def test_a_body_that_nobody_reads_ends_after_the_answer(wire):
    wire.sendall(b"POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx")
    found, body, headers = answer(wire)
    assert (found, body, headers["connection"]) == (401, b"no", "close")
    with pytest.raises(ConnectionError):  # noqa: PT012 - at whichever it comes
        for _ in range(30):
            wire.sendall(b"x")
            time.sleep(PATIENCE / 10)


def test_whoever_sends_all_before_he_reads_hears_a_refusal(wire):
    wire.sendall(b"POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % LONG)
    wire.sendall(b"x" * LONG)
    assert answer(wire)[:2] == (401, b"no")


def test_a_body_that_came_as_a_whole_keeps_the_connection_though_nobody_read_it(wire):
    for _ in range(2):
        wire.sendall(b"POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
        found, _, headers = answer(wire)
        assert (found, "connection" in headers) == (401, False)


def test_an_answer_that_streams_has_no_deadline(wire):
    wire.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer(wire)[:2] == (200, b"xxx")


def test_an_answer_that_nobody_reads_is_given_up(wire):
    wire.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
    time.sleep(3 * PATIENCE)
    assert received(wire) < LONG


def test_an_answer_that_is_read_slowly_arrives(wire):
    wire.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    pieces = 0
    for _ in range(12):
        pieces += len(wire.recv(1_000_000, socket.MSG_WAITALL))
        time.sleep(PATIENCE / 4)
    assert pieces + received(wire) > LONG


def received(wire):
    """How many bytes come until the end, or until the connection breaks."""
    count = 0
    try:
        while more := len(wire.recv(1 << 20)):
            count += more
    except ConnectionError:
        pass
    return count


def connected(port, address):
    return socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(address, 0))


def asked(port, address, path="/"):
    """Status and body of one call of that address."""
    with connected(port, address) as wire:
        wire.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
        return answer(wire)[:2]


def test_of_many_that_wait_the_first_ones_give_way(port):
    wires = [connected(port, f"127.0.0.{2 + i % 50}") for i in range(5 * MOST)]
    for wire in wires[-MOST:]:
        wire.sendall(GET)
    for i in range(10):
        assert asked(port, f"127.0.1.{i}") == (200, b"0")
    ours = len(list(Path("/proc/self/fd").iterdir()))
    assert int(asked(port, "127.0.1.1", "/count")[1]) < ours + MOST, "both ends are this process's; theirs are few"
    assert all(wire.recv(1) == b"" for wire in wires[: -2 * MOST])
    for wire in wires:
        wire.close()


def test_a_connection_that_ended_leaves_nothing_for_the_garbage_collection(port):
    gc.collect()
    gc.disable()
    try:
        for path in ("/", "/refuse", "/stream"):
            asked(port, "127.0.4.1", path)
        connected(port, "127.0.4.1").close()
        wait_for(lambda: not [one for one in gc.get_objects() if isinstance(one, BoundedProtocol)], "end of all")
    finally:
        gc.enable()


def test_many_of_one_address_harm_no_other(port):
    with connected(port, "127.0.2.1") as other:
        wires = [connected(port, "127.0.2.2") for _ in range(3 * MOST)]
        assert asked(port, "127.0.2.2") == (200, b"0"), "a new one of the same address comes in, and an old one goes"
        other.sendall(GET + b"\r\n")
        assert answer(other)[0] == 200
        for wire in wires:
            wire.close()


def test_a_head_that_is_too_long_is_refused_though_its_sender_goes_on(wire):
    wire.sendall(GET + b"X: " + b"y" * (MOST_HEAD + 1) + b"\r\n")
    wire.sendall(b"Y: " + b"y" * 10 * MOST_HEAD + b"\r\n\r\n")
    assert_refused(wire, 431)


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
