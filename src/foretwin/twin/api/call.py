"""One call as every handler sees it, and the way from the framework to a handler and back.

A handler is a plain function that may wait for the store: it runs in a thread, so that the loop stays free.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from foretwin.contract.twin import Twin
from foretwin.errors import BadInput, NotFound, StoreAway, StoreError
from foretwin.project.contracts import RunningContracts
from foretwin.serving.access.authentication import ANYBODY, Caller, Guard
from foretwin.serving.access.keys import Scope, sufficient
from foretwin.serving.http.connections import recognise_caller
from foretwin.twin.api.bodies import read_body
from foretwin.twin.console.csv_rows import CSV_TYPE, write_csv
from foretwin.twin.console.sessions import Sessions
from foretwin.twin.outbox.feed import EventFeed
from foretwin.twin.store import Connection, Store, listing
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.listing import Page
from foretwin.twin.store.readiness import Readiness
from foretwin.twin.store.visibility import is_visible

if TYPE_CHECKING:
    from foretwin.twin.console.openid_connect import Provider
    from foretwin.twin.console.person_claims import ClaimRules

LONGEST_ACTOR = 200
UNNAMED = "http"  # who acts where nobody says
LARGEST_ID = 2**31 - 1
ONE = Page(1, 0, "id", descending=False)
WHOLE_FLEET = "whole fleets, and needs a key without --asset and --owner"
PLANT = "the whole plant, and needs a key without --twin, --asset and --owner"

# What a call is about, and so how it keeps to the bounds of a key: one asset, also one that is not known yet
# (newcomer), one case, one quarantined message, one twin; a list that its handler filters; figures of whole fleets, of
# which its handler shows those that it may; the whole plant; nothing that anybody could be bound to.
About: TypeAlias = Literal["asset", "newcomer", "case", "quarantined", "twin", "list", "fleets", "plant", "nothing"]
T = TypeVar("T")
READ_SECONDS = 10.0  # that a statement of a read may take; then it is ended, and the caller is told to ask for less
MOST_EXPORTS = 3  # copies of assets that are made at once
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
    contracts: RunningContracts
    body_bytes: int
    writes: Lane
    reads: Lane
    guard: Guard
    readiness: Readiness
    feed: EventFeed
    zone: tzinfo | None = None  # of the site's clock; None: this machine's
    sessions: Sessions = field(default_factory=Sessions)  # who is signed in to the pages
    provider: "tuple[Provider, ClaimRules] | None" = None  # where they sign in beside the keys
    exports: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(MOST_EXPORTS))


@dataclass(frozen=True)
class Call:
    """One call. `caller` holds the key, `actor` is who asks, for the audit; `now` is the moment at which it came in.

    `last_event` is what a stream of events told last before it broke off.
    """

    living: Living
    route: str
    path: Mapping[str, str]
    query: QueryParams
    body: bytes
    content_type: str
    caller: Caller
    actor: str
    now: datetime
    last_event: str | None = None
    as_csv: bool = False
    origin: str = ""  # scheme and host by which it was called

    @property
    def store(self) -> Store:
        """The store, whose reads are bounded in time."""
        return replace(self.living.store, read_seconds=READ_SECONDS)

    @property
    def asset(self) -> str:
        """The name of the asset that the path names."""
        return self.path["asset"]

    @property
    def contracts(self) -> dict[str, Twin]:
        """The contracts of the twins within the caller's bounds."""
        admit = self.caller.bounds.admit_twin
        return {name: contract for name, contract in self.living.contracts.items() if admit(name)}

    def check_newcomer(self, twin: str | None) -> None:
        """Forbidden where an asset that is not known yet would be outside of the caller's bounds: nobody owns it."""
        bounds = self.caller.bounds
        if bounds.owners or (bounds.twins and (twin is None or not bounds.admit_twin(twin))):
            self.caller.refuse()

    def check_kept(self, connection: Connection) -> None:
        """Forbidden where the asset, as it has just been described, has left the caller's bounds."""
        if not is_visible(connection, self.asset, self.caller.bounds):
            self.caller.refuse("its own asset, which it would put outside of that")

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
    handler: Handler,
    scope: Scope | None,
    about: About,
    accepts: Sequence[str] = (),
    takes_feed: bool = False,
    as_csv: bool = False,
) -> Callable[[Request], Awaitable[Response]]:
    """A route's end point: `handler` gets the call, with its body where it is of a type that the route accepts.

    Who calls needs a key with that scope, where there is one, and within whose bounds is what the call is `about`. All
    that needs no look into the store is found out before anything of the body is read. A route that `takes_feed` knows
    its caller by the token of a feed too; one `as_csv` answers so.
    """

    async def answer(request: Request) -> Response:
        living: Living = request.app.state.living
        header = request.headers.get("authorization")
        feed = request.query_params.get("feed") if takes_feed else None
        if feed is not None and header is None:
            caller = living.guard.admit_feed(feed, *sufficient(scope or "read"))
        else:
            caller = living.guard.admit(header, *sufficient(scope)) if scope else ANYBODY
        actor = _actor(request, caller)
        if scope:
            recognise_caller(request.scope)
        if "asset" in request.path_params:
            caller.check_name(request.path_params["asset"])
        body, kind = await read_body(request, living.body_bytes, accepts) if accepts else (b"", "")
        call = Call(
            living=living,
            route=request.url.path.removesuffix(".csv") if as_csv else request.url.path,
            path=request.path_params,
            query=request.query_params,
            body=body,
            content_type=kind,
            caller=caller,
            actor=actor,
            now=datetime.now(UTC),
            last_event=request.headers.get("last-event-id"),
            as_csv=as_csv,
            origin=f"{request.url.scheme}://{request.url.netloc}",
        )
        _check_texts(call)
        lane = living.reads if scope in READING else living.writes
        return await lane.run(_run, handler, call, about)

    return answer


