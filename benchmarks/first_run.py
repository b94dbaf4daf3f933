"""Time what a newcomer types, in a fresh clone of the committed state; writes reports/first_run.json.

    python -m benchmarks.first_run

Takes a few minutes: it installs everything anew.
"""

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.training.ensemble import git_state

STEPS = {
    "install": "make setup",
    "run": "make run",
    "repeat": ".venv/bin/dvc repro",
    "help": ".venv/bin/foretwin --help",
}


def main(out: Path = Path("reports/first_run.json")) -> None:
    """Clone, run each step, write its seconds, and what git calls changed then; a failing step fails this too."""
    kept = ("HOME", "LANG", "PATH", "SSL_CERT_FILE")
    environment = {name: value for name, value in os.environ.items() if name in kept or name.startswith("PIP_")}
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "foretwin"
        subprocess.run(["git", "clone", "--quiet", ".", str(clone)], check=True)
        for name, command in STEPS.items():
            begin = time.perf_counter()
            subprocess.run(["sh", "-c", command], cwd=clone, env=environment, check=True)
            seconds[name] = round(time.perf_counter() - begin, 2)
        status = ["git", "status", "--porcelain"]
        changed = subprocess.run(status, cwd=clone, check=True, capture_output=True, text=True).stdout.splitlines()
    result = {"cores": os.cpu_count(), "commit": git_state(Path())["commit"], "seconds": seconds, "changed": changed}
    with fresh_file(out) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    with exit_on_error():
        main()
