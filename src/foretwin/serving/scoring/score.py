"""POST /v1/score: readings of each asset in, one score per asset out, for its last time."""

import asyncio
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from foretwin.errors import BadInput
from foretwin.serving.http.body import bounded_body
from foretwin.serving.http.negotiation import accepted, content_type
from foretwin.serving.scoring.answer import encode_answer
from foretwin.serving.scoring.calls.call import ScoreCall
from foretwin.serving.scoring.calls.json_call import decode_json
from foretwin.serving.scoring.calls.table_call import decode_table_call
from foretwin.serving.scoring.state import Service
from foretwin.wire.tables import ARROW, JSON, PARQUET, read_table

MEDIA_TYPES = (JSON, ARROW, PARQUET)
ADVICE = "send fewer rows per call"
INLINE_BYTES = 128 * 1024  # a longer call is answered in a thread, so that short ones and health checks need not wait


async def post_score(request: Request) -> Response:
    """POST /v1/score: the rows of each asset in, one score per asset out, for its last time."""
    service: Service = request.app.state.service
    service.guard.admit(request.headers.get("authorization"), "score")
    kind = content_type(request, MEDIA_TYPES)
    wanted = accepted(request, MEDIA_TYPES)
    twin = None if kind == JSON else request.query_params.get("twin")
    async with service.large if _is_large(request) else nullcontext():
        body = await bounded_body(request, service.limits.body_bytes, ADVICE)
        work = partial(answer, service, body, kind, wanted, twin)
        content = work() if len(body) <= INLINE_BYTES else await asyncio.to_thread(work)
    return Response(content, media_type=wanted)


def _is_large(request: Request) -> bool:
    """Whether a large body must be answered in a thread: by its announced length, or without one."""
    length = request.headers.get("content-length", "")
    return not length.isdigit() or len(length) > 9 or int(length) > INLINE_BYTES


def answer(service: Service, body: bytes, kind: str, wanted: str, twin: str | None) -> bytes:
    """Answer a body of the media type `kind` in the form `wanted`."""
    call = decode_call(service, body, kind, twin)
    answers = call.champion.bundle.answer(call.tracks)
    encoded = encode_answer(call, answers, datetime.now(UTC), wanted)
    service.metrics.scored(call.contract, answers)
    return encoded


def decode_call(service: Service, body: bytes, kind: str, twin: str | None) -> ScoreCall:
    """Decode a body; a table's twin is given separately."""
    rows, size = service.limits.rows, service.limits.body_bytes
    if kind == JSON:
        return decode_json(body, service.champions.get, rows)
    if twin is None:
        raise BadInput("twin", "is missing: a table needs ?twin=NAME")
    champion = service.champions.get(twin)
    return decode_table_call(read_table(body, kind, rows, 8 * size), champion)
