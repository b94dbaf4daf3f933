"""A NATS server whose stream holds one value a message."""

import asyncio
import threading
import time
from collections.abc import Coroutine
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import nats
import orjson
from nats.errors import TimeoutError as NatsTimeout
from nats.js.api import StreamConfig

from benchmarks.reliability.nats_plant import NatsServer
from benchmarks.speed.connectors.drains import Heard, Teller
from benchmarks.speed.connectors.feeds import BUS_TAGS
from benchmarks.speed.connectors.workload import PlantValue, as_body, tick_values
from foretwin.twin.connectors.jetstream.durable_consumer import BATCH

FETCHED, AT_ONCE = 500, 200  # messages of one question; published before an answer is waited for
STREAM = "factory"


def pull_messages(url: str, consumer: str, stop: Event, told: Connection) -> None:
    """A plain client that pulls, decodes JSON and acknowledges each message."""

    async def pull() -> None:
        client = await nats.connect(url)
        found = await client.jetstream().pull_subscribe("factory.>", consumer, stream=STREAM)
        teller = Teller(told)
        while not stop.is_set():
            with suppress(NatsTimeout, TimeoutError):
                for one in await found.fetch(FETCHED, timeout=1):
                    teller.note(1 if orjson.loads(one.data)["v"] is not None else 0)
                    await one.ack()
            teller.flush()
        await client.close()

    asyncio.run(pull())


class NatsFeed:
    """The server, and a client that publishes."""

    ticks, batch = 300, BATCH
    bare = staticmethod(pull_messages)

    def start(self, folder: Path) -> None:
        """Start the server, and fill the stream: each consumer begins with its first message."""
        self.server, self._rounds = NatsServer(folder / "nats").start(), 0
        self.connection = f'url: "{self.server.url}", tags: {BUS_TAGS}'
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._wait(self._connect())

    def stop(self) -> None:
        """End it."""
        self._wait(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self.server.kill()

    def prepare(self, store_url: str) -> None:
        """The stream holds them."""
        del store_url
        self._rounds += 1
        self._wait(self._fill())

    def bare_arguments(self) -> tuple[object, ...]:
        """Its URL, and a consumer that has read nothing."""
        return self.server.url, f"bare-{self._rounds}"

    def begin(self, heard: Heard) -> None:
        """They wait already."""

    def send(self, tick: int) -> None:
        """Publish the values of a tick as of now."""
        self._wait(self._publish(list(tick_values(tick, time.time_ns() // 1000))))

    async def _connect(self) -> None:
        self._client = await nats.connect(self.server.url)
        self._context = self._client.jetstream()

    async def _fill(self) -> None:
        """Make the stream anew: what was sent at a pace is of another time."""
        with suppress(nats.js.errors.NotFoundError):
            await self._context.delete_stream(STREAM)
        await self._context.add_stream(StreamConfig(STREAM, subjects=["factory.>"]))
        for tick in range(self.ticks):
            await self._publish(list(tick_values(tick)))

    async def _publish(self, values: list[PlantValue]) -> None:
        for begin in range(0, len(values), AT_ONCE):
            some = values[begin : begin + AT_ONCE]
            subjects = [f"factory.{one.pump}.{one.channel}" for one in some]
            sent = [self._context.publish(where, as_body(one)) for where, one in zip(subjects, some, strict=True)]
            await asyncio.gather(*sent)

    def _wait(self, work: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(120)
