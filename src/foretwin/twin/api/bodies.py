"""Bodies: bounded while they are read, of a type that is understood, and JSON as a checked object."""

from collections.abc import Sequence
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from foretwin.errors import BadInput
from foretwin.serving.http.body import bounded_body
from foretwin.serving.http.negotiation import check_uncompressed

JSON = "application/json"


class Body(BaseModel):
    """A JSON body: frozen, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


B = TypeVar("B", bound=BaseModel)


async def read_body(request: Request, limit: int, types: Sequence[str]) -> tuple[bytes, str]:
    """Body and content type; BadInput for a type not among `types`, TooLarge before more than `limit` bytes are held.

    An empty body needs no type.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    check_uncompressed(request)
    if kind and kind not in types:
        raise BadInput("Content-Type", f"is {kind[:60]}; {' or '.join(types)} is needed")
    body = await bounded_body(request, limit, "send fewer readings per call")
    if body and not kind:
        raise BadInput("Content-Type", f"is missing; {' or '.join(types)} is needed")
    return body, kind


def read_body_json(body: bytes, model: type[B]) -> B:
    """The body as `model`; BadInput names the field. An empty body is an empty object."""
    content = read_object(body)
    try:
        return model.model_validate(content, strict=True)
    except ValidationError as error:
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        field = ".".join(map(str, first["loc"])) or "content"
        raise BadInput(field, first["msg"].removeprefix("Value error, ")) from None


def read_object(body: bytes) -> dict[str, Any]:
    """The body as a JSON object; an empty one is an empty object. BadInput where it is none."""
    if b"\\u0000" in body:
        raise BadInput("body", "holds the character NUL, which no text here may")
    try:
        content = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise BadInput("body", f"is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise BadInput("body", "is no object")
    return content
