"""Who may call: this machine alone, since nobody has to show yet who he is.

A page in the user's browser runs on this machine too. It is told apart by its Origin, and by the Host under which it
reached us when its name was made to point here (DNS rebinding).
"""

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from foretwin.errors import BadInput
from foretwin.twin.http.problems import problem


class LoopbackOnly:
    """Refuses calls that are for another host, or from a page of another one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI call."""
        headers = Headers(scope=scope) if scope["type"] == "http" else {}
        for field, prefix in (("Host", "http://"), ("Origin", "")):
            value = headers.get(field.lower())
            if value is not None and not _is_local(prefix + value):
                await problem(403, field, "is not this machine; only this machine may call")(scope, receive, send)
                return
        await self.app(scope, receive, send)


def check_loopback(host: str) -> str:
    """The address to listen on; BadInput for one that others reach."""
    if not _is_local_name(host):
        reason = f"{host} can be reached from elsewhere, and there is no authentication yet; use 127.0.0.1"
        raise BadInput("--host", reason)
    return host


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
