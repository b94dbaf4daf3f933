"""Answers that are made while they are read: events as they happen, and the copy of an asset.

Events come as server-sent events, which a browser's EventSource reads too.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Generator, Iterator, MutableMapping
from dataclasses import replace
from threading import BoundedSemaphore
from typing import Any
from urllib.parse import quote

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from foretwin.errors import BadInput, Forbidden, StoreAway, StoreError, TooMany, Unauthorized
from foretwin.serving.http.connections import STREAM
from foretwin.serving.http.problems import RETRY_AFTER, Problem
from foretwin.twin.api.call import MOST_EXPORTS, Call
from foretwin.twin.api.paging import read_query, text, truth
from foretwin.twin.outbox.cloud_events import as_cloud_event
from foretwin.twin.store.casework.event_places import events_between, number_of

EVENT_STREAM = "text/event-stream"
PAUSE = 1.0  # s between two looks
BEAT = 15.0  # s after which a comment says that the stream still stands, and the key is looked at again
AT_ONCE = 100  # events in one look of one stream
AGAIN_MS = 3000  # after which a browser connects again
LAST, AFTER = "Last-Event-ID", "after"
EVENTS = {"twin": text, AFTER: text, "wait": truth}

logger = logging.getLogger("foretwin.http")


def get_event_stream(call: Call) -> "EventStream":
    """GET /v1/events: events as they happen, as server-sent events; `after` one or `Last-Event-ID` none is missed."""
    given = read_query(call.query, EVENTS)
    last = call.last_event or given.get(AFTER)
    if last is not None and not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", last):
        raise BadInput(LAST if call.last_event else AFTER, "is no id of an event; take it from the stream as it is")
    with call.store.read() as connection:
        settled = call.living.feed.look(connection)
        place = settled if last is None else min(settled, number_of(connection, last))
    return EventStream(call, place, given.get("twin"), given.get("wait", True))


class EventStream(Response):
    """An answer that goes on until its client leaves, its key no longer counts, or the service ends."""

    media_type = EVENT_STREAM

    def __init__(self, call: Call, place: int, twin: str | None, wait: bool) -> None:
        """`place` is the number of the last event that the client knows; without `wait` it ends with the present."""
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Connection": "close"}
        super().__init__(b"", 200, headers)
        del self.headers["content-length"]
        self._call, self._place, self._twin, self._wait = call, place, twin, wait

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it as long as there is somebody who reads."""
        gone = asyncio.ensure_future(_gone(receive))
        try:
            if not _begin(scope, gone.cancel):
                reason = "there are too many streams, in all or from your address"
                await Problem(503, "request", reason, {"Retry-After": str(RETRY_AFTER)})(scope, receive, send)
                return
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if scope["method"] != "HEAD":
                await self._go_on(Request(scope), gone, send)
            await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()

    async def _go_on(self, request: Request, gone: "asyncio.Future[None]", send: Send) -> None:
        clock = asyncio.get_running_loop().time
        said, beat = f"retry: {AGAIN_MS}\n\n".encode(), clock() + BEAT
        while not gone.done():
            if said:
                await send({"type": "http.response.body", "body": said, "more_body": True})
            said, full = await self._news()
            if clock() >= beat:
                if not self._still_counts(request):
                    return
                said, beat = said or b":\n\n", clock() + BEAT
            if full:
                continue
            if not self._wait:
                await send({"type": "http.response.body", "body": said, "more_body": True})
                return
            if not said:
                await asyncio.wait([gone], timeout=PAUSE)

    async def _news(self) -> tuple[bytes, bool]:
        """Return what is to be said of the next events, and whether there are more of them."""
        try:
            found, place = await self._call.living.reads.run(self._read)
        except StoreError as error:  # they are there when the store is again
            logger.warning("%s: %s", self._call.route, error)
            return b"", False
        self._place = place
        return b"".join(found), len(found) == AT_ONCE

    def _read(self) -> tuple[list[bytes], int]:
        """Read the next events, and the place after them."""
        call = self._call
        with call.store.read() as connection:
            settled = call.living.feed.look(connection)
            if settled <= self._place:
                return [], self._place
            bounds = call.caller.bounds
            found = events_between(connection, self._place, settled, bounds, self._twin, AT_ONCE)
        place = found[-1][0] if len(found) == AT_ONCE else settled
        return [_message(as_cloud_event(event)) for _, event in found], place

    def _still_counts(self, request: Request) -> bool:
        """Whether the key does; what it may see now is what the stream shows from here on."""
        try:
            caller = self._call.living.guard.admit(request.headers.get("authorization"), "read")
        except TooMany:
            return True
        except (Unauthorized, Forbidden):
            return False
        self._call = replace(self._call, caller=caller)
        return True


def _message(event: dict[str, Any]) -> bytes:
    return f"id: {event['id']}\nevent: {event['type']}\ndata: ".encode() + orjson.dumps(event) + b"\n\n"


def _begin(scope: MutableMapping[str, Any], end: Callable[[], object]) -> bool:
    """Whether the connection may be a stream, which the server ends with `end`; elsewhere nobody counts."""
    begin = scope.get(STREAM)
    return begin is None or bool(begin(end, scope["client"][0] if scope.get("client") else ""))


async def _gone(receive: Receive) -> None:
    """Wait until the client has left; a call without a network never tells."""
    for _ in range(2):  # first comes the body, which is empty
        if (await receive())["type"] == "http.disconnect":
            return
    await asyncio.Event().wait()


class ExportStream(Response):
    """A file of which the first piece is there; the others are made as fast as the client reads.

    So neither memory nor disk holds it. Each keeps a connection to the store, and one of its states.
    """

    media_type = "application/zip"

    def __init__(self, call: Call, pieces: Iterator[bytes], name: str, seconds: float) -> None:
        """`seconds` is how long it may take in all. StoreAway where there are too many already."""
        self._pieces = _counted(call.living.exports, pieces)
        self._first = next(self._pieces)
        super().__init__(b"", 200, {"Content-Disposition": f"attachment; filename*=utf-8''{quote(name, safe='')}"})
        del self.headers["content-length"]
        self._call, self._seconds = call, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the pieces; where one cannot be made the answer has no end, by which its reader sees it."""
        clock, gone = asyncio.get_running_loop().time, asyncio.ensure_future(_gone(receive))
        piece, last = self._first if scope["method"] != "HEAD" else b"", clock() + self._seconds
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while piece and not gone.done():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                if clock() > last:
                    raise StoreAway(f"it took longer than {self._seconds:g} s")
                piece = await self._call.living.reads.run(next, self._pieces, b"")
            await send({"type": "http.response.body", "body": b""})
        except StoreError as error:
            logger.warning("%s: broken off: %s", self._call.route, error)
        finally:
            gone.cancel()
            await asyncio.to_thread(self._pieces.close)


def _counted(exports: BoundedSemaphore, pieces: Iterator[bytes]) -> Generator[bytes, None, None]:
    """Yield the pieces, with what counts them as one of those under way until the last, or until it is closed."""
    if not exports.acquire(blocking=False):
        raise StoreAway(f"{MOST_EXPORTS} copies of assets are made already; ask again later")
    try:
        yield from pieces
    finally:
        exports.release()
