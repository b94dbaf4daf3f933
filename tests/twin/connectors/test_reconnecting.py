"""Connections that are lost together are made anew apart."""

import asyncio
import threading
import time
from collections import defaultdict

import numpy as np

from foretwin.project.loops import Backoff
from foretwin.twin.connectors.connection_state import ConnectionState
from foretwin.twin.connectors.mqtt.session import BACKOFF
from foretwin.twin.connectors.reconnecting import keep_connected


def test_those_who_lost_their_connection_together_come_back_apart():
    waits = [BACKOFF.wait(1) for _ in range(200)]
    assert np.quantile(waits, 0.9) - np.quantile(waits, 0.1) > 0.3  # of the first second
    came, stop = defaultdict(list), threading.Event()

    async def in_vain(name: str) -> str:
        came[name].append(time.monotonic())
        raise OSError("away")

    async def storm() -> None:
        backoff = Backoff(0.4, 0.4, jitter=0.5)
        each = [ConnectionState(f"c{number}") for number in range(100)]
        lines = [keep_connected(lambda one=one: in_vain(one.name), (OSError,), stop, one, backoff) for one in each]
        await asyncio.gather(*lines, _end(stop))

    asyncio.run(storm())
    second = np.array([moments[1] for moments in came.values()])
    assert len(second) == 100
    counts, _ = np.histogram(second, bins=np.arange(second.min(), second.max() + 0.02, 0.02))
    assert counts.max() < 60  # two of three would come within a hundredth of a second where chance has no say


async def _end(stop: threading.Event) -> None:
    await asyncio.sleep(0.6)
    stop.set()
