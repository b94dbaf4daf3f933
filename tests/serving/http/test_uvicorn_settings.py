"""What the environment says of connections and proxies, on a real server."""

import asyncio
import http.client
import json
import resource
import socket
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from foretwin.errors import ParamsError
from foretwin.serving.http.connections import ConnectionLimits
from foretwin.serving.http.uvicorn_settings import uvicorn_settings
from support.loopback_server import served

PROXY, OTHER = "127.0.0.2", "127.0.0.3"
EACH = 2


async def who(request):
    return PlainTextResponse(request.client.host)


async def wait(request):
    while not await request.is_disconnected():
        await asyncio.sleep(0.01)
    return PlainTextResponse("")


@pytest.fixture(scope="module")
def address():
    app = Starlette(routes=[Route("/who", who), Route("/wait", wait)])
    own = {"FORETWIN_TRUSTED_PROXIES": f"{PROXY}, 192.0.2.0/24", "FORETWIN_MAX_CONNECTIONS_PER_ADDRESS": str(EACH)}
    with served(app, **own) as url:
        place = urlsplit(url)
        yield place.hostname, place.port


def begun(address, source, forwarded, path="/who"):
    """A connection from `source` on which a call for `forwarded` was sent."""
    wire = socket.create_connection(address, timeout=10, source_address=(source, 0))
    wire.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {forwarded}\r\n\r\n".encode())
    return wire


def heard(wire):
    response = http.client.HTTPResponse(wire)
    response.begin()
    return response.status, response.read().decode()


@pytest.mark.parametrize(
    ("source", "forwarded", "client"),
    [
        (PROXY, "198.51.100.7", "198.51.100.7"),
        (PROXY, "203.0.113.1, 198.51.100.7", "198.51.100.7"),  # the first one is what the client says of itself
        (PROXY, "198.51.100.7, 192.0.2.9", "198.51.100.7"),  # by way of two proxies
        (OTHER, "198.51.100.7", OTHER),
    ],
)
def test_a_client_is_who_a_trusted_proxy_says(address, source, forwarded, client):
    with begun(address, source, forwarded) as wire:
        assert heard(wire) == (200, client)


@pytest.mark.parametrize(
    ("source", "headers", "client"),
    [
        (PROXY, {"Forwarded": "for=198.51.100.7;proto=https;by=203.0.113.43"}, "198.51.100.7"),
        (PROXY, {"Forwarded": 'for="[2001:db8::1]:4711"'}, "2001:db8::1"),
        (PROXY, {"Forwarded": 'by="a, b" ; FOR="198.51.100.7:80", for=192.0.2.9'}, "198.51.100.7"),
        (PROXY, {"Forwarded": "for=198.51.100.7", "X-Forwarded-For": "198.51.100.7"}, "198.51.100.7"),
        (PROXY, {"Forwarded": "for=198.51.100.7", "X-Forwarded-For": "203.0.113.9"}, PROXY),  # one is the client's own
        (PROXY, {"Forwarded": 'for="198.51.100.7'}, PROXY),
        (PROXY, {"Forwarded": "proto=https", "X-Forwarded-For": "203.0.113.9"}, PROXY),
        (OTHER, {"Forwarded": "for=198.51.100.7"}, OTHER),
    ],
)
def test_forwarded_counts_as_the_usual_header_and_beside_it_only_where_both_say_the_same(
    address, source, headers, client
):
    with socket.create_connection(address, timeout=10, source_address=(source, 0)) as wire:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        wire.sendall(f"GET /who HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
        assert heard(wire) == (200, client)


def test_the_clients_of_a_proxy_each_have_their_share(address):
    waiting = [begun(address, PROXY, "198.51.100.1", "/wait") for _ in range(EACH)]
    others = [begun(address, PROXY, f"198.51.100.{2 + i}") for i in range(3 * EACH)]
    assert {heard(wire)[0] for wire in others} == {200}
    with begun(address, PROXY, "198.51.100.1") as wire:
        status, problem = heard(wire)
        assert (status, json.loads(problem)["field"]) == (429, "request")
    for wire in waiting + others:
        wire.close()


def test_without_trusted_proxies_nobody_says_who_a_client_is():
    app = Starlette(routes=[Route("/who", who)])
    with served(app) as url, begun((urlsplit(url).hostname, urlsplit(url).port), PROXY, "198.51.100.7") as wire:
        assert heard(wire) == (200, PROXY)


@pytest.mark.parametrize("value", ["proxy", "*", "10.0.0.1/8", "10.0.0.1 10.0.0.2"])
def test_what_is_no_address_is_refused(value):
    with pytest.raises(ParamsError, match="FORETWIN_TRUSTED_PROXIES: "):
        uvicorn_settings(None, {"FORETWIN_TRUSTED_PROXIES": value})


@pytest.mark.parametrize("name", ["FORETWIN_PATIENCE", "FORETWIN_MAX_CONNECTIONS"])
def test_what_is_no_number_is_refused(name):
    with pytest.raises(ParamsError, match=f"{name}: "):
        uvicorn_settings(None, {name: "0"})


@pytest.mark.parametrize("files", [16, 64, 256, 1024, 100_000])
def test_connections_leave_descriptors_for_the_store(monkeypatch, files):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    limits = ConnectionLimits.from_env({"FORETWIN_MAX_CONNECTIONS": "1000000"})
    assert limits.total + limits.streams + limits.backlog <= files - min(128, files // 4)
    assert 0 < limits.per_address <= limits.total
    assert limits.backlog > 0
    assert ConnectionLimits.from_env({"FORETWIN_MAX_CONNECTIONS": "5"}).per_address <= 5
