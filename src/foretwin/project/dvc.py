"""DVC as a command: run stages, locate the cache."""

import os
import subprocess
import sys
from pathlib import Path

from foretwin.project.entrypoint import TELEMETRY_OFF


def dvc(root: Path, *arguments: str, shown: bool = False) -> subprocess.CompletedProcess[str]:
    """Run `dvc` in the project's folder; its output is in the result, and with `shown` also on the terminal.

    With `shown`, both output streams are merged in `stdout`.
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
