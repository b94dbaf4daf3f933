"""The real scoring service on a free port of this machine: one process, driven over HTTP."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from foretwin.twin.simulator.processes import free_port
from support.tiny_bundle import environment

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Served:
    """A running service: a client of it, its process and its log."""

    client: httpx.Client
    process: subprocess.Popen
    log: Path

    @property
    def url(self) -> str:
        """Where it answers."""
        return str(self.client.base_url)


@contextmanager
def served(project: Path, ready: bool = True, **more: str) -> Iterator[Served]:
    """The service of a project's champions; open to everybody unless FORETWIN_ACCESS says otherwise.

    `ready`: wait until a champion answers, else until the process does.
    """
    port, log = free_port(), project / "service.log"
    wanted = {"FORETWIN_PROJECT": str(project), "FORETWIN_PORT": str(port), "FORETWIN_ACCESS": "open"} | more
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "foretwin.serving"],
            stdout=out,
            stderr=out,
            env=environment(project, OMP_NUM_THREADS="1", **wanted),
            cwd=project,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as client:
            wait_until_ready(client, process, log, "/readyz" if ready else "/livez")
            yield Served(client, process, log)
    finally:
        process.terminate()
        process.wait(30)


def wait_until_ready(client: httpx.Client, process: subprocess.Popen, log: Path, path: str = "/readyz") -> None:
    """Until the server answers; the test fails with the server's log where it does not within a minute."""
    for _ in range(600):
        if process.poll() is not None:
            break
        try:
            if client.get(path).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(f"the server did not start:\n{log.read_text()}")
