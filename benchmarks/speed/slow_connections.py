"""Keep slow connections to a service, from many addresses of loopback, until it is ended: for `slow_clients`.

    python -m benchmarks.speed.slow_connections PORT FIRST LAST

They are silent, or their heads or bodies trickle, none has a key, and one that is closed is opened again after a pause.
"""

import asyncio
import random
import sys
from contextlib import suppress

SITES = 20  # connections of one address
PAUSE = 15.0  # s until a slow client that was closed comes again, in the mean
ARRIVALS = 250  # of slow clients in a second, at first, of one process
TRICKLE = 1.0  # s between two bytes
BEGINNINGS = (
    b"",
    b"GET /v1/twins HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    b"POST /v1/twins/P-1/readings HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n",
)


class SlowClient(asyncio.Protocol):
    """One slow connection, of a kind by its number."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to be slow."""
        self.transport = transport
        self._send(BEGINNINGS[self.number % len(BEGINNINGS)])

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """End."""
        self.ended.set()

    def _send(self, data: bytes) -> None:
        if data and not self.transport.is_closing():
            self.transport.write(data)  # type: ignore[attr-defined]  # asyncio's base class has none
            asyncio.get_running_loop().call_later(TRICKLE, self._send, b"x")


async def besiege(port: int, numbers: range) -> None:
    """Keep one slow connection for each number, for ever."""
    loop = asyncio.get_running_loop()

    async def be_slow(number: int) -> None:
        site = number // SITES
        source = (f"127.1.{site // 250}.{1 + site % 250}", 0)
        pauses = random.Random(number)
        await asyncio.sleep(pauses.uniform(0, len(numbers) / ARRIVALS))
        while True:
            with suppress(OSError):
                _, client = await loop.create_connection(
                    lambda: SlowClient(number), "127.0.0.1", port, local_addr=source
                )
                await client.ended.wait()
            await asyncio.sleep(pauses.uniform(0, 2 * PAUSE))

    await asyncio.gather(*(be_slow(number) for number in numbers))


if __name__ == "__main__":
    place, begin, end = map(int, sys.argv[1:])
    asyncio.run(besiege(place, range(begin, end)))
