"""`/livez`, `/readyz` and `/metrics` of a process, on a port of their own."""

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from foretwin.errors import BadInput, ParamsError
from foretwin.operations.health.process_state import ProcessState
from foretwin.project.settings import read_port, read_setting
from foretwin.serving.http.localhost_only import LoopbackOnly, check_loopback
from foretwin.serving.http.problems import HANDLERS, Problem
from foretwin.serving.http.uvicorn_settings import open_listener, uvicorn_settings

PORT, HOST = "FORETWIN_HEALTH_PORT", "FORETWIN_HEALTH_HOST"
ENDING = 3.0  # seconds for the last answers
logger = logging.getLogger("foretwin.health")


@contextmanager
def health_served(state: ProcessState) -> Iterator[str | None]:
    """Serve the health of this process for the body's time; the URL, None where no port is set.

    FORETWIN_HEALTH_PORT and FORETWIN_HEALTH_HOST say where. ParamsError where that cannot be listened on.
    """
    port, host = read_port(PORT), read_setting(HOST)
    if port is None:
        yield None
        return
    with _listener(host, port) as listener:
        config = uvicorn.Config(timeout_graceful_shutdown=1, **uvicorn_settings(health_app(state, host), os.environ))
        server = uvicorn.Server(config)
        # The process' own signals end it, not this server's.
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="health", daemon=True)
        thread.start()
        address, number = listener.getsockname()[:2]
        url = f"http://{f'[{address}]' if ':' in address else address}:{number}"
        logger.info("health of %s on %s", state.name, url)
        try:
            yield url
        finally:
            server.should_exit = True
            thread.join(ENDING)


def health_app(state: ProcessState, host: str = "127.0.0.1") -> Starlette:
    """Build the application; on a loopback address it answers this machine alone."""

    async def alive(request: Request) -> Response:  # noqa: ARG001
        return _told(state.not_alive(), "alive")

    async def ready(request: Request) -> Response:  # noqa: ARG001
        return _told(await run_in_threadpool(state.not_ready), "ready")

    async def metrics(request: Request) -> Response:  # noqa: ARG001
        return Response(await run_in_threadpool(state.exposition), headers={"content-type": CONTENT_TYPE_LATEST})

    paths: dict[str, Callable[..., object]] = {"/livez": alive, "/readyz": ready, "/metrics": metrics}
    doors = [Middleware(LoopbackOnly)] if _is_loopback(host) else []
    routes = [Route(path, end) for path, end in paths.items()]
    return Starlette(routes=routes, exception_handlers=HANDLERS, middleware=doors)


def _told(wrong: str | None, word: str) -> Response:
    return Problem(503, "service", wrong) if wrong else JSONResponse({"status": word})


def _is_loopback(host: str) -> bool:
    try:
        check_loopback(host)
    except BadInput:
        return False
    return True


def _listener(host: str, port: int) -> socket.socket:
    try:
        return open_listener(host, port, 16)
    except OSError as error:
        reason = f"{port} cannot be used on {host}: {error.strerror}; give each process a port of its own"
        raise ParamsError(f"{PORT}: {reason}") from None
