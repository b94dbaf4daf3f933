"""A host of a fleet: a folder that holds what it has fetched, and commands, in a network namespace where it may be."""

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.namespaces import Namespace
from foretwin.errors import ForetwinError
from foretwin.twin.simulator.processes import Process

FORETWIN = (sys.executable, "-m", "foretwin.cli")
ANSWER = 20.0  # s that the service may take


@dataclass
class Host:
    """`commands` by their names, each the words after `foretwin`; `served` is the URL of its service, if it has one."""

    folder: Path
    namespace: Namespace | None
    environment: Mapping[str, str]
    commands: Mapping[str, Sequence[str]]
    log: Path
    served: str = ""
    running: dict[str, Process] = field(default_factory=dict)

    def start(self) -> "Host":
        """Fetch the champion and its contract, as a host that has nothing yet does, and start the commands."""
        self.folder.mkdir()
        if self.served:
            shutil.copytree("serving", self.folder / "serving")
        if self._run("follow").wait() != 0:
            raise ForetwinError(f"{self.folder.name}: fetched no champion; {self.log} says why")
        for name in self.commands:
            self.start_command(name)
        return self

    def start_command(self, name: str) -> None:
        """Start a command, or start it again once it has ended."""
        self.running[name] = self._run(*self.commands[name])

    def kill(self, name: str) -> None:
        """Kill a command."""
        self.running[name].kill()
        self.running[name].wait()

    def take_away(self, in_silence: bool) -> None:
        """Kill all that runs on it, delete its link and what it holds; `in_silence`, so that nobody hears of the end.

        Else the network still tells those with whom it was connected.
        """
        if in_silence and self.namespace:
            self.namespace.unplug()
        for name in self.running:
            self.kill(name)
        if self.namespace:
            self.namespace.remove()
        shutil.rmtree(self.folder)

    def answers(self, call: Mapping[str, object], key: str) -> bool:
        """Whether its service scores this call."""
        head = {"Authorization": f"Bearer {key}"}
        try:
            found = httpx.post(f"{self.served}/v1/score", json=call, headers=head, timeout=ANSWER, trust_env=False)
        except httpx.TransportError:
            return False
        return found.status_code == httpx.codes.OK and bool(found.json()["scores"])

    def _run(self, *words: str) -> Process:
        prefix = self.namespace.prefix if self.namespace else ()
        with self.log.open("ab") as out:
            command = [*prefix, *FORETWIN, *words]
            return subprocess.Popen(command, env=dict(self.environment), cwd=self.folder, stdout=out, stderr=out)
