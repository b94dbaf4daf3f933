"""The process of a machine type in the making: `python -m foretwin.twin.newcomers.job_process looking|building`.

It runs what somebody would type in the project's folder: `foretwin new`, or `foretwin add` and `dvc repro`.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from foretwin.project.files import fresh_file
from foretwin.project.paths import Paths
from foretwin.twin.newcomers.job import FOLDER, UPLOAD, Job, Step, keep_job, log_end

NICE = 10  # machines and people come first
LONGEST = 6 * 3600.0  # s of a command
PATIENCE = 10.0  # s that somebody may look whether the lock is free
LAST_LINES = 3


def do_job(root: Path = Path()) -> None:
    """Take the lock, say so on the standard output, and do what the job says."""
    with FileLock(root / FOLDER / "lock", timeout=PATIENCE):
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        job = Job(**json.loads((root / FOLDER / "job.json").read_text(encoding="utf-8")))
        step, message = look_at_file(root, job) if job.step == "looking" else train_type(root, job)
        keep_job(root, replace(job, step=step, message=message, finished_at=datetime.now(UTC).isoformat()))


def look_at_file(root: Path, job: Job) -> tuple[Step, str]:
    """Draft the contract. Without one nothing is left of the machine type; but what a first look drafted stays."""
    contract = Paths(root, job.twin).contract
    before = contract.read_bytes() if contract.exists() else None
    contract.unlink(missing_ok=True)
    told = [part for column, meaning in job.columns.items() for part in ("--column", f"{column}={meaning}")]
    if run_command(root, "foretwin.cli", "new", job.twin, f"data/{job.twin}/{UPLOAD}", *told):
        return "drafted", ""
    if before is None:
        shutil.rmtree(Paths(root, job.twin).data)
        return "failed", last_words(root)
    with fresh_file(contract) as out:
        out.write_bytes(before)
    return "drafted", last_words(root)


def train_type(root: Path, job: Job) -> tuple[Step, str]:
    """Build it, and tell what the gate decided."""
    os.nice(NICE)
    if not run_command(root, "foretwin.cli", "add", job.twin):
        return "failed", last_words(root)
    if not run_command(root, "dvc", "repro", "--single-item", f"data/{job.twin}/dvc.yaml"):
        return "failed", last_words(root)
    decided = json.loads((Paths(root, job.twin).models / "promotion.json").read_text(encoding="utf-8"))
    return "champion" if decided["promoted"] else "refused", "; ".join(decided["reasons"])


def run_command(root: Path, module: str, *arguments: str) -> bool:
    """Run a command, what it says goes to the log; return whether it did its work in time."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    environment = os.environ | {"PATH": path, "DVC_NO_ANALYTICS": "1", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", module, *arguments]
    try:
        done = subprocess.run(command, cwd=root, env=environment, stdout=sys.stderr, check=False, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        sys.stderr.write(f"{' '.join(arguments)}: took longer than {LONGEST:g} s\n")
        return False
    return done.returncode == 0


def last_words(root: Path) -> str:
    """Return the last lines of the log, which say what went wrong."""
    lines = [line.strip() for line in log_end(root).splitlines() if line.strip()]
    return " ".join([line for line in lines if "error" in line.lower()][-1:] or lines[-LAST_LINES:])


if __name__ == "__main__":
    do_job()
