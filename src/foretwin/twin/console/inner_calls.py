"""Calls of our own API without a network, as whoever looks at a page: his key decides what they may."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

KEPT = ("host",)  # of the page's own headers: whether it is this machine's is asked again
JSON = "application/json"
LOOK = 15.0  # s between two looks at whether somebody who follows a stream may still do so
DROPPED = ("route", "endpoint", "path_params", "starlette.exception_handlers")


class Refused(Exception):
    """What the API refused: its status, the field at fault, and the reason."""

    def __init__(self, status: int, field: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.field, self.detail = status, field, detail


class InnerCalls:
    """Calls of the application that answers `request`, each with these headers."""

    def __init__(self, request: Request, headers: Mapping[str, str]) -> None:
        self._request = request
        kept = {name: request.headers[name] for name in KEPT if name in request.headers}
        self._headers = [(name.encode(), value.encode("latin-1")) for name, value in {**kept, **headers}.items()]

    async def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """Return what a GET answers; Refused where it is refused. `path` is not percent-encoded."""
        return orjson.loads(await self.get_bytes(path, query))

    async def get_bytes(self, path: str, query: Mapping[str, Any] | None = None) -> bytes:
        """Return the body that a GET answers, as it is."""
        return await self._call("GET", path, urlencode(query or {}), b"", JSON)

    async def post(self, path: str, content: Mapping[str, Any]) -> Any:
        """Return what a POST of a JSON object answers; Refused where it is refused."""
        return await self.post_bytes(path, orjson.dumps(content), JSON)

    async def post_bytes(self, path: str, body: bytes, kind: str, query: Mapping[str, Any] | None = None) -> Any:
        """Return what a POST of such content answers; Refused where it is refused."""
        return orjson.loads(await self._call("POST", path, urlencode(query or {}), body, kind))

    def follow(self, path: str, query: Mapping[str, str], may_go_on: Callable[[], bool]) -> Response:
        """Return what a GET answers as a stream, which ends soon after `may_go_on` is no longer true."""
        return _Followed(self._request, self._scope("GET", path, urlencode(query), []), may_go_on)

    def _scope(self, method: str, path: str, query: str, more: list[tuple[bytes, bytes]]) -> dict[str, Any]:
        scope = {name: value for name, value in self._request.scope.items() if name not in DROPPED}
        headers = [*self._headers, *more]
        place = {"method": method, "path": path, "raw_path": None, "query_string": query.encode()}
        return scope | place | {"headers": headers}

    async def _call(self, method: str, path: str, query: str, body: bytes, kind: str) -> bytes:
        more = [(b"content-type", kind.encode("latin-1")), (b"content-length", b"%d" % len(body))]
        told = _Told(body)
        await self._request.app(self._scope(method, path, query, more), told.receive, told.send)
        if told.status >= 400:
            raise _refusal(told.status, told.content)
        return told.content


class _Followed(Response):
    """The answer of an inner call, sent on while it is made."""

    def __init__(self, request: Request, inner: dict[str, Any], may_go_on: Callable[[], bool]) -> None:
        super().__init__()
        self._request, self._inner, self._may_go_on = request, inner, may_go_on

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        left: asyncio.Future[Message] | None = None

        async def until_over() -> Message:
            nonlocal left
            left = left or asyncio.ensure_future(receive())
            while not left.done() and self._may_go_on():
                await asyncio.wait([left], timeout=LOOK)
            if not left.done():
                return {"type": "http.disconnect"}
            told, left = left.result(), None
            return told

        try:
            await self._request.app(self._inner, until_over, send)
        finally:
            if left is not None:
                left.cancel()


class _Told:
    """The two ends of one ASGI call."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.status, self.content = 0, b""

    async def receive(self) -> Message:
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def send(self, message: Message) -> None:
        self.status = message.get("status", self.status)
        self.content += message.get("body", b"")


def _refusal(status: int, content: bytes) -> Refused:
    problem = orjson.loads(content)
    field, detail = problem["field"], problem["detail"]
    return Refused(status, field, detail.removeprefix(f"{field}: "))
