"""The body of an HTTP request, no longer than it may be."""

from starlette.requests import Request

from foretwin.errors import TooLarge


async def bounded_body(request: Request, limit: int, advice: str) -> bytes:
    """The body; TooLarge, with `advice`, as soon as its announced or its real length passes `limit` bytes."""
    announced = request.headers.get("content-length", "")
    size = int(announced) if announced.isdigit() else 0
    chunks: list[bytes] = []
    if size <= limit:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                break
            chunks.append(chunk)
    if size > limit:
        raise TooLarge("body", f"is larger than {limit} bytes: {advice}")
    return b"".join(chunks)
