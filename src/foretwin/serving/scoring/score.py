"""POST /v1/score: readings of each asset in, one score per asset out, for its last time."""

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from foretwin.champion.champion import Champion
from foretwin.errors import BadInput
from foretwin.serving.access.authentication import Caller
from foretwin.serving.http.body import bounded_body
from foretwin.serving.http.connections import recognise_caller
from foretwin.serving.http.negotiation import accepted, content_type
from foretwin.serving.scoring.answer import encode_answer
from foretwin.serving.scoring.calls.call import ScoreCall
from foretwin.serving.scoring.calls.json_call import decode_json
from foretwin.serving.scoring.calls.table_call import decode_table_call
from foretwin.serving.scoring.following import ready_champion
from foretwin.serving.scoring.state import Service
from foretwin.wire.tables import ARROW, JSON, PARQUET, read_table

MEDIA_TYPES = (JSON, ARROW, PARQUET)
ADVICE = "send fewer rows per call"
# A longer call, or one that may have to load a network, is answered in a thread, so that short ones and health checks
# need not wait.
INLINE_BYTES = 128 * 1024


@dataclass(frozen=True)
class ScoreBody:
    """A body of the media type `kind`, and who sent it; a table's `twin` is given separately."""

    caller: Caller
    body: bytes
    kind: str
    twin: str | None = None


async def post_score(request: Request) -> Response:
    """POST /v1/score: the rows of each asset in, one score per asset out, for its last time."""
    service: Service = request.app.state.service
    caller = service.guard.admit(request.headers.get("authorization"), "score")
    recognise_caller(request.scope)
    kind = content_type(request, MEDIA_TYPES)
    wanted = accepted(request, MEDIA_TYPES)
    twin = None if kind == JSON else request.query_params.get("twin")
    async with service.large if _is_large(request) else nullcontext():
        body = await bounded_body(request, service.limits.body_bytes, ADVICE)
        work = partial(answer, service, ScoreBody(caller, body, kind, twin), wanted)
        at_once = len(body) <= INLINE_BYTES and service.champions.are_loaded
        content = work() if at_once else await asyncio.to_thread(work)
    return Response(content, media_type=wanted)


def _is_large(request: Request) -> bool:
    """Whether a large body must be answered in a thread: by its announced length, or without one."""
    length = request.headers.get("content-length", "")
    return not length.isdigit() or len(length) > 9 or int(length) > INLINE_BYTES


def answer(service: Service, sent: ScoreBody, wanted: str) -> bytes:
    """Answer a body in the form `wanted`."""
    call = decode_call(service, sent)
    answers = call.champion.bundle.answer(call.tracks)
    encoded = encode_answer(call, answers, datetime.now(UTC), wanted)
    service.metrics.scored(call.contract, answers)
    return encoded


def decode_call(service: Service, sent: ScoreBody) -> ScoreCall:
    """Decode a body; Forbidden where its twin or one of its assets is outside of the caller's bounds."""
    rows, size = service.limits.rows, service.limits.body_bytes

    def champion_of(twin: str) -> Champion:
        sent.caller.check_twin(twin)
        return ready_champion(service.champions, twin, service.metrics)

    if sent.kind == JSON:
        call = decode_json(sent.body, champion_of, rows)
    elif sent.twin is None:
        raise BadInput("twin", "is missing: a table needs ?twin=NAME")
    else:
        champion = champion_of(sent.twin)
        call = decode_table_call(read_table(sent.body, sent.kind, rows, 8 * size), champion)
    for name in call.tracks.assets if sent.caller.bounds.assets else ():
        sent.caller.check_name(name)
    return call
