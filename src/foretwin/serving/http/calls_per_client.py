"""Bound how many calls of one client are answered at once, where many clients come through one proxy."""

from starlette.types import ASGIApp, Receive, Scope, Send

from foretwin.serving.http.connections import site_of
from foretwin.serving.http.problems import RETRY_AFTER, Problem


class CallsPerClient:
    """Refuses the calls of a client that has `most` under way already.

    The client is who the server says it is: behind a trusted proxy whom X-Forwarded-For names, else who is connected.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app = app
        self._most = most
        self._under_way: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI call."""
        if scope["type"] != "http" or not scope.get("client"):
            await self.app(scope, receive, send)
            return
        client = site_of(scope["client"][0])
        count = self._under_way.get(client, 0)
        if count >= self._most:
            reason = f"{count} calls of your address are being answered; wait for one of them"
            await Problem(429, "request", reason, {"Retry-After": str(RETRY_AFTER)})(scope, receive, send)
            return
        self._under_way[client] = count + 1
        try:
            await self.app(scope, receive, send)
        finally:
            left = self._under_way.pop(client) - 1
            if left:
                self._under_way[client] = left
