"""Error responses: every status from 400 on is application/problem+json (RFC 9457) with the `field` at fault."""

import logging
from http import HTTPStatus
from math import ceil

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from foretwin.errors import (
    BadInput,
    Conflict,
    Forbidden,
    ForetwinError,
    NotAcceptable,
    NotFound,
    RegistryError,
    StoreAway,
    StoreError,
    TooLarge,
    TooMany,
    Unauthorized,
    UnknownTwin,
)
from foretwin.serving.http.requests import FIELD

PROBLEM = "application/problem+json"
RETRY_AFTER = 5  # seconds until a store that is away may be asked again
FIELDS = {"body": 400, "Content-Type": 415, "Content-Encoding": 415, "Host": 403, "Origin": 403, "timeout": 408}
FULL = ("full", "No space left")  # how SQLite and PostgreSQL say it

KINDS: dict[type[BadInput], int] = {
    UnknownTwin: 404,
    NotFound: 404,
    NotAcceptable: 406,
    Conflict: 409,
    TooLarge: 413,
    Unauthorized: 401,
    Forbidden: 403,
    TooMany: 429,
}

logger = logging.getLogger("foretwin.http")


async def refuse(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    """Answer a deliberate error."""
    if isinstance(error, BadInput):
        return Problem(_status(error), error.field, error.reason, _headers(error))
    if isinstance(error, StoreAway):
        logger.warning("%s", error)
        return Problem(503, "store", str(error), {"Retry-After": str(RETRY_AFTER)})
    if isinstance(error, StoreError):
        logger.error("%s", error)
        return Problem(507 if any(sign in str(error) for sign in FULL) else 500, "store", str(error))
    if isinstance(error, RegistryError):
        return Problem(409, "model", str(error))
    logger.error("%s", error)
    return Problem(500, "service", str(error))


async def refuse_framework(request: Request, error: Exception) -> Response:
    """Answer the framework's own errors (unknown route, wrong method) in the same form."""
    assert isinstance(error, HTTPException)  # noqa: S101 - by the handler's registration
    if error.status_code == 404:
        return Problem(404, "path", "is not a route of this service; GET / lists them")
    if error.status_code == 405:
        return Problem(405, "method", f"{request.method} is not allowed here", dict(error.headers or {}))
    return Problem(error.status_code, "request", error.detail)


async def refuse_unexpected(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Answer an unexpected error without details; Starlette raises it again, so that the server logs it."""
    if isinstance(error, ClientDisconnect):
        return Problem(400, "body", "the connection ended before it was complete")
    # The server closes the connection after an error that nobody caught, and says so only if we do.
    return Problem(500, "service", "failed on this call; its log says why", {"Connection": "close"})


class Problem(Response):
    """A problem response that leaves its field for `Observed`."""

    media_type = PROBLEM

    def __init__(self, status: int, field: str, reason: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(encode_problem(status, field, reason), status, headers)
        self.field = field

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send one ASGI response."""
        scope[FIELD] = self.field
        await super().__call__(scope, receive, send)


def encode_problem(status: int, field: str, reason: str) -> bytes:
    """Encode an error as application/problem+json (RFC 9457); `field` locates the fault."""
    title = HTTPStatus(status).phrase
    detail = f"{field}: {reason}"
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail, "field": field}
    # A key of the call may hold half a surrogate pair, which is no text that could be sent back.
    return orjson.dumps({k: _sendable(v) if isinstance(v, str) else v for k, v in content.items()})


HANDLERS = {
    ForetwinError: refuse,
    HTTPException: refuse_framework,
    ClientDisconnect: refuse_unexpected,
    Exception: refuse_unexpected,
}


def _status(error: BadInput) -> int:
    return KINDS.get(type(error)) or FIELDS.get(error.field, 422)


def _headers(error: BadInput) -> dict[str, str] | None:
    if isinstance(error, Unauthorized):
        return {"WWW-Authenticate": "Bearer"}
    return {"Retry-After": str(ceil(error.retry_after))} if isinstance(error, TooMany) else None


def _sendable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
