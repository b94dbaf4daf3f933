"""Read request bodies with a limit on their length; how long they may take is the server's matter."""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from foretwin.errors import TooLarge

DRAINED = 64 * 1024 * 1024  # bytes of a body that is too long, dropped as they come
DRAINING = 3.0  # seconds


async def bounded_body(request: Request, limit: int, advice: str) -> bytes:
    """Return the body; TooLarge, with `advice`, as soon as its announced or its real length exceeds `limit` bytes.

    What a client still sends of it is taken and dropped, for a while: most clients read no answer before they have sent
    their body, and would see a broken connection instead of a refusal.
    """
    announced = request.headers.get("content-length", "")
    size = int(announced) if announced.isascii() and announced.isdigit() and len(announced) < 20 else 0
    stream = aiter(request.stream())
    chunks: list[bytes] = []
    if size <= limit:
        size = 0
        async for chunk in stream:
            size += len(chunk)
            if size > limit:
                break
            chunks.append(chunk)
    if size > limit:
        chunks.clear()
        await _drain(stream)
        raise TooLarge("body", f"is larger than {limit} bytes: {advice}")
    return b"".join(chunks)


async def _drain(stream: AsyncIterator[bytes]) -> None:
    dropped = 0
    try:
        async with asyncio.timeout(DRAINING):
            async for chunk in stream:
                dropped += len(chunk)
                if dropped > DRAINED:
                    return
    except (TimeoutError, ClientDisconnect):
        return
