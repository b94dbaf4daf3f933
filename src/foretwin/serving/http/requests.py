"""Per-request logging: id, outcome, duration."""

import logging
import re
import secrets
from collections.abc import Callable
from contextvars import ContextVar
from time import monotonic, perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from foretwin.project.settings import read_choice

HEADER = b"x-request-id"
SLOW = 1.0  # seconds from which on a call is worth a line of the log
REFUSED_TOLD = 20  # refused calls that have a line each within a second; of the others the next one tells how many
UNKNOWN_ROUTE = "unknown"
EVENT_STREAM = b"text/event-stream"
FIELD = "foretwin.field"  # the key of an ASGI scope under which a refusal leaves what was wrong

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)  # of the call that is being answered

logger = logging.getLogger("foretwin.http")

_ACCEPTED = re.compile(rb"[A-Za-z0-9._-]{1,64}").fullmatch


class Observed:
    """Gives every request an id, reports its outcome, and logs those that failed or were slow.

    The id is the call's X-Request-ID where that is 1 to 64 of `A-Za-z0-9._-`, else a new one; it goes back with every
    answer and stands in every line that is logged meanwhile. It is to be the outermost layer, so that the answer to an
    unexpected error carries it too. FORETWIN_LOG_REQUESTS=all logs every call; else of many that are refused within a
    second, as a flood of them is, only the first have a line.
    """

    def __init__(
        self,
        app: ASGIApp,
        on_done: Callable[[str, str, int, float], None],
        on_refused: Callable[[str, int, str], None] = lambda *_: None,
        on_begun: Callable[[], None] = lambda: None,
    ) -> None:
        """Wrap an application; `on_done` gets the route's template (or "unknown"), method, status and seconds.

        `on_refused` hears route, status and the field of a problem. ParamsError where FORETWIN_LOG_REQUESTS is
        something else than `all`.
        """
        self.app = app
        self._on_done = on_done
        self._on_refused = on_refused
        self._on_begun = on_begun
        self._logged_from = 0.0 if _log_all() else SLOW
        self._refusals = _Refusals()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI call."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = perf_counter()
        name = _request_id(scope["headers"])
        # It is not taken back: each call has a context of its own, and the server logs an unexpected error after this.
        REQUEST_ID.set(name.decode("ascii"))
        status = 500  # of a call that ends without an answer
        until_stream: float | None = None  # of a stream: until it began, since its reader decides how long it lasts

        async def send_named(message: Message) -> None:
            nonlocal status, until_stream
            if message["type"] == "http.response.start":
                status = message["status"]
                if _is_stream(message):
                    until_stream = perf_counter() - begun
                message["headers"] = [*message.get("headers", ()), (HEADER, name)]
            await send(message)

        self._on_begun()
        try:
            await self.app(scope, receive, send_named)
        finally:
            seconds = perf_counter() - begun if until_stream is None else until_stream
            route = getattr(scope.get("route"), "path", UNKNOWN_ROUTE)
            self._on_done(route, scope["method"], status, seconds)
            if FIELD in scope:
                self._on_refused(route, status, scope[FIELD])
            if status >= 500 or seconds >= self._logged_from or (status >= 400 and self._refusals.may_tell()):
                _log(scope, route, status, seconds)


class _Refusals:
    """How many refused calls have had a line within this second, and how many have had none."""

    def __init__(self) -> None:
        self._second = 0
        self._told = self._untold = 0

    def may_tell(self) -> bool:
        """Whether another one may have a line; first tells of those that had none in an earlier second."""
        now = int(monotonic())
        if now != self._second:
            if self._untold:
                logger.warning("%d more calls were refused within a second", self._untold)
            self._second, self._told, self._untold = now, 0, 0
        self._told += 1
        self._untold += self._told > REFUSED_TOLD
        return self._told <= REFUSED_TOLD


def _is_stream(start: Message) -> bool:
    return any(name == b"content-type" and value.startswith(EVENT_STREAM) for name, value in start.get("headers", ()))


def _log(scope: Scope, route: str, status: int, seconds: float) -> None:
    level = logging.ERROR if status >= 500 else logging.WARNING if seconds >= SLOW else logging.INFO
    method, path = scope["method"], scope["path"][:200]
    fields = {"method": method, "path": path, "route": route, "status": status, "seconds": round(seconds, 6)}
    if FIELD in scope:
        fields["field"] = scope[FIELD]
    logger.log(level, "%s %s: %d", method, path, status, extra=fields)


def _request_id(headers: list[tuple[bytes, bytes]]) -> bytes:
    for name, value in headers:
        if name == HEADER and _ACCEPTED(value):
            return value
    return secrets.token_hex(8).encode("ascii")


def _log_all() -> bool:
    return read_choice("FORETWIN_LOG_REQUESTS") == "all"
