"""Negotiate media types of request and response bodies."""

from collections.abc import Sequence

from starlette.requests import Request

from foretwin.errors import BadInput, NotAcceptable


def content_type(request: Request, known: Sequence[str]) -> str:
    """Return the media type of a body, without parameters; BadInput for an unknown one or a compressed body."""
    written = request.headers.get("content-type", "")
    kind = written.partition(";")[0].strip().lower()
    if kind not in known:
        raise BadInput("Content-Type", f"is {written[:60] or 'missing'}; there is {', '.join(known)}")
    check_uncompressed(request)
    return kind


def check_uncompressed(request: Request) -> None:
    """Raise BadInput for a compressed body."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise BadInput("Content-Encoding", "is not supported: send the body uncompressed")


def accepted(request: Request, known: Sequence[str]) -> str:
    """Return the media type that the `Accept` header prefers, the first of `known` without a preference.

    NotAcceptable where it wants none of them.
    """
    header = request.headers.get("accept")
    if header is None or header in ("*/*", known[0]):
        return known[0]
    liked = {kind: max((_quality(part, kind) for part in header.split(",")), default=(0, 0.0)) for kind in known}
    best = max(known, key=lambda kind: liked[kind][1])  # the first of those that are liked alike
    if liked[best][1] <= 0:
        raise NotAcceptable("Accept", f"is {header[:60]}; there is {', '.join(known)}")
    return best


def _quality(part: str, kind: str) -> tuple[int, float]:
    """Return how exactly a part of the header matches this media type, from 0 (not at all) to 3, and its quality."""
    name, *parameters = (word.strip().lower() for word in part.split(";"))
    exactness = {kind: 3, f"{kind.partition('/')[0]}/*": 2, "*/*": 1}.get(name, 0)
    if not exactness:
        return 0, 0.0
    written = next((word.partition("=")[2] for word in parameters if word.startswith("q=")), "1")
    try:
        return exactness, min(max(float(written), 0.0), 1.0)
    except ValueError:
        return exactness, 0.0
