"""`foretwin live`: the application behind uvicorn; on loopback alone where nobody needs a key."""

import os
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from foretwin.errors import BadInput
from foretwin.project.loops import Heartbeat
from foretwin.serving.access.authentication import Guard
from foretwin.serving.http.localhost_only import check_loopback
from foretwin.serving.http.requests import Observed
from foretwin.serving.http.tls import scheme
from foretwin.serving.http.tracing import traced
from foretwin.serving.http.uvicorn_settings import open_listener, uvicorn_settings
from foretwin.serving.scoring.metrics import Metrics
from foretwin.twin.api.app import create_twin_app
from foretwin.twin.store import Store

GRACE = 10  # seconds for calls that are under way when it ends
NAME = "foretwin-live"  # in traces
SWITCH = 0.001  # seconds that a reading thread keeps the interpreter while a writing one waits; Python's own is 0.005


@dataclass(frozen=True)
class LiveState:
    """What the process says of itself: whether its event loop turns, and its calls."""

    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    calls: Metrics = field(default_factory=Metrics)


class _Server(uvicorn.Server):
    """uvicorn's server; its event loop beats every tenth of a second."""

    def __init__(self, config: uvicorn.Config, heartbeat: Heartbeat) -> None:
        super().__init__(config)
        self.heartbeat = heartbeat

    async def on_tick(self, counter: int) -> bool:
        """Note that the event loop turns."""
        self.heartbeat.done()
        return await super().on_tick(counter)


def serve_twins(  # noqa: PLR0913, PLR0917 - what is served, where, and who hears of it
    store: Store,
    root: Path,
    guard: Guard,
    address: tuple[str, int],
    stop: threading.Event,
    started: Callable[[str], None],
    state: LiveState | None = None,
) -> int:
    """Serve until `stop` is set, then finish what is under way; returns how many calls there were.

    `started` hears the URL once it is listened on; port 0 takes a free one. `state` shows how it goes. BadInput for a
    port that is taken, and for a host that others reach where the guard is open.
    """
    host = check_loopback(address[0]) if guard.is_open else address[0]
    state = state or LiveState()
    calls = state.calls
    app = Observed(create_twin_app(store, root, guard), calls.request, calls.refused, calls.begun)
    with _listener(host, address[1]) as listener:
        config = uvicorn.Config(timeout_graceful_shutdown=GRACE, **uvicorn_settings(traced(app, NAME), os.environ))
        server = _Server(config, state.heartbeat)
        sys.setswitchinterval(SWITCH)
        watcher = threading.Thread(target=_end, args=(server, stop), daemon=True)
        watcher.start()
        host, port = listener.getsockname()[:2]
        started(f"{scheme(os.environ)}://{f'[{host}]' if ':' in host else host}:{port}")
        server.run(sockets=[listener])
        stop.set()
        return server.server_state.total_requests


def _end(server: uvicorn.Server, stop: threading.Event) -> None:
    stop.wait()
    server.should_exit = True


def _listener(host: str, port: int) -> socket.socket:
    try:
        return open_listener(host, port, 128)
    except OSError as error:
        raise BadInput("--port", f"{port} cannot be used: {error.strerror}; choose another one") from None
