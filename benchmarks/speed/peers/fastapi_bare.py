"""FastAPI and onnxruntime, JSON by orjson, every check by hand; neither key nor metrics."""

import os
from pathlib import Path

import orjson
from fastapi import FastAPI, Request, Response

from benchmarks.speed.peers.checks import Refused, decode, read_body
from benchmarks.speed.peers.model import Model


def create_app() -> FastAPI:
    """The application; PEER_BUNDLE names the bundle's folder."""
    app, model = FastAPI(), Model(Path(os.environ["PEER_BUNDLE"]))

    @app.post("/v1/score")
    async def score(request: Request) -> Response:
        try:
            scores = model.scores(*decode(await read_body(request), model))
        except Refused as refused:
            return refused.response()
        return Response(orjson.dumps({"model": model.identity, "scores": scores}), media_type="application/json")

    return app
