"""uvicorn's HTTP/1.1 with bounds on what a client may take: connections, time and bytes; problem+json for its refusals.

Everything here counts before any key is looked at, and after a refusal too: whoever sends slowly, sends on after his
answer, or does not read it, is closed, whatever the application does.
"""

import fcntl
import struct
import termios
from asyncio import AbstractEventLoop, TimerHandle, Transport
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from foretwin.serving.http.connections import KNOWN, STREAM, Connections, Place
from foretwin.serving.http.problems import PROBLEM, RETRY_AFTER, encode_problem

MOST_HEAD = 64 * 1024  # bytes of the first line and the headers; what is received at once is read before it counts
LEAST_SENT = 1024  # bytes of a body that buy their sender another second
LONGEST_BODY = 3  # times the patience that a whole body may take
LEAST_READ = 64 * 1024  # bytes of an answer that its reader must take within the patience
LINGER = 3.0  # seconds in which what a refused client still sends is dropped: most send their body before they read
DROPPED = 64 * 1024 * 1024  # bytes of it


class BoundedProtocol(HttpToolsProtocol):
    """One connection, which waits `patience` seconds for its client."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
        *,
        connections: Connections,
        patience: float,
    ) -> None:
        """As uvicorn calls it, with what all connections share."""
        super().__init__(config, server_state, app_state, _loop)
        self._connections = connections
        self._patience = patience
        self._place: Place | None = None
        self._outgoing: _Outgoing | None = None
        self._head: int | None = 0  # bytes of a head that is not complete; None while a body is read
        self._body = 0  # bytes that have come since the last head
        self._complete = True  # whether the last request has arrived as a whole
        self._keeps = True  # whether the connection may stay after it
        self._ending = False  # whether all is said, and what comes is dropped
        self._due: Callable[[], None] | None = None  # what happens at the deadline
        self._due_since = 0.0
        self._deadline: TimerHandle | None = None
        self._unsent = 0  # bytes that the client had not read when that was last looked at
        self._reading: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take a place, and start the deadline of the first head."""
        super().connection_made(transport)
        self._outgoing = _Outgoing(transport, self._end)
        self._place = self._connections.enter(self.client[0] if self.client else "", self._give_way)
        if self._place is None:
            self._say(503, "request", "there are too many connections, in all or from your address")
            self._close()
        else:
            self._await(self._refuse_head)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the place, stop the deadlines, and let go of all that holds this, which would wait for a collection."""
        self._await(None)
        self._stop_watching()
        if self._place:
            self._place.forget()
        super().connection_lost(exc)
        if self.cycle is not None:
            self.cycle.transport = self.transport
        self._place = self._outgoing = None

    def data_received(self, data: bytes) -> None:
        """Parse data; refuse a head that is too long, and set the deadline of what is not complete."""
        self._body += len(data)
        if self._ending or self._place is None:
            if self._body > DROPPED:
                self._close()
            return
        if self._head is not None:
            self._head += len(data)
        super().data_received(data)
        if self._head and self._head > MOST_HEAD:
            self._refuse(431, "request", f"its first line and headers are longer than {MOST_HEAD} bytes")
        self._expect()

    def on_headers_complete(self) -> None:
        """Begin the request. An answer that begins before the body is complete ends the connection."""
        self._head, self._body, self._complete = None, 0, False
        self._await(None)
        if self._place:
            cast(dict[str, Any], self.scope).update({KNOWN: self._place.recognise, STREAM: self._place.stream})
        super().on_headers_complete()
        self._keeps = self.cycle.keep_alive
        self.cycle.keep_alive = False
        self.cycle.transport = self._outgoing  # type: ignore[assignment]  # all that an answer needs of one

    def on_message_complete(self) -> None:
        """End the request: the connection may be kept, and is not to be closed before the answer."""
        self._head, self._complete = 0, True
        if not self.cycle.response_started:
            self.cycle.keep_alive = self._keeps
        if self._place:
            self._place.work()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request, unless this was the last."""
        if self._ending:
            self.server_state.total_requests += 1
            return
        super().on_response_complete()
        if self._place and self._is_idle():
            self._place.wait()
        self._expect()

    def pause_writing(self) -> None:
        """Watch whether the client reads its answer."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Stop watching; the answer goes on."""
        super().resume_writing()
        if self.transport.is_closing():
            return  # what is left is still to be read
        self._stop_watching()
        if self._place and not self._is_idle():
            self._place.work()

    def shutdown(self) -> None:
        """End after the answer that is under way; a stream is ended, since it would never be."""
        self._keeps = False
        if self._place:
            self._place.end_stream()
        super().shutdown()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that has been idle for long."""
        self._close()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words
        """Refuse what is not HTTP."""
        self._refuse(400, "request", "is not HTTP/1.1 that can be read")

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _expect(self) -> None:
        """Set the deadline of what the client has begun: a body, a head, or nothing."""
        if self._ending or self.transport.is_closing():
            return
        if not self._complete:
            self._await(self._check_body)
        else:
            self._await(self._refuse_head if self._head and self._is_idle() else None)

    def _await(self, due: Callable[[], None] | None, seconds: float | None = None) -> None:
        """Let `due` happen after the patience, or `seconds`; one that is set already keeps its time."""
        if due == self._due and seconds is None:
            return
        if self._deadline is not None:
            self._deadline.cancel()
        if due != self._due:
            self._due, self._due_since = due, self.loop.time()
        self._deadline = self.loop.call_later(self._patience if seconds is None else seconds, due) if due else None

    def _refuse_head(self) -> None:
        if self._head:
            self._refuse(408, "request", f"its first line and headers did not arrive within {self._patience:g} seconds")
        else:
            self._close()

    def _check_body(self) -> None:
        """Refuse a body whose time is over: each of its bytes has bought some more, up to a limit."""
        allowed = min(self._patience + self._body / LEAST_SENT, LONGEST_BODY * self._patience)
        left = self._due_since + allowed - self.loop.time()
        if self.flow.read_paused:  # the application has not taken what there is; the client is not to blame
            left = max(left, 1.0)
        if left > 0:
            self._await(self._check_body, left)
        else:
            self._refuse(408, "timeout", f"the body came too slowly: {self._body} bytes in {allowed:.0f} seconds")

    def _refuse(self, status: int, field: str, reason: str) -> None:
        """Answer in the place of the application, and end."""
        if self.transport.is_closing() or self._ending:
            return
        if self._is_idle() or not (self.cycle.response_started or self.pipeline):
            self._say(status, field, reason)
            self._disconnect()
            self._linger()
        else:
            self.transport.abort()  # in the middle of another answer there is nothing to say

    def _say(self, status: int, field: str, reason: str) -> None:
        body = encode_problem(status, field, reason)
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: {PROBLEM}\r\n"
        head += f"retry-after: {RETRY_AFTER}\r\n" if status == 503 else ""
        head += f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode("ascii") + body)

    def _give_way(self) -> None:
        """Close at once, for another connection."""
        if self.transport.is_closing() or self._ending or self.transport.get_write_buffer_size():
            self.transport.abort()
            return
        if self._head or not self._complete:
            self._say(503, "request", "is slower than others, and there are too many connections; send it again")
        self._disconnect()
        self._close()

    def _disconnect(self) -> None:
        """Tell the application that nobody hears its answer any more."""
        if not self._is_idle():
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _end(self) -> None:
        """End after an answer: at once, or when the client has had time to read it while it still sends."""
        if self._complete:
            self._close()
        else:
            self._linger()

    def _linger(self) -> None:
        if self.transport.is_closing():
            return
        self._ending = True
        self._body = 0
        self._unset_keepalive_if_required()
        if self.transport.can_write_eof():  # TLS cannot end one direction alone
            self.transport.write_eof()
        self.flow.resume_reading()
        if self._place:
            self._place.wait()
        self._await(self._close, min(LINGER, self._patience))

    def _close(self) -> None:
        """Close, once what was said has been read; its reader has as long as any other."""
        if not self.transport.is_closing():
            self._await(None)
            self.transport.close()
            if self.transport.get_write_buffer_size():
                self._watch()

    def _watch(self) -> None:
        """Begin to look whether the client takes what is written."""
        if self._reading is None:
            self._unsent = self._left_to_read()
            self._reading = self.loop.call_later(self._patience, self._check_reading)
            if self._place:
                self._place.wait()

    def _check_reading(self) -> None:
        left = self._left_to_read()
        if left > self._unsent - LEAST_READ:
            self.transport.abort()
            return
        self._unsent = left
        self._reading = self.loop.call_later(self._patience, self._check_reading)

    def _left_to_read(self) -> int:
        """Bytes that the client has not acknowledged: ours and the kernel's, which takes megabytes at a time."""
        kernel = bytearray(4)
        fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, kernel)
        return int(self.transport.get_write_buffer_size()) + int(struct.unpack("i", kernel)[0])

    def _stop_watching(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None


class _Outgoing:
    """The transport as an answer sees it; its end is the connection's, which may have to wait for the client."""

    def __init__(self, transport: Transport, end: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = end
