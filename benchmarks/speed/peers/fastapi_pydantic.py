"""FastAPI as its documentation writes it: pydantic in and out, the key a dependency; metrics as `fastapi_checked`."""

import os
import time
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from benchmarks.speed.peers.checks import Refused, admit, read_keys
from benchmarks.speed.peers.fastapi_checked import CALLS, RUL, SECONDS, WINDOWS
from benchmarks.speed.peers.model import Model
from benchmarks.speed.peers.typed import Answer, Call


def create_app() -> FastAPI:
    """The application; PEER_BUNDLE names the bundle's folder, PEER_KEYS the file of keys."""
    app, model, keys = FastAPI(), Model(Path(os.environ["PEER_BUNDLE"])), read_keys()

    async def caller(request: Request) -> None:
        admit(request, keys)

    @app.post("/v1/score", dependencies=[Depends(caller)])
    async def score(call: Call) -> Answer:
        begin = time.perf_counter()
        if call.twin != model.twin:
            raise Refused(404, "twin", f"is not {model.twin}")
        try:
            numbers = [asset.numbers(model.channels) for asset in call.assets]
        except ValueError as error:
            raise Refused(422, "assets", str(error)) from None
        scores = model.scores([asset.asset for asset in call.assets], numbers)
        WINDOWS.observe(len(scores))
        for one in scores:
            RUL.observe(one["rul"]["value"])
        CALLS.labels(200).inc()
        SECONDS.observe(time.perf_counter() - begin)
        return Answer.model_validate({"model": model.identity, "scores": scores})

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:  # noqa: ARG001 - FastAPI's signature
        CALLS.labels(error.status).inc()
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        found: dict[str, Any] = error.errors()[0]
        return await refused(request, Refused(422, ".".join(map(str, found["loc"])), found["msg"]))

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return app
