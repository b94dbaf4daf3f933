"""Processes on loopback for `fleet.py`, `reliability.py` and the benches: a broker, and Foretwin's own commands."""

import getpass
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from foretwin.errors import BrokerError, ForetwinError

PATIENCE = 20  # s until a process must answer, or end


def free_port() -> int:
    """A port of loopback on which nobody listens just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Broker:
    """A Mosquitto that keeps its sessions and messages in `folder` and listens on loopback alone."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, with what it kept; BrokerError where the program is not installed or does not listen."""
        program = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
        if program is None:
            raise BrokerError("mosquitto: is not installed; on Debian `apt install mosquitto` brings it")
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous true", f"user {getpass.getuser()}"]
        lines += ["persistence true", f"persistence_location {self.folder.resolve()}/", "max_queued_messages 0"]
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join(lines) + "\n")
        with (self.folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen([program, "-c", str(config)], stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE
        while not _listens(self.port):
            if self.process.poll() is not None or time.monotonic() > end:
                raise BrokerError(f"mosquitto: does not listen on port {self.port}; {log.name} says why")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it; what it has accepted is kept."""
        if self.process:
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.process = None


def start(arguments: list[str], environment: Mapping[str, str], log: Path) -> "subprocess.Popen[bytes]":
    """`foretwin` with these arguments, in this folder; what it says is added to `log`."""
    with log.open("ab") as out:
        command = [sys.executable, "-m", "foretwin.cli", *arguments]
        return subprocess.Popen(command, env=dict(environment), stdout=out, stderr=out)


@contextmanager
def running(processes: "list[subprocess.Popen[bytes]]", logs: Path) -> Iterator[None]:
    """Let them run for the body's time, then end them as Ctrl-C does; ForetwinError where one ended by itself."""
    try:
        yield
        check(processes, logs)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(PATIENCE)


def check(processes: "list[subprocess.Popen[bytes]]", logs: Path) -> None:
    """ForetwinError where one of them has ended."""
    for process in processes:
        if process.poll() is not None:
            raise ForetwinError(f"{process.args!r}: ended with code {process.returncode}; {logs} says why")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
