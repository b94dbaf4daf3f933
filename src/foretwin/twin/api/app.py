"""The HTTP interface of the living twin: its routes as one Starlette application."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from foretwin import __version__
from foretwin.project.contracts import RunningContracts
from foretwin.serving.access.authentication import Guard
from foretwin.serving.http.limits import Limits
from foretwin.serving.http.localhost_only import LoopbackOnly
from foretwin.serving.http.problems import HANDLERS
from foretwin.twin.api import asset_shells, cases, readings, streams, twins, what_if
from foretwin.twin.api.bodies import JSON
from foretwin.twin.api.call import Call, Lane, Living, endpoint, json_response
from foretwin.twin.api.openapi import LISTS, Way, describe_twin_api
from foretwin.twin.api.paging import read_query
from foretwin.twin.api.plant import (
    administration,
    agenda,
    kpis,
    models,
    newcomer_types,
    quarantine,
    retention_terms,
    usage_lines,
    work_order_states,
)
from foretwin.twin.cases.board import Assignment, Comment, Move, Rest
from foretwin.twin.cases.feedback import Verdict, Work
from foretwin.twin.cases.photo_encoding import TYPES
from foretwin.twin.console.site import Console, prefers_page
from foretwin.twin.console.wording import site_zone
from foretwin.twin.newcomers.draft_form import ColumnMeanings, Draft
from foretwin.twin.outbox.feed import EventFeed
from foretwin.twin.store import Store
from foretwin.twin.store.readiness import Readiness

# Calls that are answered at once, together fewer than the connections that the store keeps, and those that may wait.
WRITERS, MOST_WRITES, MOST_READS = 5, 1000, 200
READERS = max(1, min(3, (os.cpu_count() or 1) - 1))  # so that a core is left for what is written


def _get_ready(call: Call) -> dict[str, Any]:
    """GET /readyz: whether the store takes writes; if not, why."""
    call.living.readiness.check()
    return {"status": "ready"}


def _get_caller(call: Call) -> dict[str, Any]:
    """GET /v1/caller: whose key it is, what it may, and what it is bound to."""
    read_query(call.query, {})
    caller = call.caller
    return {"name": caller.name, "scopes": sorted(caller.scopes), **administration.show_bounds(caller.bounds)}


_WAYS: tuple[Way, ...] = (
    Way("GET", "/v1/twins", "read", "list", twins.get_fleet, twins.FLEET.names),
    Way("GET", "/v1/twins/{asset}", "read", "asset", twins.get_twin),
    Way("PUT", "/v1/twins/{asset}", "operate", "newcomer", twins.put_twin, (), (JSON,), twins.Description),
    Way("DELETE", "/v1/twins/{asset}", "admin", "asset", twins.delete_twin),
    Way("GET", "/v1/twins/{asset}/readings", "read", "asset", readings.get_readings, readings.READINGS.names),
    Way("POST", "/v1/twins/{asset}/readings", "ingest", "newcomer", readings.post_readings, ("twin",), readings.TYPES),
    Way(
        "POST", "/v1/twins/{asset}/events", "ingest", "asset", readings.post_events, (), (JSON,), readings.MachineEvents
    ),
    Way("GET", "/v1/twins/{asset}/scores", "read", "asset", readings.get_scores, readings.SCORES.names),
    Way("GET", "/v1/twins/{asset}/series", "read", "asset", readings.get_series, tuple(readings.SERIES)),
    Way("GET", "/v1/twins/{asset}/spectrum", "read", "asset", readings.get_spectrum),
    Way("GET", "/v1/twins/{asset}/contract", "read", "asset", twins.get_contract),
    Way("GET", "/v1/twins/{asset}/thread", "read", "asset", twins.get_thread, tuple(twins.THREAD)),
    Way("GET", "/v1/twins/{asset}/export", "read", "asset", twins.get_export),
    Way("GET", "/v1/twins/{asset}/aas", "read", "asset", asset_shells.get_shell),
    Way("GET", "/v1/twins/{asset}/aas.aasx", "read", "asset", asset_shells.get_shell_package),
    Way("GET", "/v1/twins/{asset}/end-of-life", "read", "asset", asset_shells.get_end_of_life),
    Way("POST", "/v1/twins/{asset}/maintenance", "work", "asset", twins.post_maintenance, (), (JSON,), Work),
    Way("POST", "/v1/twins/{asset}/what-if", "score", "asset", what_if.post_what_if, (), (JSON,), what_if.Question),
    Way("POST", "/v1/twins/{asset}/explain", "score", "asset", readings.post_explanation, (), (JSON,)),
    Way("GET", "/v1/overview", "read", "list", twins.get_overview),
    Way("GET", "/v1/cases", "read", "list", cases.get_cases, cases.CASES.names),
    Way("GET", "/v1/cases/{case}", "read", "case", cases.get_case),
    Way("GET", "/v1/cases/{case}/service-request", "read", "case", cases.get_service_request),
    Way("GET", "/v1/cases/{case}/similar", "read", "case", cases.get_similar),
    Way("GET", "/v1/cases/{case}/comments", "read", "case", cases.get_comments),
    Way("POST", "/v1/cases/{case}/comments", "work", "case", cases.post_comment, (), (JSON,), Comment),
    Way("GET", "/v1/cases/{case}/photos", "read", "case", cases.get_photos),
    Way("POST", "/v1/cases/{case}/photos", "work", "case", cases.post_photo, (), TYPES),
    Way("GET", "/v1/cases/{case}/photos/{photo}", "read", "case", cases.get_photo),
    Way("POST", "/v1/cases/{case}/acknowledge", "assist", "case", cases.post_acknowledge, (), (JSON,)),
    Way("POST", "/v1/cases/{case}/move", "plan", "case", cases.post_move, (), (JSON,), Move),
    Way("POST", "/v1/cases/{case}/assign", "plan", "case", cases.post_assignment, (), (JSON,), Assignment),
    Way("POST", "/v1/cases/{case}/snooze", "plan", "case", cases.post_rest, (), (JSON,), Rest),
    Way("POST", "/v1/cases/{case}/verdict", "assist", "case", cases.post_verdict, (), (JSON,), Verdict),
    Way("GET", "/v1/calendar", "read", "list", agenda.get_calendar, tuple(agenda.CALENDAR)),
    Way("GET", "/v1/calendar.ics", "read", "list", agenda.get_calendar_file, tuple(agenda.FEED)),
    Way("GET", "/v1/parts", "read", "list", agenda.get_parts),
    Way("GET", "/v1/quarantine", "read", "list", quarantine.get_quarantine, quarantine.QUARANTINE.names),
    Way("POST", "/v1/quarantine/{message}/release", "operate", "quarantined", quarantine.post_release, (), (JSON,)),
    Way("GET", "/v1/events", "read", "list", streams.get_event_stream, tuple(streams.EVENTS)),
    Way("GET", "/v1/deliveries", "read", "plant", quarantine.get_deliveries, quarantine.DELIVERIES.names),
    Way("POST", "/v1/deliveries/revive", "operate", "plant", quarantine.post_revival, (), (JSON,)),
    Way("POST", "/v1/work-orders/{route}", "plan", "plant", work_order_states.post_work_order_state, (), (JSON,)),
    Way("GET", "/v1/monitor/{twin}", "read", "twin", kpis.get_monitor_report),
    Way("GET", "/v1/models", "read", "fleets", models.get_twin_models),
    Way("GET", "/v1/models/{twin}", "read", "twin", models.get_model),
    Way("GET", "/v1/models/{twin}/ledger", "read", "twin", models.get_ledger),
    Way("GET", "/v1/models/{twin}/card", "read", "twin", models.get_card),
    Way("POST", "/v1/models/{twin}/rollback", "admin", "twin", models.post_rollback, (), (JSON,), models.RollbackBody),
    Way("GET", "/v1/kpis", "read", "fleets", kpis.get_kpis, tuple(kpis.KPIS)),
    Way("GET", "/metrics", "read", "fleets", kpis.get_monitor_metrics),
    Way("GET", "/v1/usage", "read", "list", usage_lines.get_usage, tuple(usage_lines.USAGE)),
    Way("GET", "/v1/usage/events", "read", "list", usage_lines.get_usage_events, tuple(usage_lines.USAGE)),
    Way("GET", "/v1/machine-types/job", "read", "plant", newcomer_types.get_type_job),
    Way(
        "POST",
        "/v1/machine-types/upload",
        "admin",
        "plant",
        newcomer_types.post_type_file,
        tuple(newcomer_types.UPLOADED),
        (newcomer_types.CSV,),
    ),
    Way(
        "POST",
        "/v1/machine-types/columns",
        "admin",
        "plant",
        newcomer_types.post_type_columns,
        (),
        (JSON,),
        ColumnMeanings,
    ),
    Way("POST", "/v1/machine-types/draft", "admin", "plant", newcomer_types.post_type_draft, (), (JSON,), Draft),
    Way("POST", "/v1/machine-types/build", "admin", "plant", newcomer_types.post_type_build, (), (JSON,)),
    Way("POST", "/v1/machine-types/discard", "admin", "plant", newcomer_types.post_type_discard, (), (JSON,)),
    Way("GET", "/v1/retention", "read", "fleets", retention_terms.get_retention),
    Way("GET", "/v1/holds", "read", "list", retention_terms.get_holds),
    Way("POST", "/v1/holds", "admin", "plant", retention_terms.post_hold, (), (JSON,), retention_terms.HoldBody),
    Way(
        "POST",
        "/v1/holds/{asset}/lift",
        "admin",
        "plant",
        retention_terms.post_hold_lift,
        (),
        (JSON,),
        retention_terms.LiftBody,
    ),
    Way("GET", "/v1/keys", "admin", "plant", administration.get_keys),
    Way("POST", "/v1/keys", "admin", "plant", administration.post_key, (), (JSON,), administration.KeyBody),
    Way("POST", "/v1/keys/{key}/revoke", "admin", "plant", administration.post_key_revocation, (), (JSON,)),
    Way("GET", "/v1/sessions", "admin", "plant", administration.get_sessions),
    Way("POST", "/v1/sessions/{session}/end", "admin", "plant", administration.post_session_end, (), (JSON,)),
    Way("GET", "/v1/identity-provider", "admin", "plant", administration.get_identity_provider),
    Way("GET", "/v1/caller", "read", "list", _get_caller),
    Way("GET", "/readyz", None, "nothing", _get_ready),
)


WAYS = (*_WAYS, *(replace(way, path=f"{way.path}.csv") for way in _WAYS if way.method == "GET" and way.path in LISTS))
METHODS = {path: [way.method for way in WAYS if way.path == path] for path in dict.fromkeys(way.path for way in WAYS)}
OTHERS = ("GET /", "GET /livez", "GET /openapi.json")


def create_twin_app(store: Store, root: Path, guard: Guard) -> Starlette:
    """The application over an open store; contracts are those of the project's folder `root`, those added later too.

    With an open guard only this machine may call. FORETWIN_MAX_BODY_BYTES bounds a body. ContractError and ParamsError
    where one of these is wrong.
    """
    console = Console(guard)
    routes = [Route("/", _home(console)), Route("/livez", _alive), Route("/openapi.json", _openapi)]
    routes += [Route(path, _by_method(path), methods=METHODS[path]) for path in METHODS]
    routes += console.routes()
    doors = [Middleware(LoopbackOnly)] if guard.is_open else []
    app = Starlette(routes=routes, exception_handlers=HANDLERS, middleware=doors)
    app.router.redirect_slashes = False
    writes, reads = Lane("writes", WRITERS, MOST_WRITES), Lane("reads", READERS, MOST_READS)
    limit = Limits.from_env(os.environ).body_bytes
    contracts = RunningContracts(root)
    feed, zone = EventFeed(), site_zone()
    ready, desk = Readiness(store), console.desk
    app.state.living = Living(
        store, root, contracts, limit, writes, reads, guard, ready, feed, zone, desk.sessions, desk.provider
    )
    return app


async def _alive(request: Request) -> Response:  # noqa: ARG001
    """GET /livez: whether the process answers."""
    return json_response({"status": "alive"})


def _home(console: Console) -> Callable[[Request], Awaitable[Response]]:
    """The end point of /: the page of the fleet for a browser, the routes for a program."""

    async def answer(request: Request) -> Response:
        return await console.home(request) if prefers_page(request) else _index()

    return answer


def _index() -> Response:
    """Tell where to go from here."""
    routes = [f"{way.method} {way.path}" for way in WAYS]
    return json_response({"service": "foretwin live", "version": __version__, "routes": [*routes, *OTHERS]})


async def _openapi(request: Request) -> Response:  # noqa: ARG001
    """GET /openapi.json: the routes, what they take and what they answer."""
    return Response(_description(), media_type="application/json")


@cache
def _description() -> bytes:
    """Return the document, made once: the same for every caller."""
    return bytes(json_response(describe_twin_api(WAYS)).body)


def _by_method(path: str) -> Callable[[Request], Awaitable[Response]]:
    """The end point of a path, which must be one route for its refusal to name every method that is allowed."""
    ends = {
        way.method: endpoint(way.handler, way.scope, way.about, way.accepts, "feed" in way.query, path.endswith(".csv"))
        for way in WAYS
        if way.path == path
    }

    async def answer(request: Request) -> Response:
        return await ends["GET" if request.method == "HEAD" else request.method](request)

    return answer
