"""DVC as a command: run stages, locate the cache."""

import os
import subprocess
import sys
from pathlib import Path

from foretwin.project.entrypoint import TELEMETRY_OFF


def dvc(root: Path, *arguments: str, shown: bool = False) -> subprocess.CompletedProcess[str]:
    """Run `dvc` in the project's folder; its output is in the result, and with `shown` also on the terminal.

    Where it is shown, both of its streams are one, in `stdout`. Stages run by this interpreter's `python`.
    """
    command = [sys.executable, "-m", "dvc", *arguments]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    environment = TELEMETRY_OFF | os.environ | {"PATH": path}  # a user's own switch of telemetry wins
    if not shown:
        return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    said = []
    with subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        for line in running.stdout or ():
            sys.stdout.write(line)
            sys.stdout.flush()
            said.append(line)
    return subprocess.CompletedProcess(command, running.returncode, "".join(said), "")
