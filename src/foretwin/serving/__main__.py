"""Run the scoring service as one process: `python -m foretwin.serving`.

FORETWIN_BENTO is the folder of a Bento, whose models answer; FORETWIN_PROJECT that of a project, whose champions answer
and are followed. At least one is needed. FORETWIN_HOST, FORETWIN_PORT say where to listen.
"""

import os

import uvicorn

from foretwin.errors import ParamsError
from foretwin.project.entrypoint import exit_on_error
from foretwin.serving.http.localhost_only import check_loopback
from foretwin.serving.http.logs import log_json
from foretwin.serving.http.uvicorn_settings import uvicorn_settings
from foretwin.serving.scoring.app import create_scoring_app
from foretwin.serving.scoring.start import following, freeze, start

HOST, PORT = "127.0.0.1", 3000
GRACE = 20  # seconds for the calls in flight when it is told to end


def run_service() -> None:
    """Serve until Ctrl-C or SIGTERM."""
    log_json()
    host = os.environ.get("FORETWIN_HOST", HOST)
    service = start(os.environ)
    if service.guard.is_open:
        check_loopback(host)
    app = create_scoring_app(service, following(service, os.environ))
    freeze()
    uvicorn.run(
        host=host,
        port=_port(os.environ.get("FORETWIN_PORT", str(PORT))),
        loop="uvloop",
        date_header=False,
        timeout_graceful_shutdown=GRACE,
        **uvicorn_settings(app, os.environ),
    )


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise ParamsError(f'FORETWIN_PORT: is "{text[:60]}", a number from 0 to 65535 is needed')
    return int(text)


if __name__ == "__main__":
    with exit_on_error():
        run_service()
