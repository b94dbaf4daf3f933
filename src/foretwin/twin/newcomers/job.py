"""The one job that makes a machine type of an uploaded file, in a process of its own, and what is known of it.

Its folder is `.foretwin/machine_type` of the project: `job.json`, `log.txt`, and `lock`, which the process holds as
long as it runs, so that a job whose process was killed is told as such. The file itself is data/<name>/upload.csv.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

import orjson
from filelock import FileLock, Timeout

from foretwin.errors import BadInput, Conflict
from foretwin.project.files import fresh_file
from foretwin.project.paths import Paths

Step: TypeAlias = Literal["looking", "drafted", "building", "champion", "refused", "failed"]
FOLDER = Path(".foretwin/machine_type")
UPLOAD = "upload.csv"
NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
LARGEST = 16 * 1024 * 1024  # bytes of a file
LOG_TAIL = 20_000  # bytes that are told
RUNNING: tuple[Step, ...] = ("looking", "building")
BUSY = "another machine type is being made; wait until it is ready"
LOST = "its process ended without a word; begin again"


@dataclass(frozen=True)
class Job:
    """What is known of the job; `message` says why it failed or what the gate said. Moments are ISO 8601.

    `columns` is what a person says that columns mean: column -> meaning.
    """

    twin: str
    step: Step
    by: str
    started_at: str
    finished_at: str | None = None
    message: str = ""
    columns: dict[str, str] = field(default_factory=dict)


def read_job(root: Path) -> Job | None:
    """Return the project's job; None where there is none. One whose process is gone has failed."""
    path = root / FOLDER / "job.json"
    if not path.exists():
        return None
    job = Job(**orjson.loads(path.read_bytes()))
    if job.step in RUNNING and not is_running(root):
        after = Job(**orjson.loads(path.read_bytes()))  # it may have ended meanwhile
        return after if after.step not in RUNNING else replace(after, step="failed", message=LOST)
    return job


def keep_job(root: Path, job: Job) -> None:
    """Write what is known of the job."""
    with fresh_file(root / FOLDER / "job.json") as out:
        out.write_bytes(orjson.dumps(asdict(job)))


def is_running(root: Path) -> bool:
    """Whether a process works on the job."""
    try:
        with FileLock(root / FOLDER / "lock", timeout=0):
            return False
    except Timeout:
        return True


def log_end(root: Path) -> str:
    """Return the end of what its commands said."""
    path = root / FOLDER / "log.txt"
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - LOG_TAIL, 0))
        return file.read().decode("utf-8", "replace")


def begin_look(root: Path, name: str, content: bytes, actor: str, now: datetime) -> Job:
    """Keep the file of a new machine type and have it looked at; BadInput, or Conflict where a job is under way."""
    if NAME.fullmatch(name) is None:
        raise BadInput("name", "is no name of 1 to 40 small letters, digits and hyphens that begins with a letter")
    if not content or len(content) > LARGEST:
        raise BadInput("file", f"has {len(content)} bytes; 1 to {LARGEST} are taken, `foretwin new` reads larger ones")
    _check_free(root)
    folder = Paths(root, name).data
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise Conflict("name", f"{name} is there already; choose another, or remove data/{name}") from None
    (folder / UPLOAD).write_bytes(content)
    return _start(root, Job(name, "looking", actor, now.isoformat()))


def begin_second_look(root: Path, columns: Mapping[str, str], actor: str, now: datetime) -> Job:
    """Have the file looked at anew, with what a person says of its columns; Conflict where no draft waits."""
    job = replace(drafted(root), columns=dict(columns), message="", by=actor)
    return _start(root, replace(job, step="looking", started_at=now.isoformat(), finished_at=None))


def begin_build(root: Path, actor: str, now: datetime) -> Job:
    """Build the drafted machine type; Conflict where there is none, or it is under way."""
    job = drafted(root)
    return _start(root, replace(job, step="building", by=actor, started_at=now.isoformat(), finished_at=None))


def drafted(root: Path) -> Job:
    """Return the job whose draft waits for a person; Conflict where none does."""
    job = read_job(root)
    if job is None or job.step != "drafted":
        raise Conflict("job", "there is no draft; upload a file first, and wait until it was looked at")
    return job


def discard(root: Path) -> None:
    """Forget the job, and its draft where it was not built; Conflict while it runs."""
    _check_free(root)
    job = read_job(root)
    if job is not None and job.step == "drafted":
        shutil.rmtree(Paths(root, job.twin).data)
    shutil.rmtree(root / FOLDER, ignore_errors=True)


def _check_free(root: Path) -> None:
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    if is_running(root):
        raise Conflict("job", BUSY)


def _start(root: Path, job: Job) -> Job:
    """Start the process, which takes the lock before this returns."""
    try:
        with FileLock(root / FOLDER / "starting", timeout=0):
            _check_free(root)
            _start_process(root, job)
    except Timeout:
        raise Conflict("job", BUSY) from None
    return job


def _start_process(root: Path, job: Job) -> None:
    keep_job(root, job)
    command = [sys.executable, "-m", "foretwin.twin.newcomers.job_process", job.step]
    options: dict[str, Any] = {"cwd": root, "env": dict(os.environ), "start_new_session": True}
    with (root / FOLDER / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, **options)
    with process.stdout or open(os.devnull, "rb") as said:  # noqa: PTH123 - it always has one
        if not said.readline():
            raise Conflict("job", "its process did not start; the log says why")
