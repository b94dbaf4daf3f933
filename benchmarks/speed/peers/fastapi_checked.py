"""FastAPI and onnxruntime, JSON by orjson, every check by hand, an API key, metrics: the service's nearest rival."""

import os
import time
from pathlib import Path

import orjson
from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest

from benchmarks.speed.peers.checks import Refused, admit, decode, read_body, read_keys
from benchmarks.speed.peers.model import Model

CALLS = Counter("peer_calls", "Calls by status", ("status",))
SECONDS = Histogram("peer_seconds", "Seconds per call")
WINDOWS = Histogram("peer_windows", "Windows per call", buckets=(1, 4, 16, 64, 256, 1024))
RUL = Histogram("peer_rul", "Predicted RUL", buckets=(0, 10, 25, 50, 75, 100, 125))


def create_app() -> FastAPI:
    """The application; PEER_BUNDLE names the bundle's folder, PEER_KEYS the file of keys."""
    app, model, keys = FastAPI(), Model(Path(os.environ["PEER_BUNDLE"])), read_keys()

    async def answer(request: Request) -> Response:
        admit(request, keys)
        scores = model.scores(*decode(await read_body(request), model))
        WINDOWS.observe(len(scores))
        for score in scores:
            RUL.observe(score["rul"]["value"])
        return Response(orjson.dumps({"model": model.identity, "scores": scores}), media_type="application/json")

    @app.post("/v1/score")
    async def score(request: Request) -> Response:
        begin = time.perf_counter()
        try:
            response = await answer(request)
        except Refused as refused:
            response = refused.response()
        CALLS.labels(response.status_code).inc()
        SECONDS.observe(time.perf_counter() - begin)
        return response

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return app
