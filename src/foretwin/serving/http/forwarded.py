"""Read who called from the header `Forwarded` (RFC 7239), as from `X-Forwarded-For`."""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

STANDARD, USUAL = b"forwarded", b"x-forwarded-for"
# A parameter of an element, or the comma before the next element; commas within quotes are part of a value.
PART = re.compile(
    r'\s*(?:(?P<name>[!#$%&*+.^_`|~\w-]+)=(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<token>[^\s;,"]*))\s*;?|(?P<next>,))'
)
PORT = re.compile(r":[\w.-]+$")


class ForwardedFor:
    """Gives `X-Forwarded-For` the addresses of `Forwarded`; what says of both different things says nothing.

    A proxy that writes only one of them may pass on the other as its client has sent it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI call."""
        if scope["type"] == "http" and any(name == STANDARD for name, _ in scope["headers"]):
            scope = {**scope, "headers": _told(scope["headers"])}
        await self.app(scope, receive, send)


def addresses_of(text: str) -> list[str] | None:
    """Return the addresses of a `Forwarded` header, the client's first, without ports; None where it is not one."""
    found, place, seen = [], 0, False
    while place < len(text):
        part = PART.match(text, place)
        if part is None or part.end() == place:
            return None
        place = part.end()
        if part["next"]:
            if not seen:
                return None
            seen = False
        elif part["name"].lower() == "for":
            if seen:
                return None
            found.append(_address(part["token"] if part["quoted"] is None else part["quoted"]))
            seen = True
    return found if seen else None


def _address(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return PORT.sub("", text) if text.count(":") == 1 else text


def _told(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers with one `X-Forwarded-For`, or with none."""
    own = ",".join(value.decode("latin-1") for name, value in headers if name == STANDARD)
    usual = [value.decode("latin-1") for name, value in headers if name == USUAL]
    addresses = addresses_of(own)
    others = [one.strip() for text in usual for one in text.split(",")]
    kept = [(name, value) for name, value in headers if name not in (STANDARD, USUAL)]
    if addresses is None or (usual and others != addresses):
        return kept
    return [*kept, (USUAL, ", ".join(addresses).encode("latin-1"))]
