"""A PostgreSQL and an S3 for benches and tests, each a process of its own on an address of this machine."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg

from foretwin.errors import ForetwinError
from foretwin.twin.simulator.processes import Process, end, free_port, listens, started, wait_for


@dataclass
class Postgres:
    """A PostgreSQL cluster of its own; it refuses to run as root, so then it runs as the user `postgres`.

    It can be stopped, killed and started again on the same port with what it kept in `folder`.
    """

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="foretwin-postgres-")))
    settings: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: Process | None = None
    host: str = "127.0.0.1"  # an address of this machine

    @property
    def url(self) -> str:
        """Its first database."""
        return f"postgresql://foretwin@{self.host}:{self.port}/postgres"

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
            # Without a sync of its files, which takes most of the time: nobody cuts the power.
            command = [str(found[-1] / "initdb"), "-D", str(data), "-U", "foretwin", "-A", "trust", "--no-sync"]
            command += ["--locale=C.UTF-8"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder, user=user)
            with (data / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {self.host}/24 trust\n")
        command = [str(found[-1] / "postgres"), "-D", str(data), "-p", str(self.port), "-c", "shared_buffers=64MB"]
        command += ["-c", f"listen_addresses={self.host}", "-c", f"unix_socket_directories={self.folder}"]
        command += [word for setting in self.settings for word in ("-c", setting)]
        self.process = started(command, self.folder / "log.txt", cwd=self.folder, user=user)
        wait_for(self._answers, f"PostgreSQL on port {self.port}: see {self.folder}/log.txt")
        return self

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT is PostgreSQL's fast shutdown, SIGQUIT leaves as a crash would."""
        end(self.process, how)
        self.process = None

    def new_database(self, name: str, like: str | None = None) -> str:
        """The URL of an empty database, or of one with what another one holds, which nobody may be connected to."""
        copied = f' TEMPLATE "{like}" STRATEGY FILE_COPY' if like else ""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"{copied}'.encode())
        return self.url.rpartition("/")[0] + f"/{name}"

    def drop_database(self, name: str) -> None:
        """Delete a database, and break off who is connected to it."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())

    def cpu_seconds(self) -> dict[int, float]:
        """What each of its processes has spent on the processors, by number."""
        found = {}
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has just ended
                parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
                if self.process is not None and parent == self.process.pid:
                    found[int(place.name)] = int((place / "schedstat").read_text().split()[0]) / 1e9
        return found

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


@dataclass
class ObjectStore:
    """A server of S3's interface with one bucket, `plant`, that forgets all at its end."""

    log: Path
    host: str = "127.0.0.1"  # an address of this machine
    port: int = field(default_factory=free_port)
    process: Process | None = None
    place = "s3://plant/models"

    @property
    def settings(self) -> dict[str, str]:
        """The environment of who reaches it."""
        url = {"AWS_ENDPOINT_URL": f"http://{self.host}:{self.port}", "AWS_DEFAULT_REGION": "us-east-1"}
        return url | {"AWS_ACCESS_KEY_ID": "foretwin", "AWS_SECRET_ACCESS_KEY": "of-this-run-alone"}

    def start(self) -> "ObjectStore":
        """Start it, and make the bucket."""
        self.process = started([sys.executable, "-m", "moto.server", "-H", self.host, "-p", str(self.port)], self.log)
        wait_for(lambda: listens(self.port, self.host), f"S3 on port {self.port}: {self.log} says why", 60)
        httpx.put(f"{self.settings['AWS_ENDPOINT_URL']}/plant", trust_env=False).raise_for_status()
        return self

    def stop(self) -> None:
        """End it."""
        end(self.process, signal.SIGKILL)
        self.process = None
