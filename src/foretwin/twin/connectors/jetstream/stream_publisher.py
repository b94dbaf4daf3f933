"""Publish to streams of NATS JetStream: what is published is stored by the server, or an error says why not."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any, TypeVar

from nats.errors import Error as NatsError
from nats.js.errors import NoStreamResponseError

from foretwin.twin.connectors.connections.connections_file import Peer
from foretwin.twin.connectors.jetstream.server_session import opened_server

ANSWER, LEAVING = 5.0, 10.0  # s that the server may take for a message, and the end of the connection
T = TypeVar("T")
Publish = Callable[[str, bytes, dict[str, str]], None]


@contextmanager
def opened_streams(peer: Peer) -> Iterator[Publish]:
    """Give a function that publishes to a subject, with a body and headers, and waits for the stream that keeps it.

    The connection is made by the first call, and anew by the first after it broke, on a thread of its own. It raises
    OSError where the server does not take it, BrokerError where it refuses us.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name=f"publish-{peer.name}", daemon=True)
    thread.start()
    line = _Line(peer)

    def wait(work: Coroutine[Any, Any, T], seconds: float) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(seconds)

    def publish(subject: str, body: bytes, headers: dict[str, str]) -> None:
        wait(line.publish(subject, body, headers), 4 * ANSWER)

    try:
        yield publish
    finally:
        wait(line.end(), LEAVING)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(LEAVING)
        loop.close()


class _Line:
    def __init__(self, peer: Peer) -> None:
        self._peer, self._open = peer, AsyncExitStack()
        self._session: Any = None  # client and loss

    async def publish(self, subject: str, body: bytes, headers: dict[str, str]) -> None:
        if self._session is None or self._session[1].is_set():
            await self.end()
            self._session = await self._open.enter_async_context(opened_server(self._peer))
        try:
            await self._session[0].jetstream().publish(subject, body, timeout=ANSWER, headers=headers)
        except NoStreamResponseError:
            raise OSError(f"{self._peer.name}: no stream holds {subject}; make one") from None
        except (NatsError, TimeoutError) as error:
            await self.end()
            raise OSError(f"{self._peer.name}: {error or 'the server does not answer'}") from None

    async def end(self) -> None:
        self._session = None
        await self._open.aclose()
