"""uvicorn's HTTP/1.1 with bounds on a request's head, and problem+json for its refusals.

The head is what comes before any key can be looked at: without a bound anybody could fill the memory with headers, or
hold connections open with heads that never end.
"""

from asyncio import TimerHandle, Transport
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from foretwin.serving.http.problems import PROBLEM, encode_problem

MOST_HEAD = 64 * 1024  # bytes of the first line and the headers; what is received at once is read before it counts
PATIENCE = 20.0  # seconds for a head to arrive


class BoundedProtocol(HttpToolsProtocol):
    """One connection; SETTINGS has its bounds."""

    _head: int | None = 0  # bytes of a head that is not complete; None while a body is read
    _deadline: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Start the deadline of the first head."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(PATIENCE, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the deadline."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse data; refuse a head that is too long, and restart the deadline for an incomplete one."""
        if self._head is not None:
            self._head += len(data)
        super().data_received(data)
        if not self._head:
            self._stop_waiting()
        elif self._head > MOST_HEAD:
            self._refuse(431, f"its first line and headers are longer than {MOST_HEAD} bytes")
        elif self._deadline is None:
            self._deadline = self.loop.call_later(PATIENCE, self._give_up)

    def on_headers_complete(self) -> None:
        """Stop the head's deadline: a body may follow."""
        self._head = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Start the deadline of the next head."""
        self._head = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words
        """Refuse what is not HTTP."""
        self._refuse(400, "is not HTTP/1.1 that can be read")

    def _give_up(self) -> None:
        self._deadline = None
        if self._head:
            self._refuse(408, f"its first line and headers did not arrive within {PATIENCE:g} seconds")
        elif not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, status: int, reason: str) -> None:
        if self.transport.is_closing():
            return
        body = encode_problem(status, "request", reason)
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: {PROBLEM}\r\n"
        head += f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


SETTINGS: dict[str, Any] = {  # of uvicorn, for both services: our protocol, our log, and nothing told of the server
    "http": BoundedProtocol,
    "ws": "none",
    "log_config": None,
    "access_log": False,
    "server_header": False,
}
