"""DVC as a command, for what only it can do: run stages, say where its cache lies."""

import os
import subprocess
import sys
from pathlib import Path

from foretwin.edge import TELEMETRY_OFF


def dvc(root: Path, *arguments: str, shown: bool = False) -> subprocess.CompletedProcess[str]:
    """Run `dvc` in the project's folder; its output is on the terminal where it is `shown`, else in the result."""
    command = [sys.executable, "-m", "dvc", *arguments]
    environment = TELEMETRY_OFF | os.environ  # a user's own setting wins
    return subprocess.run(command, cwd=root, env=environment, capture_output=not shown, text=True, check=False)
