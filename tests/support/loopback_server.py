"""An ASGI application behind a real uvicorn on loopback, as the services run theirs."""

import socket
import threading
import time
from contextlib import contextmanager

import uvicorn

from foretwin.serving.http.uvicorn_settings import uvicorn_settings


@contextmanager
def served(app, **environ):
    """Its URL while the body runs; its lifespan has ended afterwards. `environ` holds settings of the services."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(timeout_graceful_shutdown=5, **uvicorn_settings(app, environ))
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        end = time.monotonic() + 10
        while not server.started:
            assert thread.is_alive(), "the application did not start"
            assert time.monotonic() < end, "the application does not come up"
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)
