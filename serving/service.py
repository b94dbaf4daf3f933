"""The scoring service: every champion in its Bento, behind POST /v1/score.

Its routes are a mounted Starlette application, which costs less per call than BentoML's own end points. Health
(/livez, /readyz) and /metrics are BentoML's. Whatever is refused leaves as application/problem+json.
"""

import asyncio
import gc
import logging
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import bentoml
import orjson
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from foretwin import __version__
from foretwin.bundle import Bundle
from foretwin.champion import Champion, read_champion
from foretwin.contract import Twin
from foretwin.errors import BadInput, TooLarge, UnknownTwin
from foretwin.request_body import bounded_body
from foretwin.scoring_call import ANSWER_SCHEMA, Limits, decode_call, encode_problem, encode_scores

TIMEOUT = 5  # seconds; BentoML keeps what belongs to a call for this long, so that a longer one costs memory
PATIENCE = 4.5  # seconds for the body and the scores; below TIMEOUT, so that this service words the refusal
INLINE_BYTES = 128 * 1024  # a longer call is answered in a thread, so that short ones and health checks need not wait
EXAMPLE_ROWS = 3
PROBLEM = "application/problem+json"

logger = logging.getLogger("foretwin.service")


@dataclass(frozen=True)
class Serving:
    """Everything that a call needs: the champions by twin, and what one call may ask for."""

    champions: dict[str, Champion]
    limits: Limits

    @cached_property
    def contracts(self) -> dict[str, Twin]:
        """The contract of each twin that is served."""
        return {name: champion.bundle.contract for name, champion in self.champions.items()}


async def score(request: Request) -> Response:
    """POST /v1/score: the columns of each asset's window in, one score per asset out."""
    try:
        async with asyncio.timeout(PATIENCE):
            answer = await _score(request, request.app.state.serving)
    except BadInput as error:
        return _problem(_status(error), error.field, error.reason)
    except TimeoutError:
        return _problem(503, "body", f"not received and scored within {PATIENCE:g} seconds: send fewer rows per call")
    except ClientDisconnect:
        return _problem(400, "body", "the connection ended before it was complete")
    except Exception:  # the edge: whatever went wrong is logged here and never shown
        logger.exception("a call could not be scored")
        return _problem(500, "body", "the service failed on this call; its log says why")
    return Response(answer, media_type="application/json")


async def _score(request: Request, serving: Serving) -> bytes:
    _check_headers(request)
    body = await bounded_body(request, serving.limits.body_bytes, "send fewer rows per call")
    return _answer(body, serving) if len(body) <= INLINE_BYTES else await asyncio.to_thread(_answer, body, serving)


def _answer(body: bytes, serving: Serving) -> bytes:
    call = decode_call(body, serving.contracts, serving.limits.rows)
    champion = serving.champions[call.twin]
    table = champion.bundle.score(call.rows)  # the only way from rows to a prediction
    return encode_scores(champion.bundle, champion.identity, table)


def _status(error: BadInput) -> int:
    if isinstance(error, UnknownTwin):
        return 404
    if isinstance(error, TooLarge):
        return 413
    return {"body": 400, "Content-Type": 415, "Content-Encoding": 415}.get(error.field, 422)


def _check_headers(request: Request) -> None:
    kind = request.headers.get("content-type", "")
    if kind.split(";")[0].strip().lower() != "application/json":
        raise BadInput("Content-Type", f"is {kind[:60] or 'missing'}, application/json is needed")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise BadInput("Content-Encoding", "is not supported: send the body uncompressed")


async def models(request: Request) -> Response:
    """GET /v1/models: which champions answer here, and what each wants to know."""
    serving: Serving = request.app.state.serving
    return _json({"models": [_describe(champion) for champion in serving.champions.values()]})


async def openapi(request: Request) -> Response:
    """GET /openapi.json: the routes of this service, with one call per twin to paste."""
    serving: Serving = request.app.state.serving
    examples = {name: {"value": _example(champion.bundle)} for name, champion in serving.champions.items()}
    body = {"required": True, "content": {"application/json": {"schema": {"type": "object"}, "examples": examples}}}
    refused = {"description": "refused: which field, and why", "content": {PROBLEM: {"schema": {"type": "object"}}}}
    answers: dict[str, Any] = dict.fromkeys(("400", "404", "413", "415", "422", "500", "503"), refused)
    answers["200"] = {
        "description": "one score per asset, for its last time",
        "content": {"application/json": {"schema": ANSWER_SCHEMA}},
    }
    listed = {"200": {"description": "the champions that answer here", "content": {"application/json": {}}}}
    paths = {
        "/v1/score": {"post": {"summary": score.__doc__, "requestBody": body, "responses": answers}},
        "/v1/models": {"get": {"summary": models.__doc__, "responses": listed}},
    }
    return _json({"openapi": "3.1.0", "info": {"title": "Foretwin", "version": __version__}, "paths": paths})


