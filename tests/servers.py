"""A Mosquitto broker and a PostgreSQL server on loopback, each a process of the tests' own with a folder of its own.

Both can be stopped, killed and started again on the same port with the same data.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
PATIENCE = 20  # seconds until a server must answer


def free_port() -> int:
    """A port of loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Broker:
    """Mosquitto with persistent sessions; `lines` are added to its configuration (TLS, passwords)."""

    folder: Path
    lines: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> "Broker":
        config = self.folder / "mosquitto.conf"
        anonymous = [] if any("password_file" in line for line in self.lines) else ["allow_anonymous true"]
        always = [f"listener {self.port} 127.0.0.1", "persistence true", f"persistence_location {self.folder}/"]
        more = ["autosave_interval 1", "autosave_on_changes false", "max_queued_messages 0", "log_type error"]
        user = [f"user {pwd.getpwuid(os.getuid()).pw_name}"]  # else it would drop to another user than the folder's
        config.write_text("\n".join([*user, *always, *more, *anonymous, *self.lines]) + "\n")
        log = (self.folder / "log.txt").open("a")
        self.process = subprocess.Popen([MOSQUITTO, "-c", str(config)], stdout=log, stderr=log)
        wait_for(lambda: listens(self.port), f"mosquitto on port {self.port}: see {self.folder}/log.txt")
        return self

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(PATIENCE)
            self.process = None


@dataclass
class Postgres:
    """A PostgreSQL cluster of its own; it refuses to run as root, so then it runs as the user `postgres`."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="foretwin-postgres-")))
    port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"postgresql://foretwin@127.0.0.1:{self.port}/postgres"

    def start(self) -> "Postgres":
        programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        user = {"user": "postgres"} if os.getuid() == 0 else {}
        if user:
            shutil.chown(self.folder, "postgres")
        data = self.folder / "data"
        if not data.exists():
            subprocess.run(
                [programs / "initdb", "-D", data, "-U", "foretwin", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"],
                check=True,
                stdout=subprocess.DEVNULL,
                cwd=self.folder,
                **user,
            )
        command = [programs / "postgres", "-D", data, "-p", str(self.port), "-c", "listen_addresses=127.0.0.1"]
        command += ["-c", f"unix_socket_directories={self.folder}", "-c", "shared_buffers=64MB"]
        log = (self.folder / "log.txt").open("a")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **user)
        wait_for(self._answers, f"PostgreSQL on port {self.port}: see {self.folder}/log.txt")
        return self

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT is PostgreSQL's fast shutdown, SIGQUIT leaves as a crash would."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(PATIENCE)
            self.process = None

    def new_database(self, name: str) -> str:
        """The URL of an empty database."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url.rpartition("/")[0] + f"/{name}"

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=1).close()
        except psycopg.OperationalError:
            return False
        return True


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition, what: str, seconds: float = PATIENCE) -> None:
    """Until `condition()` holds; fails with `what` where it never does."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"in {seconds:g} s there was no {what}")
        time.sleep(0.05)
