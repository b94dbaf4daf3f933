"""The scoring service as one ASGI application: routes, health, middleware."""

from collections.abc import Callable
from contextlib import AbstractContextManager, asynccontextmanager

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from foretwin import __version__
from foretwin.serving.http.localhost_only import LoopbackOnly
from foretwin.serving.http.problems import HANDLERS, Problem
from foretwin.serving.http.requests import Observed
from foretwin.serving.http.tracing import traced
from foretwin.serving.scoring.explain import post_explain
from foretwin.serving.scoring.models import get_models
from foretwin.serving.scoring.openapi import get_openapi
from foretwin.serving.scoring.score import post_score
from foretwin.serving.scoring.state import Service

NAME = "foretwin"


def create_scoring_app(
    service: Service, following: Callable[[], AbstractContextManager[object]] | None = None
) -> ASGIApp:
    """Build the application; while it runs, `following` is entered, which replaces champions."""

    @asynccontextmanager
    async def lifespan(app: Starlette):  # type: ignore[no-untyped-def]  # noqa: ARG001
        if following is None:
            yield
            return
        with following():
            yield

    routes = [
        Route("/v1/score", post_score, methods=["POST"]),
        Route("/v1/explain", post_explain, methods=["POST"]),
        Route("/v1/models", get_models, methods=["GET"]),
        Route("/", _index, methods=["GET"]),
        Route("/openapi.json", get_openapi, methods=["GET"]),
        Route("/docs.json", get_openapi, methods=["GET"]),  # BentoML's own would not show the routes above
        Route("/livez", _alive, methods=["GET"]),
        Route("/readyz", _ready, methods=["GET"]),
        Route("/metrics", _metrics, methods=["GET"]),
    ]
    local = [Middleware(LoopbackOnly)] if service.guard.is_open else []
    app = Starlette(routes=routes, exception_handlers=HANDLERS, middleware=local, lifespan=lifespan)
    app.router.redirect_slashes = False
    app.state.service = service
    counts = service.metrics
    return traced(Observed(app, counts.request, counts.refused, counts.begun), NAME)


async def _index(request: Request) -> Response:
    """GET /: where to go from here."""
    routes = [route.path for route in request.app.routes if isinstance(route, Route) and route.path != "/docs.json"]
    return _json({"service": NAME, "version": __version__, "routes": routes})


async def _alive(request: Request) -> Response:  # noqa: ARG001
    """GET /livez: whether the process answers."""
    return _json({"status": "alive"})


async def _ready(request: Request) -> Response:
    """GET /readyz: whether there is a champion that answers; with the version of each."""
    service: Service = request.app.state.service
    champions = service.champions.all()
    if not champions:
        return Problem(503, "service", "no champion answers here yet; the log says what was refused")
    versions = {name: champion.identity.version for name, champion in champions.items()}
    return _json({"status": "ready", "champions": versions})


async def _metrics(request: Request) -> Response:
    """GET /metrics: what Prometheus scrapes."""
    service: Service = request.app.state.service
    body, kind = service.metrics.exposition()
    return Response(body, headers={"content-type": kind})


def _json(content: object) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")
