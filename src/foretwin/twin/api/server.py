"""`foretwin live`: the application behind uvicorn; on loopback alone where nobody needs a key."""

import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import uvicorn

from foretwin.errors import BadInput
from foretwin.serving.access.authentication import Guard
from foretwin.serving.http.localhost_only import check_loopback
from foretwin.serving.http.tls import scheme
from foretwin.serving.http.uvicorn_settings import uvicorn_settings
from foretwin.twin.api.app import create_twin_app
from foretwin.twin.store import Store

GRACE = 10  # seconds for calls that are under way when it ends
SWITCH = 0.001  # seconds that a reading thread keeps the interpreter while a writing one waits; Python's own is 0.005


def serve_twins(
    store: Store,
    root: Path,
    guard: Guard,
    address: tuple[str, int],
    stop: threading.Event,
    started: Callable[[str], None],
) -> int:
    """Serve until `stop` is set, then finish what is under way; returns how many calls there were.

    `started` hears the URL once it is listened on; port 0 takes a free one. BadInput for a port that is taken, and for
    a host that others reach where the guard is open.
    """
    host = check_loopback(address[0]) if guard.is_open else address[0]
    app = create_twin_app(store, root, guard)
    with _listener(host, address[1]) as listener:
        config = uvicorn.Config(timeout_graceful_shutdown=GRACE, **uvicorn_settings(app, os.environ))
        server = uvicorn.Server(config)
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
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small answers at once only where the socket names its protocol; else each waits 40 ms (Nagle).
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise BadInput("--port", f"{port} cannot be used: {error.strerror}; choose another one") from None
    return listener
