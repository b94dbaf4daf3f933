"""A plant on one machine: broker and database beside a network of their own, on a disk that can be filled.

The commands of the living twin run in a network namespace, linked to broker and database by a pair of virtual
interfaces that can be taken down. That and the small disk need root; without it those faults are left out.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.namespaces import Namespace, add_namespace, network
from benchmarks.servers import Postgres
from foretwin.errors import ForetwinError
from foretwin.twin.simulator.broker import Broker

NAMESPACE = "foretwin-plant"
HOST, INSIDE = "10.213.77.1", "10.213.77.2"
DISK = "2g"
LIBFAKETIME = "/usr/lib/*/faketime/libfaketimeMT.so.1"
SLEEP_MENDED = (
    Path(__file__).parents[3] / "tests" / "support" / "faketime"
)  # Python's sleep fails under libfaketime; see there


@dataclass(frozen=True)
class Plant:
    """What the commands depend on. `disk` and `inside` are None where the machine does not allow them."""

    folder: Path
    broker: Broker
    database: Postgres
    disk: Path | None  # that of the database, small enough to be filled
    inside: Namespace | None  # where the commands run, behind the link
    clock: Path | None  # the file that says how far the commands' clock is off

    @property
    def prefix(self) -> tuple[str, ...]:
        """What runs a command behind the link."""
        return self.inside.prefix if self.inside else ()

    @property
    def host(self) -> str:
        """The address under which the commands listen."""
        return self.inside.address if self.inside else "127.0.0.1"

    @property
    def here(self) -> str:
        """The address of broker, database and whoever else the commands call."""
        return self.broker.host

    def clock_environment(self) -> dict[str, str]:
        """Variables that put a process under the clock of `clock`."""
        if self.clock is None:
            return {}
        library = next(iter(sorted(Path("/").glob(LIBFAKETIME.lstrip("/")))))
        told = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(self.clock), "FAKETIME_CACHE_DURATION": "1"}
        # Without the last one, waits with a timeout end late: a process with threads is ten times slower.
        told |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1", "FAKETIME_FORCE_MONOTONIC_FIX": "0"}
        return told | {"PYTHONPATH": str(SLEEP_MENDED)}

    def set_clock(self, seconds: int) -> None:
        """Set the commands' clock off by so many seconds."""
        if self.clock is not None:
            self.clock.write_text(f"{seconds:+d}\n")

    def set_link(self, state: str) -> None:
        """Take the link `up` or `down`."""
        if self.inside is None:
            raise ForetwinError("link: there is none of its own to take down")
        self.inside.set_link(state)

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Fill the database's disk for the time of the block, and start the database again if that ended it."""
        if self.disk is None:
            raise ForetwinError("disk: there is none of its own to fill")
        ballast = self.disk / "ballast"
        try:
            with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(bytes(1 << 20))
            yield
        finally:
            ballast.unlink()
            time.sleep(0.5)  # a database that has met the full disk ends within this
            if self.database.process is None or self.database.process.poll() is not None:
                self.database.start()


@contextmanager
def built_plant() -> Iterator[Plant]:
    """Build a plant in a folder of its own for the time of the block."""
    with tempfile.TemporaryDirectory(prefix="foretwin-faults-") as temporary, ExitStack() as ending:
        folder = Path(temporary)
        inside = _network(ending)
        host = HOST if inside else "127.0.0.1"
        folder.chmod(0o711)  # PostgreSQL runs as another user
        disk = folder / "disk"
        disk.mkdir()
        has_disk = os.getuid() == 0 and _mounted(disk, ending)
        database = Postgres(disk / "postgres", host=host)
        database.folder.mkdir()
        ending.callback(database.remove)
        broker = Broker(folder / "broker", ("autosave_on_changes true",), host=host)
        broker.start()
        ending.callback(broker.stop)
        clock = None
        if any(Path("/").glob(LIBFAKETIME.lstrip("/"))):
            clock = folder / "clock"
            clock.write_text("+0\n")
        yield Plant(folder, broker, database.start(), disk if has_disk else None, inside, clock)


def _network(ending: ExitStack) -> Namespace | None:
    """Make the namespace and the link; None where the machine does not allow it."""
    try:
        ending.enter_context(network(HOST))
        made = add_namespace(NAMESPACE, INSIDE, HOST)
    except ForetwinError:
        return None
    ending.callback(made.remove)
    return made


def _mounted(disk: Path, ending: ExitStack) -> bool:
    """Mount a small disk in memory; False where the machine does not allow it."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "foretwin-faults", str(disk)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        return False
    ending.callback(subprocess.run, ["umount", "--lazy", str(disk)], check=False)
    return True


PROGRAM = (sys.executable, "-m", "foretwin.cli")
