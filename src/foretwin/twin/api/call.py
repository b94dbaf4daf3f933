"""One call as every handler sees it, and the way from the framework to a handler and back.

A handler is a plain function that may wait for the store: it runs in a thread, so that the loop stays free.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from foretwin.contract.twin import Twin
from foretwin.errors import BadInput, NotFound, StoreAway, StoreError
from foretwin.serving.access.authentication import ANYBODY, Guard
from foretwin.serving.access.keys import Scope
from foretwin.twin.api.bodies import read_body
from foretwin.twin.store import Store
from foretwin.twin.store.assets import Asset

LONGEST_ACTOR = 200
UNNAMED = "http"  # who acts where nobody says
LARGEST_ID = 2**31 - 1
T = TypeVar("T")
READ_SECONDS = 10.0  # that a statement of a read may take; then it is ended, and the caller is told to ask for less
READING: tuple[Scope, ...] = ("read", "score")  # scopes of calls that change nothing


class Lane:
    """A few threads with a queue of their own: what is written never queues behind what is read.

    StoreAway where more calls than `most` are under way or wait.
    """

    def __init__(self, name: str, threads: int, most: int) -> None:
        self.name, self.most, self.under_way = name, most, 0
        self._threads = ThreadPoolExecutor(threads, f"live-{name}")

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Run the function in a thread of the lane and return its result."""
        if self.under_way >= self.most:
            raise StoreAway(f"{self.under_way} {self.name} are waited for already; ask again later")
        self.under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        finally:
            self.under_way -= 1


@dataclass(frozen=True)
class Living:
    """What the application works with; handlers run in the lanes `writes` and `reads`, `guard` says who may call."""

    store: Store
    root: Path
    contracts: Mapping[str, Twin]
    body_bytes: int
    writes: Lane
    reads: Lane
    guard: Guard


@dataclass(frozen=True)
class Call:
    """One call. `actor` is who asks, for the audit; `now` is the moment at which it came in."""

    living: Living
    route: str
    path: Mapping[str, str]
    query: QueryParams
    body: bytes
    content_type: str
    actor: str
    now: datetime

    @property
    def store(self) -> Store:
        """The store, whose reads are bounded in time."""
        return replace(self.living.store, read_seconds=READ_SECONDS)

    @property
    def asset(self) -> str:
        """The name of the asset that the path names."""
        return self.path["asset"]

    def number(self, name: str) -> int:
        """A number of the path; NotFound for what can be none."""
        text = self.path[name]
        if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) > LARGEST_ID:
            raise NotFound(name, f'"{text[:60]}" is not there; its numbers are whole ones')
        return int(text)

    def contract_of(self, asset: Asset) -> Twin:
        """The contract of an asset's twin; NotFound where it has been removed since."""
        if asset.twin not in self.living.contracts:
            raise NotFound("twin", f"{asset.twin} has no contract here; data/{asset.twin}/twin.yaml is missing")
        return self.living.contracts[asset.twin]


Handler = Callable[[Call], Any]


def endpoint(
    handler: Handler, scope: Scope | None, accepts: Sequence[str] = ()
) -> Callable[[Request], Awaitable[Response]]:
    """A route's end point: `handler` gets the call, with its body where it is of a type that the route accepts.

    Who calls needs a key with that scope, where there is one; that is found out before anything of the body is read.
    """

    async def answer(request: Request) -> Response:
        living: Living = request.app.state.living
        actor = _actor(request, living.guard, scope)
        body, kind = await read_body(request, living.body_bytes, accepts) if accepts else (b"", "")
        call = Call(
            living=living,
            route=request.url.path,
            path=request.path_params,
            query=request.query_params,
            body=body,
            content_type=kind,
            actor=actor,
            now=datetime.now(UTC),
        )
        _check_texts(call)
        lane = living.reads if scope in READING else living.writes
        return await lane.run(_run, handler, call)

    return answer


def _run(handler: Handler, call: Call) -> Response:
    try:
        content = handler(call)
    except StoreAway as error:
        raise StoreAway(f"{call.route}: {error}") from error
    return content if isinstance(content, Response) else json_response(content)


def json_response(content: Any) -> Response:
    """JSON; StoreError for a number that is none, which would leave as a null that nobody meant."""
    _check_finite(content)
    body = orjson.dumps(content, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)
    return Response(body, media_type="application/json")


def _check_finite(content: Any) -> None:
    if isinstance(content, float):
        if not math.isfinite(content):
            raise StoreError("the answer holds a number that is not finite; look at the readings and scores it is of")
    elif isinstance(content, Mapping):
        for value in content.values():
            _check_finite(value)
    elif isinstance(content, list | tuple):
        for value in content:
            _check_finite(value)


def _actor(request: Request, guard: Guard, scope: Scope | None) -> str:
    """Who acts, for the audit: the key's name and behind it whom the caller names, without keys the latter alone."""
    headers = request.headers
    caller = guard.admit(headers.get("authorization"), scope) if scope else ANYBODY
    if "x-actor" not in headers:
        return UNNAMED if caller is ANYBODY else caller.name
    named = headers["x-actor"].strip()
    if not 0 < len(named) <= LONGEST_ACTOR or not named.isprintable():
        raise BadInput("X-Actor", f"is no name of 1 to {LONGEST_ACTOR} printable characters")
    return named if caller is ANYBODY else f"{caller.name}/{named}"


def _check_texts(call: Call) -> None:
    """PostgreSQL holds no NUL, so that nothing there could have such a name."""
    for name, value in [*call.path.items(), *call.query.multi_items()]:
        if "\0" in value or "\0" in name:
            raise BadInput(name.replace("\0", "?")[:60], "holds the character NUL, which no text here may")
