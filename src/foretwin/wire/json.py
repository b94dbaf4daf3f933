"""Parse JSON bodies, their objects and lists; BadInput names the field at fault."""

import json
from typing import Any

import orjson

from foretwin.errors import BadInput
from foretwin.wire.values import clipped, shown


def parse(body: bytes) -> Any:
    """Parse a body; BadInput where it is not JSON.

    NaN, Infinity and 1e999, which are no JSON, are read as numbers, and half a surrogate pair as text: no check of a
    value lets them pass, and it can say which field holds them.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        reason = str(error)
    try:
        return json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise BadInput("body", f"is not JSON: {reason}") from None


def check_object(
    value: Any, path: str, required: tuple[str, ...] = (), optional: tuple[str, ...] | None = None
) -> dict[str, Any]:
    """Return an object with the required fields and no others but optional ones; None: any others."""
    if type(value) is not dict:
        raise BadInput(path, f"is {shown(value)}, an object is needed")
    prefix = "" if path == "body" else f"{path}."
    for name in required:
        if name not in value:
            raise BadInput(f"{prefix}{name}", "is missing")
    if optional is not None and len(value) > len(required):
        for name in value:
            if name not in required and name not in optional:
                raise BadInput(f"{prefix}{clipped(name)}", f"is unknown; there is {', '.join(required + optional)}")
    return value


def check_list(value: Any, path: str) -> list[Any]:
    """A list that is not empty."""
    if type(value) is not list:
        raise BadInput(path, f"is {shown(value)}, a list is needed")
    if not value:
        raise BadInput(path, "is empty")
    return value


def check_text(value: Any, path: str) -> str:
    """A text."""
    if type(value) is not str:
        raise BadInput(path, f"is {shown(value)}, a text is needed")
    return value
