"""A Mosquitto broker on loopback, as a process with a folder of its own."""

import os
import pwd
import shutil
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from foretwin.errors import BrokerError
from foretwin.twin.simulator.processes import Process, end, free_port, listens, started, wait_for


@dataclass
class Broker:
    """A Mosquitto that keeps sessions and messages; `lines` are added to its configuration, or stand for lines of it.

    It can be stopped, killed and started again on the same port with what it kept in `folder`.
    """

    folder: Path
    lines: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: Process | None = None
    host: str = "127.0.0.1"  # an address of this machine

    @property
    def url(self) -> str:
        """Return the URL."""
        return f"mqtt://{self.host}:{self.port}"

    def start(self) -> Self:
        """Start it; BrokerError where it is not installed, ForetwinError where it does not listen in time."""
        program = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
        if program is None:
            raise BrokerError("mosquitto: not installed; on Debian `apt install mosquitto` brings it")
        self.folder.mkdir(parents=True, exist_ok=True)
        # Without the user it would drop to another one than the folder's.
        lines = [f"user {pwd.getpwuid(os.getuid()).pw_name}", f"listener {self.port} {self.host}", "log_type error"]
        lines += ["persistence true", f"persistence_location {self.folder.resolve()}/", "autosave_interval 1"]
        lines += ["max_queued_messages 0", "set_tcp_nodelay true"]
        told = {line.partition(" ")[0] for line in self.lines}
        lines += [] if "password_file" in told else ["allow_anonymous true"]
        own = [line for line in lines if line.partition(" ")[0] not in told - {"listener"}]
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join([*own, *self.lines]) + "\n")
        self.process = started([program, "-c", str(config)], self.folder / "log.txt")
        what = f"mosquitto on port {self.port} ({self.folder}/log.txt says why)"
        wait_for(lambda: listens(self.port, self.host), what)
        return self

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it; with SIGTERM everything accepted is kept."""
        end(self.process, how)
        self.process = None
