"""Child processes on loopback: started, watched and ended, their output in a file."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from signal import Signals

from foretwin.errors import ForetwinError
from foretwin.project.files import make_private

PATIENCE = 20  # s until a process must answer, or end

Process = subprocess.Popen[bytes]


def free_port() -> int:
    """Find a free port of loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def started(command: list[str], log: Path, cwd: Path | None = None, user: str | None = None) -> Process:
    """Start a process whose output is added to `log`."""
    make_private(log)
    with log.open("ab") as out:
        return subprocess.Popen(command, stdout=out, stderr=out, cwd=cwd, user=user)


def start_foretwin(arguments: list[str], environment: Mapping[str, str], log: Path) -> Process:
    """Start `foretwin` with these arguments in the working folder; its output is added to `log`."""
    make_private(log)
    with log.open("ab") as out:
        command = [sys.executable, "-m", "foretwin.cli", *arguments]
        return subprocess.Popen(command, env=dict(environment), stdout=out, stderr=out)


def end(process: Process | None, how: Signals) -> None:
    """Send a process this signal and wait until it has ended."""
    if process is not None:
        process.send_signal(how)
        process.wait(PATIENCE)


@contextmanager
def running(processes: list[Process], log: Path) -> Iterator[None]:
    """Let processes run for the body's time, then end them; ForetwinError where one ended by itself."""
    try:
        yield
        check(processes, log)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(PATIENCE)


def check(processes: list[Process], log: Path) -> None:
    """Raise ForetwinError where one of the processes has ended."""
    for process in processes:
        if process.poll() is not None:
            raise ForetwinError(f"{process.args!r}: ended with code {process.returncode}; {log} says why")


def listens(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a process listens on this port of an address, by default of loopback."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((host, port)) == 0


def wait_for(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait until `condition()` holds; ForetwinError with `what` where it does not in time."""
    last = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > last:
            raise ForetwinError(f"{what}: not there after {seconds:g} s")
        time.sleep(0.05)
