"""A machine on which somebody types what a page says: a shell of its own, folders instead of /srv, /etc and /backups.

Names that no test can reach (a database's, a broker's, git's, the registry's) are replaced by those of real servers on
loopback. `systemctl` starts what the units say; `sudo` to the units' user is this user.
"""

import re
import shlex
import signal
import subprocess
from configparser import RawConfigParser
from dataclasses import dataclass, field
from pathlib import Path

from foretwin.operations.env_file import read_env_file
from foretwin.twin.simulator.processes import free_port
from support.clone import BIN, clean_environment

DONE = "-- done --"
OWNER = " -o foretwin -g foretwin"  # who may not give files away has no other user
SHELL = """
set -e
sudo() { if [ "$1" = -su ]; then return; fi; shift 2; "$@"; }
"""
PORT = re.compile(r"\b32\d\d\b")  # of the units' health
SOMEBODY = {f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@dataclass
class TypedMachine:
    """`folder` holds all that the machine has; `replaced` are words of the pages and what stands for them here."""

    folder: Path
    replaced: dict[str, str] = field(default_factory=dict)
    units: dict[str, subprocess.Popen] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("home", "srv", "etc/systemd/system", "backups"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.ports: dict[str, str] = {}
        self.log = self.folder / "units.txt"
        environment = clean_environment() | SOMEBODY | {"HOME": str(self.folder / "home"), "COLUMNS": "200"}
        self._shell = subprocess.Popen(
            ["bash", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            env=environment | {"OMP_NUM_THREADS": "1"},
        )
        self._lines = 0
        self._run(SHELL)

    def type(self, block: str) -> str:
        """Type a block line by line, as it stands on a page; what it printed. One that fails ends the test."""
        text, said, waiting = self.translated(block), "", ""
        for line in text.splitlines(keepends=True):
            if line.startswith("systemctl "):
                said += self._run(waiting)
                waiting = ""
                self._systemctl(*shlex.split(line)[1:])
            else:
                waiting += line
        return said + self._run(waiting)

    def translated(self, text: str) -> str:
        """The text with the folders, names and ports of this machine."""
        for word, here in self.replaced.items():
            text = text.replace(word, here)
        for name in ("srv", "etc", "backups"):
            text = re.sub(rf"(?<![\w.])/{name}(?=[/ \n])", f"{self.folder}/{name}", text)
        return PORT.sub(lambda found: self.ports.setdefault(found[0], str(free_port())), text.replace(OWNER, ""))

    def end(self) -> None:
        """End the shell and whatever still runs."""
        for process in (*self.units.values(), self._shell):
            process.kill()
            process.communicate()

    def _run(self, text: str) -> str:
        """Run lines in the shell, whose folder and variables stay."""
        if not text.strip():
            return ""
        self._lines += 1
        script = self.folder / f"typed-{self._lines}.sh"
        script.write_text(text)
        self._shell.stdin.write(f". {script} </dev/null\necho; echo '{DONE}'\n")
        self._shell.stdin.flush()
        said = ""
        for line in self._shell.stdout:
            if line.strip() == DONE:
                return said
            said += line
        raise AssertionError(f"{text}\nended with {self._shell.wait()}:\n{said}")

    def _systemctl(self, verb: str, *names: str) -> None:
        assert verb in ("enable", "start", "stop"), verb
        for name in names:
            if name.startswith("--"):
                continue
            if verb == "stop":
                process = self.units.pop(name)
                process.send_signal(signal.SIGTERM)
                assert process.wait(60) == 0, self.log.read_text()
            else:
                self.units[name] = self._started(name)

    def _started(self, name: str) -> subprocess.Popen:
        """Start a unit as systemd does: its folder, its file of settings, its own settings, its command."""
        unit = RawConfigParser(strict=False)
        unit.optionxform = str
        unit.read_string(self.translated((self.folder / f"etc/systemd/system/{name}.service").read_text()))
        service = unit["Service"]
        own = dict(one.split("=", 1) for one in shlex.split(service["Environment"]))
        settings = own | read_env_file(Path(service["EnvironmentFile"].removeprefix("-")))
        command = shlex.split(service["ExecStart"])
        if name == "foretwin-live":
            command += ["--port", str(free_port())]
        environment = clean_environment() | settings | {"OMP_NUM_THREADS": "1"}
        with self.log.open("ab") as out:
            return subprocess.Popen(command, cwd=service["WorkingDirectory"], env=environment, stdout=out, stderr=out)


def link_environment(project: Path) -> None:
    """Give a project this environment as its `.venv`: what `pip install` would bring is installed here."""
    (project / ".venv").symlink_to(BIN.parent)
