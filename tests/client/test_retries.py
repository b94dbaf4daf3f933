"""When a call is sent again, and when not: a server that is busy, fails, or hangs up."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import foretwin
from foretwin.client import exchange
from foretwin.errors import BadInput, ServiceError, TooMany
from foretwin.project.loops import Backoff

BUSY = b'{"field": "service", "detail": "service: is busy", "status": 503}'


@contextmanager
def server(*turns):
    """The URL of a server that takes these turns, the last for ever: a status, or None to hang up."""
    calls = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            turn = turns[min(len(calls), len(turns) - 1)]
            calls.append(self.command)
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if turn is None:
                self.close_connection = True
                return
            content = b"{}" if turn == 200 else BUSY
            self.send_response(turn)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self):
            self.do_GET()

        def log_message(self, *arguments):
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}", calls
    finally:
        http.shutdown()
        http.server_close()
        thread.join(10)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(exchange, "PAUSES", Backoff(0.001, 0.001))


@pytest.mark.parametrize("turn", [503, 429, None])
def test_what_only_reads_is_asked_again(turn):
    with server(turn, turn, 200) as (url, calls), foretwin.Client(url) as client:
        assert client.case(1) == {}
    assert len(calls) == 3


@pytest.mark.parametrize("turn", [503, None, 500])
def test_what_changes_a_case_is_sent_once(turn):
    with server(turn, 200) as (url, calls), foretwin.Client(url) as client:
        with pytest.raises(ServiceError):
            client.give_verdict(1, "confirmed")
        assert len(calls) == 1


def test_a_call_that_was_not_taken_at_all_is_sent_again_whatever_it_does():
    with server(429, 200) as (url, calls), foretwin.Client(url) as client:
        assert client.give_verdict(1, "confirmed") == {}
    assert len(calls) == 2


@pytest.mark.parametrize(("turn", "error"), [(503, ServiceError), (429, TooMany), (None, ServiceError)])
def test_it_is_given_up_after_four_attempts(turn, error):
    with server(turn) as (url, calls), foretwin.Client(url) as client:
        with pytest.raises(error):
            client.case(1)
        assert len(calls) == exchange.TRIES == 4


def test_the_answer_of_something_else_is_named_as_such(monkeypatch):
    monkeypatch.setattr(f"{__name__}.BUSY", b"<html>not found</html>")
    with server(404) as (url, _), foretwin.Client(url) as client, pytest.raises(BadInput, match="no Foretwin service"):
        client.case(1)
