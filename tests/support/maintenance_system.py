"""Maintenance systems on loopback: each answers as its maker's public documentation says, and keeps its orders.

One server for all five, told apart by their paths; it can take an order and never say so.
"""

import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

SECRET = "rosebud"  # noqa: S105 - of a server of the tests
REFERENCE = re.compile(r"foretwin-[a-z0-9-]+-\d+ ?")


def sap(number: str | None) -> dict:
    return {"d": {"results": [{"MaintenanceNotification": number}] if number else []}}


def maximo(number: str | None) -> dict:
    return {"member": [{"wonum": number}] if number else []}


def cmdbuild(number: str | None) -> dict:
    return {"data": [{"_id": number}] if number else []}


def atlas(number: str | None) -> dict:
    return {"content": [{"id": int(number)}] if number else []}


ANSWERS = {  # first step of the path -> the answer to who asks for an order, and to who makes one
    "sap": (sap, lambda number: {"d": {"MaintenanceNotification": number}}),
    "maximo": (maximo, lambda number: {"wonum": number}),
    "json": (lambda number: [int(number)] if number else [], lambda number: [int(number)]),
    "cmdbuild": (cmdbuild, lambda number: {"data": {"_id": number}}),
    "work-orders": (atlas, lambda number: {"id": int(number)}),
}


@dataclass
class MaintenanceSystem:
    """`orders` are the bodies that made one; `swallows`: an order is taken, and the caller never hears of it."""

    orders: list[dict] = field(default_factory=list)
    updates: list[tuple[str, dict]] = field(default_factory=list)
    headers: list[dict] = field(default_factory=list)
    finds: int = 0
    swallows: bool = False
    asks_to_sign_in: bool = False  # with a page, as a proxy does
    refuses: int = 0  # calls that are answered 503 first
    release: threading.Event = field(default_factory=threading.Event)
    server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def start(self) -> "MaintenanceSystem":
        system = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                system.handle(self)

            do_POST = do_PATCH = do_GET  # noqa: N815 - as the library calls them

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        self.release.set()
        self.server.shutdown()
        self.server.server_close()

    def handle(self, call: BaseHTTPRequestHandler) -> None:
        raw = call.rfile.read(int(call.headers.get("content-length", 0)))
        body, parts = json.loads(raw or b"null"), urlsplit(call.path)
        self.headers.append({name.lower(): value for name, value in call.headers.items()})
        if self.refuses:
            self.refuses -= 1
            reply(call, 503, {})
            return
        if self.asks_to_sign_in:
            reply(call, 200, "<html>")
            return
        status, answer, headers = self.answer(call.command, parts.path, dict(parse_qsl(parts.query)), body)
        reply(call, status, answer, headers)

    def answer(self, method: str, path: str, query: dict, body) -> tuple[int, object, dict]:
        system = path.split("/")[1]
        if path.endswith("/sessions"):
            return (401, {}, {}) if body["password"] != SECRET else (200, {"data": {"_id": "session-1"}}, {})
        if path.endswith("API_MAINTNOTIFICATION/"):
            return 200, {}, {"x-csrf-token": "token-1"}
        found, made = ANSWERS[system]
        if is_find(method, path, query):
            self.finds += 1
            return 200, found(self.number_of(REFERENCE.search(json.dumps([query, body]))[0])), {}
        if is_update(method, path, self.headers[-1]):
            self.updates.append((path, body))
            return (204 if system == "sap" else 200), None, {}
        self.orders.append(body)
        if self.swallows:
            self.release.wait(60)
        return 201, made(str(1000 + len(self.orders))), {}

    def number_of(self, reference: str) -> str | None:
        numbers = [i for i, body in enumerate(self.orders, 1001) if reference in json.dumps(body)]
        return str(numbers[0]) if numbers else None


def is_find(method: str, path: str, query: dict) -> bool:
    return method == "GET" or path.endswith("/search")


def is_update(method: str, path: str, headers: dict) -> bool:
    return method == "PATCH" or path.endswith("/write") or headers.get("x-method-override") == "SYNC"


def reply(call: BaseHTTPRequestHandler, status: int, answer: object, headers: dict | None = None) -> None:
    call.send_response(status)
    for name, value in (headers or {}).items():
        call.send_header(name, value)
    body = b"" if answer is None else answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
    call.send_header("content-length", str(len(body)))
    call.end_headers()
    call.wfile.write(body)
