"""Programs of npm that tests speak with: a folder with the package and our script, which node runs."""

import shutil
import subprocess
from pathlib import Path

from support.archives import leave_out

SUPPORT = Path(__file__).parent


def npm_folder(folder: Path, package: str, script: str) -> Path:
    """The folder, with `package` (NAME@VERSION) installed and the script of tests/support beside it."""
    if shutil.which("npm") is None:
        leave_out(f"npm is not installed: no {package}")
    command = ["npm", "install", "--no-audit", "--no-fund", "--silent", package]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    if done.returncode:
        leave_out(f"npm could not install {package}")
    shutil.copy(SUPPORT / script, folder)
    return folder
