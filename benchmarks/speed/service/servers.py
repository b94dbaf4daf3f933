"""The servers of the service's bench: how each is started on loopback, and what a call to it looks like."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa

from benchmarks.speed.service.load import Call
from foretwin.errors import ForetwinError
from foretwin.project.entrypoint import TELEMETRY_OFF
from foretwin.twin.simulator.processes import free_port

ROOT = Path(__file__).parents[3]  # where the package `benchmarks` lies
PATIENCE = 60  # s until a server must answer
JSON = {"Content-Type": "application/json"}
ALONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
# What the scoring service runs on, so that nobody is ahead by a setting.
UVICORN = ("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning")


def ruls(answer: bytes) -> list[float]:
    """The RUL of each window in an answer of the scoring service's form, JSON or an Arrow stream."""
    if not answer.startswith(b"{"):
        found: list[float] = pa.ipc.open_stream(io.BytesIO(answer)).read_all()["rul"].to_pylist()
        return found
    return [score["rul"]["value"] for score in json.loads(answer)["scores"]]


@dataclass(frozen=True)
class Server:
    """A command that ends in a server on `{port}`, and the call that it answers per number of windows and form."""

    name: str
    command: tuple[str, ...]
    calls: Mapping[tuple[int, str], Call]  # (windows, "json" or "arrow") -> call
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    read: Callable[[bytes], list[float]] = ruls


@dataclass(frozen=True)
class Running:
    """A server that answers; `ready_seconds` is how long after its start it did so first."""

    port: int
    process: int
    ready_seconds: float


@contextmanager
def running(server: Server, first: Call, log: Path) -> Iterator[Running]:
    """The server, until the body ends; ForetwinError where it does not answer the call `first`."""
    port = free_port()
    command = [word.replace("{port}", str(port)) for word in server.command]
    own = {name: value.replace("{port}", str(port)) for name, value in server.environment.items()}
    # MLflow looks for uvicorn on the path.
    programs = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment = {**os.environ, **TELEMETRY_OFF, **ALONE, **programs, **own}
    begin = time.perf_counter()
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, env=environment, cwd=server.folder, stdout=out, stderr=out, start_new_session=True
        )
    try:
        while not answers(port, first):
            if process.poll() is not None or time.perf_counter() - begin > PATIENCE:
                raise ForetwinError(f"{server.name}: does not answer; {log} says why")
            time.sleep(0.02)
        yield Running(port, process.pid, time.perf_counter() - begin)
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server and whatever it started."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def answers(port: int, call: Call) -> bool:
    """Whether the call is answered with 200."""
    try:
        return send(port, call).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def send(port: int, call: Call) -> httpx.Response:
    """The answer to one call."""
    url = f"http://127.0.0.1:{port}{call.path}"
    return httpx.post(url, content=call.body, headers=dict(call.headers), timeout=PATIENCE)


def check(server: Server, port: int, expected: Mapping[int, Any]) -> None:
    """ForetwinError unless the server answers each of its calls with the RUL (windows,) that is expected."""
    for (windows, form), call in server.calls.items():
        answer, what = send(port, call), f"{server.name}, {windows} windows as {form}"
        if answer.status_code != httpx.codes.OK:
            raise ForetwinError(f"{what}: answers {answer.status_code}: {answer.text[:300]}")
        found = np.array(server.read(answer.content))
        if found.shape != expected[windows].shape or not np.allclose(found, expected[windows], rtol=1e-5):
            raise ForetwinError(f"{what}: answers other numbers than the bundle, so that it is not measured")


def memory_mb(process: int) -> float:
    """Resident memory of a process and all that descend from it, in MB."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
    tree, size = {process}, 0
    while len(tree) > size:
        size = len(tree)
        tree |= {child for child, parent in parents.items() if parent in tree}
    pages = [int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in tree]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6


def uvicorn(application: str, *more: str) -> tuple[str, ...]:
    """The command that runs an application of `benchmarks.speed.peers` under one uvicorn."""
    place = ("--app-dir", str(ROOT), "--factory", "--port", "{port}")
    return (sys.executable, "-m", "uvicorn", f"benchmarks.speed.peers.{application}", *place, *UVICORN, *more)
