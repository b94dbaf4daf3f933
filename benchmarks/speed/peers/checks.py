"""What the FastAPI peers share: a call checked by hand, the API key, and a refusal as problem+json."""

import hashlib
import json
import os
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from fastapi import Request, Response
from numpy.typing import NDArray

from benchmarks.speed.peers.model import Model

NUMBERS = {int, float}
MOST_BYTES = 8 * 1024 * 1024


class Refused(Exception):
    """A call that breaks the contract."""

    def __init__(self, status: int, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.status, self.field, self.reason = status, field, reason

    def response(self) -> Response:
        """As application/problem+json."""
        problem = {"type": "about:blank", "title": HTTPStatus(self.status).phrase, "status": self.status}
        body = orjson.dumps(problem | {"detail": str(self), "field": self.field})
        return Response(body, self.status, media_type="application/problem+json")


def read_keys() -> dict[str, set[str]]:
    """SHA-256 of each key -> its scopes, from the file that PEER_KEYS names."""
    return {digest: set(scopes) for digest, scopes in json.loads(Path(os.environ["PEER_KEYS"]).read_bytes()).items()}


def admit(request: Request, keys: dict[str, set[str]]) -> None:
    """Refused unless the call carries a key that may score."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    scopes = keys.get(hashlib.sha256(token.encode()).hexdigest()) if kind == "Bearer" else None
    if scopes is None:
        raise Refused(401, "Authorization", "a known key is needed: Bearer KEY")
    if "score" not in scopes:
        raise Refused(403, "Authorization", "this key may not score")


async def read_body(request: Request) -> bytes:
    """The JSON body of a call, bounded."""
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise Refused(415, "Content-Type", "application/json is needed")
    if int(request.headers.get("content-length", 0)) > MOST_BYTES:
        raise Refused(413, "body", f"more than {MOST_BYTES} bytes")
    return await request.body()


def decode(body: bytes, model: Model) -> tuple[list[str], list[NDArray[np.float64]]]:
    """Names of the assets, and (1 + C, T) numbers of each."""
    try:
        call = orjson.loads(body)
        assets = call["assets"]
        twin, count = call["twin"], len(assets)
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise Refused(400, "body", f"is no call: {error}") from None
    if twin != model.twin:
        raise Refused(404, "twin", f"is not {model.twin}")
    if not count:
        raise Refused(422, "assets", "is empty")
    names = [asset.get("asset") for asset in assets]
    if not all(isinstance(name, str) for name in names) or len(set(names)) < count:
        raise Refused(422, "assets", "each needs a name of its own")
    return names, [_numbers(asset, f"assets[{i}]", model) for i, asset in enumerate(assets)]


def _numbers(asset: dict[str, Any], path: str, model: Model) -> NDArray[np.float64]:
    channels, time = asset.get("channels"), asset.get("time")
    if not isinstance(channels, dict) or channels.keys() != set(model.channels):
        raise Refused(422, f"{path}.channels", f"are not {', '.join(model.channels)}")
    columns = [time, *(channels[name] for name in model.channels)]
    for name, column in zip(("time", *model.channels), columns, strict=True):
        if not isinstance(column, list) or not set(map(type, column)) <= NUMBERS or len(column) != len(columns[0]):
            raise Refused(422, f"{path}.{name}", "is no list of numbers as long as time")
    if len(columns[0]) < model.shortest:
        raise Refused(422, f"{path}.time", f"at least {model.shortest} rows are needed")
    numbers = np.array(columns, np.float64)
    if not np.isfinite(numbers).all():
        raise Refused(422, path, "holds a number that is not finite")
    if (numbers[0, 1:] <= numbers[0, :-1]).any():
        raise Refused(422, f"{path}.time", "does not increase")
    return numbers
