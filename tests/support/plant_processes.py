"""The processes of the living twin as a plant runs them: real commands, each with its health on a port of its own."""

import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from foretwin.twin.simulator.processes import free_port, wait_for
from support.tiny_bundle import environment

FORETWIN = Path(sys.executable).with_name("foretwin")
PATIENCE = 200  # seconds, on a machine that has other work
# One client for all: to make one reads the certificates of all authorities. No connection outlives its process.
NONE_KEPT = httpx.Limits(max_keepalive_connections=0)


@dataclass
class PlantProcesses:
    """The processes by name; `url` is that of `foretwin live`."""

    root: Path
    folder: Path
    port: int = field(default_factory=free_port)
    health: dict[str, int] = field(default_factory=dict)
    running: dict[str, subprocess.Popen] = field(default_factory=dict)
    client: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=30, limits=NONE_KEPT))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, name: str, *options: str, **settings: str) -> None:
        """Start `foretwin NAME` with these settings; a second time it has the same port for its health."""
        own = {"FORETWIN_HEALTH_PORT": str(self.health.setdefault(name, free_port())), "FORETWIN_LOG_FORMAT": "json"}
        env = environment(self.root, PYTHONUNBUFFERED="1", COLUMNS="300", **(settings | own))
        with (self.folder / f"{name}.txt").open("ab") as file:
            command = [FORETWIN, name, *options]
            self.running[name] = subprocess.Popen(command, stdout=file, stderr=file, cwd=self.root, env=env)

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.txt").read_text()

    def logged(self, name: str) -> list[dict]:
        return [json.loads(line) for line in self.said(name).splitlines() if line.startswith("{")]

    def wait_for_words(self, name: str, words: str) -> None:
        wait_for(lambda: words in self.said(name), f"{name} to say {words!r}", PATIENCE)

    def asked(self, name: str, path: str) -> httpx.Response:
        return self.client.get(f"http://127.0.0.1:{self.health[name]}{path}")

    def wait_until_ready(self, *names: str) -> None:
        for name in names or self.running:
            wait_for(lambda name=name: self._is_ready(name), f"{name} to be ready", PATIENCE)

    def wait_until_not_ready(self, name: str, why: str) -> None:
        """Until it says why, alive all the same: to start it again would not help."""
        wait_for(lambda: why in self.asked(name, "/readyz").text, f"{name} not to be ready: {why}", PATIENCE)
        assert self.asked(name, "/livez").status_code == 200
        assert "foretwin_ready 0.0" in self.asked(name, "/metrics").text

    def end(self, name: str, how=signal.SIGTERM) -> None:
        """It must end by itself with exit code 0."""
        process = self.running.pop(name)
        process.send_signal(how)
        assert process.wait(PATIENCE) == 0, self.said(name)

    def _is_ready(self, name: str) -> bool:
        assert self.running[name].poll() is None, self.said(name)
        try:
            return self.asked(name, "/readyz").status_code == 200
        except httpx.TransportError:  # it does not listen yet
            return False


@contextmanager
def plant_processes(root: Path, folder: Path):
    """Processes in the project's folder `root`, their output in `folder`; whatever still runs at the end is killed."""
    plant = PlantProcesses(root, folder)
    try:
        yield plant
    finally:
        for process in plant.running.values():
            process.kill()
            process.wait()
        plant.client.close()
