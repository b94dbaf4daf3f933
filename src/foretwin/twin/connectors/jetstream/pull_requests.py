"""Messages of a durable consumer by requests of our own: the client's `fetch` makes a task and a timer for each one.

A request is answered by up to so many messages, and by a status at its end. One that is not used up stays open, and
what comes by it is kept for the next `fetch`.
"""

import asyncio
import math
import time
from dataclasses import dataclass

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

NEXT = "$JS.API.CONSUMER.MSG.NEXT"
WAITED, LATE = 1.0, 5.0  # s that the server waits for messages, and after which it has forgotten the request
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
        self._inbox = client.new_inbox()
        asked = {"batch": most, "max_bytes": size, "expires": int(WAITED * 1e9)}
        self._body, self._most = orjson.dumps(asked), most
        self._came: list[tuple[Msg, GivenOut]] = []
        self._asked, self._open = -math.inf, 0  # when, and how many messages may still come
        self._is_ended = False
        self._changed = asyncio.Event()
        self._end = ""  # what the server told at the end of the request

    async def begin(self) -> None:
        """Listen for answers."""
        self._answers = await self._client.subscribe(self._inbox, cb=self._note, pending_bytes_limit=0)

    async def fetch(self) -> Pulled:
        """Return what came; none after a while in which nothing did. NatsError where the server takes no request."""
        if not self._is_ended and (not self._open or time.monotonic() - self._asked > LATE):
            self._asked, self._open, self._end = time.monotonic(), self._most, ""
            await self._client.publish(self._subject, self._body, self._inbox)
        while self._open and not self._is_drained() and not self._is_ended:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), max(0.0, self._asked + LATE - time.monotonic()))
            except TimeoutError:
                break
        if self._end and not self._came and not any(word in self._end for word in OVER):
            raise NatsError(self._end)
        is_all = self._is_drained() if self._came else self._end.startswith(NOTHING)
        came, self._came = self._came, []
        return Pulled(came, self._asked, is_all)

    async def finish(self) -> None:
        """Ask for nothing more; the next `fetch` returns what has come."""
        await self._answers.drain()
        self._is_ended = True

    def _is_drained(self) -> bool:
        """Whether the server had no more when it gave the last message."""
        return bool(self._came) and self._came[-1][1].pending == 0

    async def _note(self, message: Msg) -> None:
        told = message.headers or {}
        if STATUS in told:
            self._open, self._end = 0, f"{told[STATUS]} {told.get(DESCRIPTION, '')}"
        else:
            self._came.append((message, GivenOut.of(message)))
            self._open = max(0, self._open - 1)
        if not self._open or self._is_drained():
            self._changed.set()