async def index(request: Request) -> Response:
    """GET /: where to go from here."""
    routes = [route.path for route in request.app.routes if isinstance(route, Route)]
    return _json({"service": "foretwin", "version": __version__, "routes": [*routes, "/livez", "/readyz", "/metrics"]})


def _describe(champion: Champion) -> dict[str, Any]:
    contract = champion.bundle.contract
    channels = {name: channel.model_dump() for name, channel in contract.channels.items()}
    return {
        "twin": contract.name,
        "title": contract.title,
        "name": champion.identity.name,
        "version": champion.identity.version,
        "run": champion.identity.run,
        "digest": champion.identity.digest,
        "contract": contract.digest,
        "channels": channels,
        "window": contract.window.model_dump(),
        "clock": {"unit": contract.clock.unit, "step": contract.clock.step},
    }


def _example(bundle: Bundle) -> dict[str, Any]:
    """A call that can be scored: the middle of each channel's range in training, as often as needed."""
    contract = bundle.contract
    count = max(contract.window.shortest, EXAMPLE_ROWS)
    middle = bundle.reference.ranges.mean(axis=0).round(6).tolist()
    channels = {name: [value] * count for name, value in zip(contract.channel_names, middle, strict=True)}
    time = [contract.clock.step * (i + 1) for i in range(count)]
    return {"twin": contract.name, "assets": [{"asset": "EXAMPLE-1", "time": time, "channels": channels}]}


def _json(content: Any) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")


def _problem(status: int, field: str, reason: str) -> Response:
    return Response(encode_problem(status, field, reason), status, media_type=PROBLEM)


class ProblemResponses:
    """Words the framework's own refusals (unknown route, wrong method) as this service words its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI call; only the response of a failed HTTP request is replaced."""
        replaced = False

        async def send_problem(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and message["status"] >= 400:
                replaced = PROBLEM not in MutableHeaders(scope=message).get("content-type", "")
                if replaced:
                    await self._replace(scope, message, send)
            if not replaced:
                await send(message)

        await self.app(scope, receive, send_problem if scope["type"] == "http" else send)

    async def _replace(self, scope: Scope, start: Message, send: Send) -> None:
        status = start["status"]
        field = "method" if status == 405 else "path"
        reason = {
            404: "is not a route of this service; GET / lists them",
            405: f"{scope['method']} is not allowed here",
        }
        body = encode_problem(status, field, reason.get(status, "the service cannot answer this"))
        headers = MutableHeaders(raw=list(start["headers"]))
        headers["content-type"] = PROBLEM
        headers["content-length"] = str(len(body))
        await send({**start, "headers": headers.raw})
        await send({"type": "http.response.body", "body": body})


app = Starlette(
    routes=[
        Route("/", index, methods=["GET"]),
        Route("/v1/score", score, methods=["POST"]),
        Route("/v1/models", models, methods=["GET"]),
        Route("/openapi.json", openapi, methods=["GET"]),
        Route("/docs.json", openapi, methods=["GET"]),  # BentoML's own would not show the routes above
    ]
)


class Scoring:
    """Scores windows of sensor readings: remaining useful life, its interval, and the probability of each fault."""

    def __init__(self) -> None:
        tags = [model.tag for model in service.bento.info.all_models] if service.bento else []
        champions = [read_champion(Path(bentoml.models.get(tag).path)) for tag in tags]
        by_twin = {champion.bundle.contract.name: champion for champion in champions}
        app.state.serving = Serving(by_twin, Limits.from_env(os.environ))
        # What is loaded stays for good: a collection that walks it would only hold up calls.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 100)


service = bentoml.service(
    name="foretwin",
    traffic={"timeout": TIMEOUT},
    logging={"access": {"enabled": False}},
    envs=[{"name": "OTEL_SDK_DISABLED", "value": "true"}],  # spans of a server that nobody traces cost memory
)(Scoring)
service.mount_asgi_app(app, path="/")
service.add_asgi_middleware(ProblemResponses)
