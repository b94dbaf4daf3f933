"""What a plant's other side is to the bench: it holds values for who comes later, and sends some at a pace."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from benchmarks.speed.connectors.drains import Drain, Heard
from benchmarks.speed.connectors.workload import VALUES

BUS_TAGS = '[{at: "factory/{asset}/{channel}", value: $.v, time: $.t}]'


class Feed(Protocol):
    """A server with values. `ticks` of a round, `batch`: values of a transaction from memory."""

    ticks: int
    batch: int
    connection: str  # in YAML
    bare: Drain  # a process: (*bare_arguments, stop, told)

    def start(self, folder: Path) -> None:
        """Start the server."""

    def stop(self) -> None:
        """End it."""

    def prepare(self, store_url: str) -> None:
        """Have the values of a round wait for the bare client, and for who listens for this store."""

    def bare_arguments(self) -> tuple[object, ...]:
        """What the bare client is told."""

    def begin(self, heard: Heard) -> float | None:
        """Let the values of a round come where they do not wait, once somebody who is heard listens; when that was."""

    def send(self, tick: int) -> None:
        """Send the values of a tick as of now."""


def at_a_pace(send: Callable[[int], None], values_a_second: float, seconds: float) -> int:
    """Send ticks evenly for so long; how many values that were."""
    every, begin = VALUES / values_a_second, time.monotonic()
    ticks = max(1, round(seconds / every))
    for tick in range(ticks):
        time.sleep(max(0.0, begin + tick * every - time.monotonic()))
        send(tick)
    return ticks * VALUES
