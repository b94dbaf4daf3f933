"""The HTTP interface of the living twin: its routes as one Starlette application."""

import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from foretwin import __version__
from foretwin.project.contracts import load_contracts
from foretwin.serving.access.authentication import Guard
from foretwin.serving.http.limits import Limits
from foretwin.serving.http.localhost_only import LoopbackOnly
from foretwin.serving.http.problems import HANDLERS
from foretwin.twin.api import cases, kpis, monitor, quarantine, readings, twins, what_if
from foretwin.twin.api.bodies import JSON
from foretwin.twin.api.call import Call, Living, endpoint, json_response
from foretwin.twin.api.openapi import Way, describe
from foretwin.twin.cases.feedback import Verdict, Work
from foretwin.twin.store import Store

THREADS = 8  # calls that are answered at once; fewer than the connections that the store keeps


def ready(call: Call) -> dict[str, Any]:
    """GET /readyz: whether the store answers."""
    with call.store.read() as connection:
        connection.exec_driver_sql("SELECT version_num FROM alembic_version")
    return {"status": "ready"}


WAYS = (
    Way("GET", "/v1/twins", "read", twins.fleet, twins.FLEET.names),
    Way("GET", "/v1/twins/{asset}", "read", twins.one),
    Way("PUT", "/v1/twins/{asset}", "admin", twins.describe, (), (JSON,), twins.Description),
    Way("DELETE", "/v1/twins/{asset}", "admin", twins.erase),
    Way("GET", "/v1/twins/{asset}/readings", "read", readings.readings, readings.READINGS.names),
    Way("POST", "/v1/twins/{asset}/readings", "ingest", readings.take, ("twin",), readings.TYPES),
    Way("GET", "/v1/twins/{asset}/scores", "read", readings.scores, readings.SCORES.names),
    Way("GET", "/v1/twins/{asset}/thread", "read", twins.events, tuple(twins.THREAD)),
    Way("GET", "/v1/twins/{asset}/export", "read", twins.copy),
    Way("POST", "/v1/twins/{asset}/maintenance", "admin", twins.maintain, (), (JSON,), Work),
    Way("POST", "/v1/twins/{asset}/what-if", "score", what_if.ask, (), (JSON,), what_if.Question),
    Way("GET", "/v1/cases", "read", cases.listed, cases.CASES.names),
    Way("GET", "/v1/cases/{case}", "read", cases.one),
    Way("GET", "/v1/cases/{case}/service-request", "read", cases.request),
    Way("POST", "/v1/cases/{case}/acknowledge", "admin", cases.acknowledge, (), (JSON,)),
    Way("POST", "/v1/cases/{case}/verdict", "admin", cases.verdict, (), (JSON,), Verdict),
    Way("GET", "/v1/quarantine", "read", quarantine.listed, quarantine.QUARANTINE.names),
    Way("POST", "/v1/quarantine/{message}/release", "admin", quarantine.send_again, (), (JSON,)),
    Way("GET", "/v1/deliveries", "read", quarantine.deliveries, quarantine.DELIVERIES.names),
    Way("GET", "/v1/monitor/{twin}", "read", monitor.last),
    Way("GET", "/v1/kpis", "read", kpis.shown, tuple(kpis.KPIS)),
    Way("GET", "/metrics", "read", monitor.metrics),
    Way("GET", "/readyz", None, ready),
)


METHODS = {path: [way.method for way in WAYS if way.path == path] for path in dict.fromkeys(way.path for way in WAYS)}
OTHERS = ("GET /", "GET /livez", "GET /openapi.json")


def create_app(store: Store, root: Path, guard: Guard) -> Starlette:
    """The application over an open store; contracts are those of the project's folder `root` as it is now.

    With an open guard only this machine may call. FORETWIN_MAX_BODY_BYTES bounds a body. ContractError and ParamsError
    where one of these is wrong.
    """
    routes = [Route("/", index), Route("/livez", alive), Route("/openapi.json", openapi)]
    routes += [Route(path, _by_method(path), methods=METHODS[path]) for path in METHODS]
    doors = [Middleware(LoopbackOnly)] if guard.is_open else []
    app = Starlette(routes=routes, exception_handlers=HANDLERS, middleware=doors)
    app.router.redirect_slashes = False
    threads = ThreadPoolExecutor(THREADS, "live")
    limit = Limits.from_env(os.environ).body_bytes
    app.state.living = Living(store, root, load_contracts(root), limit, threads, guard)
    return app


async def alive(request: Request) -> Response:  # noqa: ARG001
    """GET /livez: whether the process answers."""
    return json_response({"status": "alive"})


async def index(request: Request) -> Response:  # noqa: ARG001
    """GET /: where to go from here."""
    routes = [f"{way.method} {way.path}" for way in WAYS]
    return json_response({"service": "foretwin live", "version": __version__, "routes": [*routes, *OTHERS]})


async def openapi(request: Request) -> Response:  # noqa: ARG001
    """GET /openapi.json: the routes, what they take and what they answer."""
    return json_response(describe(WAYS))


def _by_method(path: str) -> Callable[[Request], Awaitable[Response]]:
    """The end point of a path, which must be one route for its refusal to name every method that is allowed."""
    ends = {way.method: endpoint(way.handler, way.scope, way.accepts) for way in WAYS if way.path == path}

    async def answer(request: Request) -> Response:
        return await ends["GET" if request.method == "HEAD" else request.method](request)

    return answer
