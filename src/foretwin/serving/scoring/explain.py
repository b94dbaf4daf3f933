"""POST /v1/explain: contribution of each channel to the score of one asset."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import orjson
from starlette.requests import Request
from starlette.responses import Response

from foretwin.errors import BadInput
from foretwin.predictor.shapley import explain_tracks
from foretwin.serving.http.body import bounded_body
from foretwin.serving.http.connections import recognise_caller
from foretwin.serving.http.negotiation import accepted, content_type
from foretwin.serving.http.problems import RETRY_AFTER, Problem
from foretwin.serving.scoring.answer import describe_model
from foretwin.serving.scoring.score import ADVICE, ScoreBody, decode_call
from foretwin.serving.scoring.state import Service
from foretwin.wire.tables import JSON

PATIENCE = 10  # seconds until a caller hears that there are too many before him

# An explanation costs as much as hundreds of scores: one at a time leaves the other cores to those.
ONE_AT_A_TIME = ThreadPoolExecutor(1, "explain")


async def post_explain(request: Request) -> Response:
    """POST /v1/explain: contribution of each channel to the score of one asset; a call as for /v1/score."""
    service: Service = request.app.state.service
    caller = service.guard.admit(request.headers.get("authorization"), "score")
    recognise_caller(request.scope)
    content_type(request, (JSON,))
    accepted(request, (JSON,))
    body = await bounded_body(request, service.limits.body_bytes, ADVICE)
    answering = partial(_answer, service, ScoreBody(caller, body, JSON))
    work = asyncio.get_running_loop().run_in_executor(ONE_AT_A_TIME, answering)
    try:
        return Response(await asyncio.wait_for(work, PATIENCE), media_type=JSON)
    except TimeoutError:
        busy = f"others are explained first, for longer than {PATIENCE} seconds: try again"
        return Problem(503, "service", busy, {"Retry-After": str(RETRY_AFTER)})


def _answer(service: Service, sent: ScoreBody) -> bytes:
    call = decode_call(service, sent)
    if len(call.tracks) != 1:
        raise BadInput("assets", f"holds {len(call.tracks)}; one is explained at a time: ask for each by itself")
    explanation = explain_tracks(call.champion.bundle, call.tracks)
    return orjson.dumps({"model": describe_model(call.champion), **explanation.to_dict()})
