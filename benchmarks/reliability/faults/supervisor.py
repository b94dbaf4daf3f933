"""A supervisor with the restart rule of the shipped systemd units, for machines that have no systemd."""

import shlex
import string
import subprocess
import threading
from collections.abc import Mapping, Sequence
from configparser import ConfigParser
from dataclasses import dataclass, field, replace
from pathlib import Path

from foretwin.errors import ForetwinError
from foretwin.twin.simulator.processes import Process

UNITS = Path(__file__).parents[3] / "serving" / "systemd"
INSTALLED = "/srv/foretwin/.venv/bin/foretwin"  # what the units start


@dataclass(frozen=True)
class Rule:
    """What a unit starts, and the pause in seconds before it is started again, whatever ended it."""

    command: tuple[str, ...]
    pause: float

    def with_arguments(self, *more: str) -> "Rule":
        """Return it with arguments as an operator adds them."""
        return replace(self, command=(*self.command, *more))


def read_rule(unit: Path, program: Sequence[str], environment: Mapping[str, str]) -> Rule:
    """Read a unit; `program` stands for the installed one. ForetwinError where it would not restart for ever."""
    parser = ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # systemd's names have capitals
    parser.read(unit)
    service = parser["Service"]
    if service["Restart"] != "always" or parser["Unit"].get("StartLimitIntervalSec") != "0":
        raise ForetwinError(f"{unit}: needs Restart=always and StartLimitIntervalSec=0; a plant has nobody to start it")
    installed, *arguments = shlex.split(service["ExecStart"])
    if installed != INSTALLED:
        raise ForetwinError(f"{unit}: ExecStart is {installed}; {INSTALLED} is expected")
    filled = [string.Template(argument).substitute(environment) for argument in arguments]
    return Rule((*program, *filled), float(service["RestartSec"]))


@dataclass
class Supervised:
    """A process that is started again after its end until `end` is called; `starts` counts."""

    name: str
    rule: Rule
    environment: Mapping[str, str]
    folder: Path
    log: Path
    starts: int = 0
    process: Process | None = None
    _ending: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> "Supervised":
        """Start it, in a thread that starts it again."""
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()
        return self

    def kill(self) -> None:
        """Kill the process as a power cut would; the rule brings it back."""
        if self.process is not None:
            self.process.kill()

    def end(self) -> None:
        """End it for good."""
        self._ending.set()
        if self.process is not None:
            self.process.terminate()
        if self._thread is not None:
            self._thread.join(30)
        if self.process is not None and self.process.poll() is None:
            self.process.kill()

    def _run(self) -> None:
        while not self._ending.is_set():
            with self.log.open("ab") as out:
                self.process = subprocess.Popen(
                    self.rule.command, env=dict(self.environment), cwd=self.folder, stdout=out, stderr=out
                )
            self.starts += 1
            self.process.wait()
            self._ending.wait(self.rule.pause)
