"""Measure what honest calls to `foretwin live` take while thousands of slow connections besiege it, and without them.

    python -m benchmarks.speed.slow_clients

The slow ones come from many addresses of loopback: silent ones, heads and bodies that trickle, all without a key; one
that is closed is opened again after a pause. The honest calls are readings in and states out, one in ten of them on a
connection of its own. Writes reports/slow_clients.json. The file limit must allow so many connections: `ulimit -n`.
"""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.slow_connections import ARRIVALS
from foretwin.contract.twin import Twin
from foretwin.errors import ForetwinError
from foretwin.project.contracts import load_contracts
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.serving.access.keys import KeyRequest, make_key
from foretwin.serving.http.connections import ConnectionLimits
from foretwin.twin.simulator.processes import Process, free_port, running, start_foretwin, wait_for

CONNECTIONS, SECONDS, ROUNDS = 10_000, 15.0, 2
PER_PROCESS = 5_000
MANY = ConnectionLimits().total
CALLERS, RATE = 4, 50.0  # honest ones, and their calls in a second, together
FRESH = 10  # of so many honest calls one has a connection of its own
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Served:
    """A `foretwin live` in the working folder, over a store of its own."""

    process: Process
    port: int
    key: str

    def open_files(self) -> int:
        """How many files and connections it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


@contextmanager
def live_service() -> Iterator[Served]:
    """One that runs as long as the body."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        keys, log = Path(folder, "keys.json"), Path(folder, "log.txt")
        key = make_key(keys, KeyRequest("honest", ("read", "ingest"), 1e6), "bench", datetime.now(UTC))
        own = {"FORETWIN_KEYS": str(keys), "FORETWIN_STORE": f"sqlite:///{folder}/twins.db"}
        process = start_foretwin(["live", "--port", str(port)], os.environ | own, log)
        with running([process], log):
            wait_for(lambda: "answering" in log.read_text(), "foretwin live", 60)
            yield Served(process, port, key)


@contextmanager
def besieged(service: Served, connections: int) -> Iterator[None]:
    """Slow clients, in processes that leave the cores to others, while the body runs and until they are gone."""
    limited = ["sh", "-c", f'ulimit -n {PER_PROCESS + 100} && exec nice -n 10 "$@"', "sh"]
    slow = [sys.executable, "-m", "benchmarks.speed.slow_connections", str(service.port)]
    ends = [(str(i), str(min(i + PER_PROCESS, connections))) for i in range(0, connections, PER_PROCESS)]
    processes = [subprocess.Popen([*limited, *slow, *place], cwd=REPOSITORY) for place in ends]
    try:
        wait_for(lambda: service.open_files() > min(connections, MANY) / 3, "slow clients", 60)
        time.sleep(min(connections, PER_PROCESS) / ARRIVALS)  # until all have come for the first time
        yield
    finally:
        for process in processes:
            process.terminate()
            process.wait(20)
    wait_for(lambda: service.open_files() < 100, "the end of the slow ones", 60)


@dataclass
class Caller:
    """An honest caller with a key, on a connection that it keeps."""

    port: int
    key: str
    number: int
    contract: Twin
    milliseconds: list[float] = field(default_factory=list)
    refused: int = 0
    calls: int = 0

    def call_until(self, end: float) -> None:
        """Call at an even pace; a call's time counts from when it was due."""
        due = time.perf_counter()
        kept = self._connection()
        while due < end:
            time.sleep(max(due - time.perf_counter(), 0))
            self.calls += 1
            connection = self._connection() if self.calls % FRESH == 0 else kept
            if self._call(connection) >= 300:
                self.refused += 1
            self.milliseconds.append((time.perf_counter() - due) * 1000)
            if connection is not kept:
                connection.close()
            due += CALLERS / RATE
        kept.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=30, source_address=(f"127.2.0.{9 + self.number}", 0)
        )

    def _call(self, connection: http.client.HTTPConnection) -> int:
        asset = f"/v1/twins/slow-{self.number}"
        head = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        if self.calls % 2:
            channels = {name: [(one.min + one.max) / 2] for name, one in self.contract.channels.items()}
            body = json.dumps({"time": [self.calls], "channels": channels})
            connection.request("POST", f"{asset}/readings?twin={self.contract.name}", body, head)
        else:
            connection.request("GET", asset, headers=head)
        answer = connection.getresponse()
        answer.read()
        return answer.status


def call(service: Served, callers: list[Caller], seconds: float) -> tuple[list[float], int]:
    """The milliseconds of each honest call, and the most open files; ForetwinError where one was refused or broke."""
    end = time.perf_counter() + seconds
    failures: list[BaseException] = []

    def run(caller: Caller) -> None:
        try:
            caller.call_until(end)
        except (OSError, http.client.HTTPException) as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(caller,)) for caller in callers]
    for thread in threads:
        thread.start()
    most = 0
    for thread in threads:
        while thread.is_alive():
            most = max(most, service.open_files())
            thread.join(0.2)
    refused = sum(caller.refused for caller in callers)
    if failures or refused:
        raise ForetwinError(f"honest calls: {refused} were refused, {len(failures)} broke: {failures[:1]}")
    taken = [one for caller in callers for one in caller.milliseconds]
    for caller in callers:
        caller.milliseconds = []
    return taken, most


def measure(
    twin: str, connections: int = CONNECTIONS, seconds: float = SECONDS, rounds: int = ROUNDS
) -> dict[str, Any]:
    """Figures of honest calls without and with slow clients, in turn for `rounds` rounds."""
    alone: list[float] = []
    among: list[float] = []
    most = 0
    contract = load_contracts(Path())[twin]
    with live_service() as service:
        callers = [Caller(service.port, service.key, number, contract) for number in range(CALLERS)]
        call(service, callers, seconds / 5)
        for _ in range(rounds):
            alone += call(service, callers, seconds)[0]
            with besieged(service, connections):
                taken, files = call(service, callers, seconds)
                among, most = among + taken, max(most, files)
    quiet, loud = (round(float(np.percentile(taken, 99)), 2) for taken in (alone, among))
    return {
        "connections": connections,
        "p99_alone_ms": quiet,
        "p99_with_ms": loud,
        "p99_ratio": round(loud / quiet, 2),
        "p50_alone_ms": round(float(np.median(alone)), 2),
        "p50_with_ms": round(float(np.median(among)), 2),
        "calls": len(alone) + len(among),
        "descriptors": most,
    }


def main(root: Path = Path()) -> None:
    """Measure and write the figures."""
    from foretwin.training.ensemble import environment

    report = {"machine": environment() | {"cores": str(os.cpu_count())}, "slow_clients": measure("pump")}
    with fresh_file(root / "reports" / "slow_clients.json") as out:
        out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    with exit_on_error():
        main()
