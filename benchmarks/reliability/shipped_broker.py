"""Mosquitto as serving/mosquitto/ has it, on ports and in a folder of its own; and one with its durability alone."""

import os
import pwd
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from foretwin.errors import BrokerError
from foretwin.twin.simulator.broker import Broker
from foretwin.twin.simulator.processes import Process, end, free_port, listens, started, wait_for

SHIPPED = Path(__file__).parents[2] / "serving" / "mosquitto"
KEPT = ("autosave", "max_queued", "queue_qos0", "persistent_client")  # beginnings of the settings of what is kept


@dataclass
class KillableBroker(Broker):
    """A broker without TLS and rights that keeps what waits by the settings of serving/mosquitto/, to be killed."""

    lines: tuple[str, ...] = field(
        default_factory=lambda: tuple(
            line for line in (SHIPPED / "mosquitto.conf").read_text().splitlines() if line.startswith(KEPT)
        )
    )

    def kill(self) -> None:
        """Kill it at whatever it is: it has what it last wrote to its disk."""
        if self.process is not None:
            self.stop(signal.SIGKILL)

    def write_down(self) -> None:
        """Let it write to its disk now, as after each thousand changes."""
        kept = self.folder / "mosquitto.db"
        before = kept.stat().st_mtime_ns if kept.exists() else 0
        if self.process is not None:
            self.process.send_signal(signal.SIGUSR1)
        wait_for(lambda: kept.exists() and kept.stat().st_mtime_ns > before, "what the broker keeps")


@dataclass
class ShippedBroker:
    """The broker; `machines` and `ours` are the ports of its two listeners."""

    folder: Path
    machines: int = field(default_factory=free_port)
    ours: int = field(default_factory=free_port)
    process: Process | None = None

    def issue(self, name: str, alternative: str = "") -> None:
        """Make a certificate, as the page tells to."""
        command = ["sh", str(SHIPPED / "certificates.sh"), str(self.folder / "keys"), name, alternative]
        subprocess.run(command, check=True, capture_output=True)

    def url(self, name: str, port: int) -> str:
        """Return the URL by which the holder of a certificate comes."""
        keys = self.folder / "keys"
        return f"mqtts://127.0.0.1:{port}?ca={keys}/ca.pem&cert={keys}/{name}.pem&key={keys}/{name}-key.pem"

    def start(self) -> "ShippedBroker":
        """Start it, or start it again with what it kept."""
        program = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
        if program is None:
            raise BrokerError("mosquitto: not installed; on Debian `apt install mosquitto` brings it")
        text = (SHIPPED / "mosquitto.conf").read_text()
        kept = self.folder / "kept"
        kept.mkdir(parents=True, exist_ok=True)
        for shipped, here in (
            ("/etc/mosquitto/foretwin/machines.acl", str(SHIPPED / "machines.acl")),
            ("/etc/mosquitto/foretwin", str(self.folder / "keys")),
            ("/var/lib/mosquitto", str(kept)),
            ("listener 8883", f"listener {self.machines} 127.0.0.1"),
            ("listener 8884", f"listener {self.ours}"),
        ):
            text = text.replace(shipped, here)
        # Without the user it would drop to another one than the folder's.
        text += f"user {pwd.getpwuid(os.getuid()).pw_name}\n"
        (self.folder / "mosquitto.conf").write_text(text)
        command = [program, "-c", str(self.folder / "mosquitto.conf")]
        self.process = started(command, self.folder / "broker.txt")
        what = f"mosquitto on its ports ({self.folder}/broker.txt says why)"
        wait_for(lambda: listens(self.machines) and listens(self.ours), what)
        return self

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it; with SIGTERM everything accepted is kept."""
        end(self.process, how)
        self.process = None
