"""What is said of every call: ids, routes, how it ended; over a real server on loopback."""

import asyncio
import logging
import re
from timeit import repeat

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from foretwin.errors import ParamsError
from foretwin.serving.http import requests
from foretwin.serving.http.requests import FIELD, REQUEST_ID, Observed
from foretwin.twin.simulator.processes import wait_for
from support.loopback_server import served


async def hello(request):
    return PlainTextResponse(REQUEST_ID.get())


async def threaded(request):
    return PlainTextResponse(await asyncio.to_thread(REQUEST_ID.get))


async def slow(request):
    await asyncio.sleep(1.05)
    return PlainTextResponse("at last")


async def stream(request):
    async def words():
        yield "data: 1\n\n"
        await asyncio.sleep(1.05)

    return StreamingResponse(words(), media_type="text/event-stream")


async def refused(request):
    request.scope[FIELD] = "assets[0].time"
    return Response("{}", 422)


async def broken(request):
    raise ZeroDivisionError


ROUTES = [
    Route("/v1/assets/{asset}", hello, methods=["GET"]),
    Route("/threaded", threaded),
    Route("/slow", slow),
    Route("/stream", stream),
    Route("/refused", refused, methods=["POST"]),
    Route("/broken", broken),
    Mount("/inside", routes=[Route("/deep", hello)]),
]


class Heard:
    """What the application's owner is told."""

    def __init__(self):
        self.done, self.refusals, self.begun = [], [], 0

    def begin(self):
        self.begun += 1

    def application(self):
        def done(*told):
            self.done.append(told)

        def refusal(*told):
            self.refusals.append(told)

        return Observed(Starlette(routes=ROUTES), done, refusal, self.begin)


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def client(heard):
    with served(heard.application()) as url, httpx.Client(base_url=url) as client:
        yield client


def test_a_call_s_id_is_its_own_or_a_new_one_and_goes_back(client):
    own = client.get("/v1/assets/P-1", headers={"X-Request-ID": "order-66.b_c"})
    assert own.headers.get_list("x-request-id") == ["order-66.b_c"]
    assert own.text == "order-66.b_c"
    made = [client.get("/v1/assets/P-1").headers["x-request-id"] for _ in range(5)]
    assert len(set(made)) == 5
    assert all(re.fullmatch(r"[0-9a-f]{16}", name) for name in made)
    assert client.get("/threaded", headers={"X-Request-ID": "t1"}).text == "t1"


@pytest.mark.parametrize("name", ["", "x" * 65, "a b", 'a"b', "a\tb", "é".encode(), "a\\n{}"])
def test_an_id_that_could_harm_a_log_is_not_taken(client, name):
    answer = client.get("/v1/assets/P-1", headers={"X-Request-ID": name})
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])


def test_calls_are_told_by_the_template_of_their_route(client, heard):
    for name in ("P-1", "P-2"):
        client.get(f"/v1/assets/{name}")
    client.post("/v1/assets/P-1")
    client.get("/nowhere/at/all")
    client.get("/inside/deep")
    wait_for(lambda: len(heard.done) == 5, "fifth call that is told of")  # that is done after the answer has left
    assert [told[:3] for told in heard.done] == [
        ("/v1/assets/{asset}", "GET", 200),
        ("/v1/assets/{asset}", "GET", 200),
        ("/v1/assets/{asset}", "POST", 405),
        ("unknown", "GET", 404),
        ("/deep", "GET", 200),
    ]
    assert all(0 < seconds < 1 for *_, seconds in heard.done)
    assert heard.begun == 5


def test_a_call_that_broke_is_told_as_500_with_its_id(client, heard):
    answer = client.get("/broken", headers={"X-Request-ID": "unlucky"})
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == "unlucky"
    wait_for(lambda: heard.done, "call that is told of")
    assert [told[:3] for told in heard.done] == [("/broken", "GET", 500)]


def test_a_refusal_is_told_with_the_field_that_was_wrong(client, heard):
    client.post("/refused")
    client.get("/v1/assets/P-1")
    wait_for(lambda: len(heard.done) == 2, "second call that is told of")
    assert heard.refusals == [("/refused", 422, "assets[0].time")]


def lines(caplog):
    return [record for record in caplog.records if record.name == "foretwin.http"]


def test_only_calls_that_failed_or_were_slow_are_logged(client, caplog):
    caplog.set_level(logging.INFO)
    client.get("/v1/assets/P-1?key=secret")
    client.post("/refused?key=secret")
    client.get("/broken", headers={"Connection": "close"})  # the server ends it anyhow after such an error
    client.get("/stream")  # for as long as its reader wants
    client.get("/slow")
    wait_for(lambda: len(lines(caplog)) == 3, "third line")
    found = [(r.levelname, r.getMessage(), r.route, r.status) for r in lines(caplog)]
    assert found == [
        ("INFO", "POST /refused: 422", "/refused", 422),
        ("ERROR", "GET /broken: 500", "/broken", 500),
        ("WARNING", "GET /slow: 200", "/slow", 200),
    ]
    assert lines(caplog)[0].field == "assets[0].time"
    assert lines(caplog)[2].seconds > 1
    assert "secret" not in "".join(str(vars(record)) for record in lines(caplog))


def test_a_flood_of_refusals_has_a_few_lines_a_second_and_their_number(client, caplog, monkeypatch):
    second = [7.0]
    monkeypatch.setattr(requests, "monotonic", lambda: second[0])
    caplog.set_level(logging.INFO)
    for _ in range(requests.REFUSED_TOLD + 5):
        client.post("/refused")
    client.get("/broken", headers={"Connection": "close"})  # what fails is told all the same
    second[0] = 8.0
    client.post("/refused")
    wait_for(lambda: len(lines(caplog)) == requests.REFUSED_TOLD + 3, "the last line")
    assert [one.getMessage() for one in lines(caplog)][requests.REFUSED_TOLD :] == [
        "GET /broken: 500",
        "5 more calls were refused within a second",
        "POST /refused: 422",
    ]


def test_every_call_is_logged_where_that_is_asked_for(heard, caplog, monkeypatch):
    monkeypatch.setenv("FORETWIN_LOG_REQUESTS", "all")
    caplog.set_level(logging.INFO)
    with served(heard.application()) as url:
        httpx.get(f"{url}/v1/assets/P-1")
    assert [record.getMessage() for record in lines(caplog)] == ["GET /v1/assets/P-1: 200"]


def test_another_value_of_the_setting_is_refused(heard, monkeypatch):
    monkeypatch.setenv("FORETWIN_LOG_REQUESTS", "yes")
    with pytest.raises(ParamsError, match="FORETWIN_LOG_REQUESTS: is 'yes'; it is `all`"):
        heard.application()


def test_it_costs_a_call_little():
    async def bare(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        pass

    headers = [(b"host", b"a"), (b"content-type", b"application/json"), (b"content-length", b"9"), (b"accept", b"*/*")]
    observed = Observed(bare, lambda *_: None)

    async def calls():
        for _ in range(2000):
            scope = {"type": "http", "method": "POST", "path": "/v1/score", "headers": headers}
            await observed(scope, None, send)

    microseconds = min(repeat(lambda: asyncio.run(calls()), number=1, repeat=10)) / 2000 * 1e6
    assert microseconds < 50, "10 on a quiet machine"
