"""Run the packaged Bento as a service."""

import os
import sys
from pathlib import Path
from typing import NoReturn

from foretwin.project.entrypoint import TELEMETRY_OFF
from foretwin.serving.packaging.bento import build

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def serve(root: Path, port: int, host: str = "127.0.0.1", open_: bool = False) -> NoReturn:
    """Replace this process by `python -m foretwin.serving` on the Bento of all champions, with the Bento's own code.

    `open_` lets everybody in, whatever the environment says. Errors as `build`.
    """
    bento = build(root).folder
    settings = {
        "FORETWIN_BENTO": str(bento),
        "FORETWIN_PROJECT": str(root.resolve()),
        "FORETWIN_HOST": host,
        "FORETWIN_PORT": str(port),
    }
    if open_:
        settings["FORETWIN_ACCESS"] = "open"
    environment = {**TELEMETRY_OFF, **ONE_THREAD, **os.environ, **settings}
    os.chdir(bento / "src")
    command = [sys.executable, "-m", "foretwin.serving"]
    os.execve(sys.executable, command, environment)  # noqa: S606 - a shell would only stand between signals and server
