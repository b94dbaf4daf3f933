"""Processes on loopback for demonstration, benches and tests: Mosquitto, PostgreSQL, and Foretwin's own commands.

Each server is a process of its own with a folder of its own. It can be stopped, killed and started again on the same
port with what it kept.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from foretwin.errors import ForetwinError

PATIENCE = 20  # s until a process must answer, or end

Process = subprocess.Popen[bytes]


def free_port() -> int:
    """A port of loopback on which nobody listens just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Broker:
    """A Mosquitto that keeps sessions and messages; `lines` are added to its configuration (TLS, passwords)."""

    folder: Path
    lines: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: Process | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> "Broker":
        """Start it; ForetwinError where it is not installed, or does not listen in time."""
        program = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
        if program is None:
            raise ForetwinError("mosquitto: is not installed; on Debian `apt install mosquitto` brings it")
        self.folder.mkdir(parents=True, exist_ok=True)
        # Without the user it would drop to another one than the folder's.
        lines = [f"user {pwd.getpwuid(os.getuid()).pw_name}", f"listener {self.port} 127.0.0.1", "log_type error"]
        lines += ["persistence true", f"persistence_location {self.folder.resolve()}/", "autosave_interval 1"]
        lines += ["max_queued_messages 0", "set_tcp_nodelay true"]
        if not any(line.startswith("password_file") for line in self.lines):
            lines.append("allow_anonymous true")
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join([*lines, *self.lines]) + "\n")
        self.process = started([program, "-c", str(config)], self.folder / "log.txt")
        wait_for(lambda: listens(self.port), f"mosquitto on port {self.port}: see {self.folder}/log.txt")
        return self

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it; with SIGTERM everything that it has accepted is kept."""
        _end(self.process, how)
        self.process = None


@dataclass
class Postgres:
    """A PostgreSQL cluster of its own; it refuses to run as root, so then it runs as the user `postgres`."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="foretwin-postgres-")))
    settings: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: Process | None = None

    @property
    def url(self) -> str:
        """Its first database."""
        return f"postgresql://foretwin@127.0.0.1:{self.port}/postgres"

    def start(self) -> "Postgres":
        """Start it, made anew where the folder is empty; ForetwinError where it is not installed."""
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        if not found:
            raise ForetwinError("postgresql: is not installed; on Debian `apt install postgresql` brings it")
        user = "postgres" if os.getuid() == 0 else None
        if user:
            shutil.chown(self.folder, user)
        data = self.folder / "data"
        if not data.exists():
            command = [str(found[-1] / "initdb"), "-D", str(data), "-U", "foretwin", "-A", "trust", "--locale=C.UTF-8"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder, user=user)
        command = [str(found[-1] / "postgres"), "-D", str(data), "-p", str(self.port), "-c", "shared_buffers=64MB"]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.folder}"]
        command += [word for setting in self.settings for word in ("-c", setting)]
        self.process = started(command, self.folder / "log.txt", cwd=self.folder, user=user)
        wait_for(self._answers, f"PostgreSQL on port {self.port}: see {self.folder}/log.txt")
        return self

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT is PostgreSQL's fast shutdown, SIGQUIT leaves as a crash would."""
        _end(self.process, how)
        self.process = None

    def new_database(self, name: str) -> str:
        """The URL of an empty database."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url.rpartition("/")[0] + f"/{name}"

    def remove(self) -> None:
        """End it and delete its folder."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=1).close()
        except psycopg.OperationalError:
            return False
        return True


def started(command: list[str], log: Path, cwd: Path | None = None, user: str | None = None) -> Process:
    """A process whose output is added to `log`."""
    with log.open("ab") as out:
        return subprocess.Popen(command, stdout=out, stderr=out, cwd=cwd, user=user)


def start_foretwin(arguments: list[str], environment: Mapping[str, str], log: Path) -> Process:
    """`foretwin` with these arguments, in this folder; what it says is added to `log`."""
    with log.open("ab") as out:
        command = [sys.executable, "-m", "foretwin.cli", *arguments]
        return subprocess.Popen(command, env=dict(environment), stdout=out, stderr=out)


@contextmanager
def running(processes: list[Process], log: Path) -> Iterator[None]:
    """Let them run for the body's time, then end them as Ctrl-C does; ForetwinError where one ended by itself."""
    try:
        yield
        check(processes, log)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(PATIENCE)


def check(processes: list[Process], log: Path) -> None:
    """ForetwinError where one of them has ended."""
    for process in processes:
        if process.poll() is not None:
            raise ForetwinError(f"{process.args!r}: ended with code {process.returncode}; {log} says why")


def listens(port: int) -> bool:
    """Whether somebody listens on this port of loopback."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Until `condition()` holds; AssertionError with `what` where it never does."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"in {seconds:g} s there was no {what}")
        time.sleep(0.05)


def _end(process: Process | None, how: signal.Signals) -> None:
    if process is not None:
        process.send_signal(how)
        process.wait(PATIENCE)
