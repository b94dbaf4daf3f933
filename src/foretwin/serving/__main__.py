"""Run the scoring service as one process: `python -m foretwin.serving`.

FORETWIN_BENTO is the folder of a Bento, whose models answer; FORETWIN_PROJECT that of a project, whose champions answer
and are followed. At least one is needed. FORETWIN_HOST, FORETWIN_PORT say where to listen.
"""

import os

import uvicorn

from foretwin.project.entrypoint import exit_on_error
from foretwin.project.settings import check_names, read_port, read_setting
from foretwin.serving.http.localhost_only import check_loopback
from foretwin.serving.http.logs import log_json
from foretwin.serving.http.uvicorn_settings import uvicorn_settings
from foretwin.serving.scoring.app import create_scoring_app
from foretwin.serving.scoring.start import following, freeze, start

GRACE = 20  # seconds for the calls in flight when it is told to end


def run_service() -> None:
    """Serve until Ctrl-C or SIGTERM."""
    check_names()
    log_json()
    host = read_setting("FORETWIN_HOST")
    service = start(os.environ)
    if service.guard.is_open:
        check_loopback(host)
    app = create_scoring_app(service, following(service, os.environ))
    freeze()
    uvicorn.run(
        host=host,
        port=read_port("FORETWIN_PORT") or 0,
        loop="uvloop",
        date_header=False,
        timeout_graceful_shutdown=GRACE,
        **uvicorn_settings(app, os.environ),
    )


if __name__ == "__main__":
    with exit_on_error():
        run_service()
