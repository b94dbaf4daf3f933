"""Calls for a scoring service as fast as it answers, or at a fixed rate whether it answers or not.

    python -m benchmarks.reliability.soak.load PLAN.json OUT.npz

PLAN holds the calls as they are sent, how many connections, for how long, and the rate, null for as fast as answers
come. OUT has for each call when it was sent and answered (s of the monotonic clock), its twin by its place in PLAN,
the version that answered, and the status; 0 stands for a connection that broke. It is a process of its own, so that
nothing else that the soak does slows the calls down.
"""

import asyncio
import json
import re
import sys
import time
from array import array
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
VERSION = re.compile(rb'"version":"(\d+)"')
TICK = 0.001  # s between two looks at how many calls are due
PATIENCE = 10  # s for the answers that are missing in the end


@dataclass
class Seen:
    """One entry per call that is over."""

    sent: "array[float]" = field(default_factory=lambda: array("d"))
    done: "array[float]" = field(default_factory=lambda: array("d"))
    twin: "array[int]" = field(default_factory=lambda: array("B"))
    version: "array[int]" = field(default_factory=lambda: array("L"))
    status: "array[int]" = field(default_factory=lambda: array("H"))

    def add(self, sent: float, twin: int, version: int, status: int) -> None:
        """A call that is over now."""
        self.sent.append(sent)
        self.done.append(time.monotonic())
        self.twin.append(twin)
        self.version.append(version)
        self.status.append(status)


class Caller(asyncio.Protocol):
    """One keep-alive connection with one call at a time in flight."""

    def __init__(self, load: "Load") -> None:
        self.load = load
        self.transport: asyncio.Transport | None = None
        self.received = b""
        self.awaits: tuple[float, int] | None = None  # when its call was sent, and for which twin

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready for its first call."""
        self.transport = transport  # type: ignore[assignment]
        self.load.open.add(self)
        self.load.is_idle(self)

    def call(self, since: float) -> None:
        """Send the next call, which was due `since`."""
        twin, content = self.load.next_call()
        self.awaits = (since, twin)
        assert self.transport is not None  # noqa: S101 - connection_made came first
        self.transport.write(content)

    def data_received(self, data: bytes) -> None:
        """Take in an answer once it is whole."""
        self.received = self.received + data if self.received else data
        head = self.received.find(b"\r\n\r\n")
        if head < 0 or self.awaits is None:
            return
        told = LENGTH.search(self.received, 0, head + 2)
        if told is None or len(self.received) < head + 4 + int(told[1]):
            return
        version = VERSION.search(self.received, head)
        self.load.seen.add(*self.awaits, int(version[1]) if version else 0, int(self.received[9:12]))
        self.received, self.awaits = b"", None
        self.load.is_idle(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Count the call that gets no answer, and open another connection."""
        if self.awaits is not None:
            self.load.seen.add(*self.awaits, 0, 0)
        self.load.lost(self)


class Load:
    """All connections, and the calls that they send in turn."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan, self.seen = plan, Seen()
        self.calls = [(twin, content.encode()) for twin, content in plan["calls"]]
        self.at, self.ends = 0, time.monotonic() + plan["seconds"]
        self.idle: deque[Caller] = deque()
        self.open: set[Caller] = set()
        self.tasks: set[asyncio.Task[None]] = set()

    def next_call(self) -> tuple[int, bytes]:
        """The twin's place in the plan and the request's bytes."""
        self.at = (self.at + 1) % len(self.calls)
        return self.calls[self.at]

    def is_idle(self, caller: Caller) -> None:
        """A connection without a call: it gets one at once where answers set the rate."""
        now = time.monotonic()
        if self.plan["rate"] is None and now < self.ends:
            caller.call(now)
        else:
            self.idle.append(caller)

    def lost(self, caller: Caller) -> None:
        """A connection that ended: another one takes its place while the load lasts."""
        self.open.discard(caller)
        if caller in self.idle:
            self.idle.remove(caller)
        if time.monotonic() < self.ends:
            task = asyncio.get_running_loop().create_task(self.connect())
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def connect(self) -> None:
        """Open one connection; one that cannot be opened counts as a broken call."""
        try:
            await asyncio.get_running_loop().create_connection(lambda: Caller(self), "127.0.0.1", self.plan["port"])
        except OSError:
            self.seen.add(time.monotonic(), 0, 0, 0)

    async def run(self) -> None:
        """Keep it up for the plan's seconds, then wait for what is in flight."""
        for _ in range(self.plan["connections"]):
            await self.connect()
        if self.plan["rate"] is None:
            await asyncio.sleep(self.plan["seconds"])
        else:
            await self._at_rate(self.plan["rate"])
        patience = time.monotonic() + PATIENCE
        while len(self.idle) < self.plan["connections"] and time.monotonic() < patience:
            await asyncio.sleep(0.01)
        for caller in self.open:
            if caller.awaits is not None:
                self.seen.add(*caller.awaits, 0, 0)

    async def _at_rate(self, rate: float) -> None:
        """Send each call when it is due. One that finds every connection busy waits, and its wait counts as latency."""
        begin, sent = time.monotonic(), 0
        waited = False
        while (now := time.monotonic()) < self.ends:
            while self.idle and sent < (now - begin) * rate:
                self.idle.popleft().call(begin + sent / rate if waited else now)
                sent += 1
            waited = sent < int((now - begin) * rate)
            await asyncio.sleep(TICK)


def main(plan: Path, out: Path) -> None:
    """Do what the plan says and write what was seen."""
    load = Load(json.loads(plan.read_text()))
    uvloop.run(load.run())
    columns = {name: np.array(values) for name, values in vars(load.seen).items()}
    np.savez(out, allow_pickle=False, **columns)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
