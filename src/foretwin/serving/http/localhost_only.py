"""Restrict a service without keys to callers on this machine.

A page in the user's browser runs on this machine too. It is told apart by its Origin, and by the Host under which it
reached us when its name was made to point here (DNS rebinding).
"""

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from foretwin.errors import BadInput
from foretwin.serving.http.problems import Problem

CHECKED = {b"host": "http://", b"origin": ""}  # header -> what makes a URL of it


class LoopbackOnly:
    """Refuses requests for another host, or from a page of another origin."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI call."""
        for name, value in scope["headers"] if scope["type"] == "http" else ():
            if name in CHECKED and not _is_local(CHECKED[name] + value.decode("latin-1")):
                field = name.decode().capitalize()
                await Problem(403, field, "is not this machine; only this machine may call")(scope, receive, send)
                return
        await self.app(scope, receive, send)


def check_loopback(host: str) -> str:
    """Return the address to listen on; BadInput for one that other machines reach."""
    if not _is_local_name(host):
        reason = f"{host} can be reached from elsewhere; without keys only this machine may call: use 127.0.0.1"
        raise BadInput("--host", reason)
    return host


@lru_cache(256)  # a caller says the same each time
def _is_local(url: str) -> bool:
    try:
        return _is_local_name(urlsplit(url).hostname or "")
    except ValueError:
        return False


def _is_local_name(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
