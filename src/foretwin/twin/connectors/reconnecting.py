"""Make a connection anew whenever it breaks, for connectors that run in a loop of asyncio."""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable

from foretwin.project.loops import Backoff
from foretwin.twin.connectors.connection_state import ConnectionState

LOOK = 0.2  # s between two looks whether to stop


async def keep_connected(
    listen_once: Callable[[], Awaitable[str]],
    away: tuple[type[Exception], ...],
    stop: threading.Event,
    state: ConnectionState,
    backoff: Backoff,
) -> None:
    """Await `listen_once` until `stop` is set; it returns why its connection was lost, or raises one of `away`."""
    failures = 0
    while not stop.is_set():
        begin = time.monotonic()
        try:
            why = await listen_once()
        except away as error:
            why = str(error) or type(error).__name__
        if stop.is_set():
            return
        if state.trouble != why:
            logging.getLogger("foretwin.connections").warning("%s: connection lost: %s; trying again", state.name, why)
        state.mark_lost(why)
        failures = 1 if time.monotonic() - begin > backoff.longest else failures + 1
        until = time.monotonic() + backoff.wait(failures)
        while time.monotonic() < until and not stop.is_set():
            state.heartbeat.beat()
            await asyncio.sleep(min(LOOK, max(0.0, until - time.monotonic())))
