"""Messages of a durable consumer by requests of our own: the client's `fetch` makes a task and a timer for each one.

A request is answered by up to so many messages, and by a status where it ends before. None stays open while what came
is stored: what the server gave, and nobody has acknowledged, it gives again only after a while.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

NEXT = "$JS.API.CONSUMER.MSG.NEXT"
WAITED, LATE = 1.0, 5.0  # s that the server waits for a message, and that it may take to tell that there is none
NOTHING = ("404", "408")  # statuses of a request that is over: there was no message, or none in time
OVER = (*NOTHING, "MaxBytes", "Batch Completed")
STATUS, DESCRIPTION = "Status", "Description"


@dataclass(frozen=True)
class GivenOut:
    """What the server tells of a message: how often it gave it, its number in the stream, how many come after it."""

    delivered: int
    number: int
    pending: int

    @classmethod
    def of(cls, message: Msg) -> "GivenOut":
        """Read it from the subject that its acknowledgement goes to, of which there are two forms."""
        words = message.reply.split(".")
        first = 4 if len(words) == 9 else 6  # the shorter one names no domain and account
        return cls(int(words[first]), int(words[first + 1]), int(words[first + 4]))


@dataclass(frozen=True)
class Pulled:
    """Messages, with what the server tells of each; if `is_all` it had none but these at `asked`, of time.monotonic."""

    messages: list[tuple[Msg, GivenOut]]
    asked: float
    is_all: bool


class PullRequests:
    """Requests for up to `most` messages of up to `size` bytes together."""

    def __init__(self, client: Client, stream: str, consumer: str, most: int, size: int) -> None:
        self._client, self._subject = client, f"{NEXT}.{stream}.{consumer}"
        self._inbox, self._requests = client.new_inbox(), 0
        self._most, self._size = most, size
        self._came: list[tuple[Msg, GivenOut]] = []
        self._wanted, self._end = 0, ""  # messages that are enough; what the server told at the end of the request
        self._changed = asyncio.Event()

    async def begin(self) -> None:
        """Listen for answers."""
        await self._client.subscribe(f"{self._inbox}.*", cb=self._note, pending_bytes_limit=0)

    async def fetch(self) -> Pulled:
        """Return what the server has; where that is nothing, what comes within a while."""
        asked = await self._ask({"batch": self._most, "max_bytes": self._size, "no_wait": True})
        if not self._came:
            asked = await self._ask({"batch": 1, "expires": int(WAITED * 1e9)})
            if self._came:
                asked = await self._ask({"batch": self._most - 1, "max_bytes": self._size, "no_wait": True})
        came, self._came = self._came, []
        return Pulled(came, asked, self._end.startswith(NOTHING) or bool(came and came[-1][1].pending == 0))

    async def _ask(self, what: dict[str, Any]) -> float:
        """Ask, and wait for the answer; return when it was asked. NatsError where the server takes no request."""
        self._requests += 1
        self._wanted, self._end = len(self._came) + int(what["batch"]), ""
        asked = time.monotonic()
        await self._client.publish(self._subject, orjson.dumps(what), f"{self._inbox}.{self._requests}")
        while not self._is_answered():
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), max(0.0, asked + LATE - time.monotonic()))
            except TimeoutError:
                break
        if self._end and not self._came and not any(word in self._end for word in OVER):
            raise NatsError(self._end)
        return asked

    def _is_answered(self) -> bool:
        return bool(self._end) or len(self._came) >= self._wanted

    async def _note(self, message: Msg) -> None:
        told = message.headers or {}
        if STATUS not in told:
            self._came.append((message, GivenOut.of(message)))
        elif message.subject == f"{self._inbox}.{self._requests}":
            self._end = f"{told[STATUS]} {told.get(DESCRIPTION, '')}"
        if self._is_answered():
            self._changed.set()