def _run(handler: Handler, call: Call, about: About) -> Response:
    call.living.contracts.renew()
    try:
        if call.caller.bounds:
            _check_bounds(call, about)
        content = handler(call)
        if call.as_csv and isinstance(content, Mapping):
            return csv_response(content)
    except StoreAway as error:
        raise StoreAway(f"{call.route}: {error}") from error
    return content if isinstance(content, Response) else json_response(content)


def _check_bounds(call: Call, about: About) -> None:
    """Forbidden where what the call is about is outside of the caller's bounds; where it is not there, the same."""
    bounds = call.caller.bounds
    if about == "plant":
        call.caller.refuse(PLANT)
    if about in ("twin", "fleets") and not bounds.are_of_twins:
        call.caller.refuse(WHOLE_FLEET)
    if about == "twin":
        call.caller.check_twin(call.path["twin"])
    if about in ("asset", "newcomer", "case", "quarantined") and not _is_within(call, about):
        call.caller.refuse()


def _is_within(call: Call, about: About) -> bool:
    bounds = call.caller.bounds
    with call.store.read() as connection:
        if about == "case":
            return bool(listing.list_cases(connection, ONE, {"id": call.number("case")}, bounds))
        if about == "quarantined":
            return bool(listing.list_quarantine(connection, ONE, {"id": call.number("message")}, None, bounds))
        found = is_visible(connection, call.asset, bounds)
    if found is None:  # its name is admitted: what else binds the key nobody can tell
        return about == "newcomer" or not (bounds.twins or bounds.owners)
    return found


def csv_response(content: Mapping[str, Any]) -> Response:
    """The items of a list as CSV; the page that follows is named by the header Link, as `next` does in JSON."""
    before, mark, query = (content.get("next") or "").partition("?")
    link = {"Link": f'<{before}.csv{mark}{query}>; rel="next"'} if before else {}
    return Response(write_csv(content["items"]), headers={**link, "Content-Type": CSV_TYPE})


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


def _actor(request: Request, caller: Caller) -> str:
    """Who acts, for the audit: the key's name and behind it whom the caller names, without keys the latter alone."""
    headers = request.headers
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
