"""A handler that reads a call and answers 300 bytes, in one framework after the other: what each layer costs."""

import os
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ANSWER = b"0" * 300


async def score(request: Request) -> Response:
    """Read the body and answer."""
    await request.body()
    return Response(ANSWER, media_type="application/json")


def plain() -> Starlette:
    """Starlette alone."""
    return Starlette(routes=[Route("/v1/score", score, methods=["POST"])])


def mounted() -> Any:
    """The same mounted in a BentoML service; PEER_METRICS=off switches BentoML's metrics off."""
    import bentoml

    class Scoring:
        """Nothing of its own."""

    settings: dict[str, Any] = {"metrics": {"enabled": False}} if os.environ.get("PEER_METRICS") == "off" else {}
    quiet = {"access": {"enabled": False}}
    service: Any = bentoml.service(name="noop", traffic={"timeout": 5}, logging=quiet, **settings)(Scoring)
    service.mount_asgi_app(plain(), path="/")
    return service


def mounted_app() -> Any:
    """The ASGI application that BentoML makes of it."""
    return mounted().to_asgi()
