"""DVC as a command, for what only it can do: run stages, say where its cache lies."""

import os
import subprocess
import sys
from pathlib import Path

from foretwin.project.entrypoint import TELEMETRY_OFF


def dvc(root: Path, *arguments: str, shown: bool = False) -> subprocess.CompletedProcess[str]:
    """Run `dvc` in the project's folder; what it prints is in the result, and on the terminal too where it is `shown`.

    Where it is shown, both of its streams are one, in `stdout`.
    """
    command = [sys.executable, "-m", "dvc", *arguments]
    environment = TELEMETRY_OFF | os.environ  # a user's own setting wins
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
