"""An edge node of Sparkplug B by the makers' own client from npm, and pumps that speak through it.

Sparkplug sends data without the promise of delivery, so the node knows only whether its broker is there: what it
measures meanwhile it keeps, and sends after its births, as historical.
"""

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from benchmarks.reliability.counted_pumps import CountedPumps
from benchmarks.reliability.shipped_broker import KillableBroker
from foretwin.errors import ForetwinError
from foretwin.twin.simulator.processes import wait_for

CLIENT = "sparkplug-client@3.2.4"
SCRIPT = Path(__file__).with_name("edge_node.js")
TAGS = '{at: "plant/edge1/{asset}/{channel}"}'
LONGEST_WAY, AROUND = 5.0, 0.5  # s from the node to the commit, at most; about a kill, until it is noticed
LISTENING = ": listening"  # of the log of `foretwin ingest`


def installed_client(folder: Path) -> Path:
    """Return the folder, with the makers' client; ForetwinError where npm cannot bring it."""
    if shutil.which("npm") is None:
        raise ForetwinError("npm: not installed; on Debian `apt install npm` brings it")
    folder.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--no-audit", "--no-fund", "--silent", CLIENT]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    if done.returncode:
        raise ForetwinError(f"npm: could not install {CLIENT}: {done.stderr.strip()[-500:]}")
    shutil.copy(SCRIPT, folder)
    return folder


class EdgeNode:
    """The process of an edge node; `modules` is a folder of `installed_client`."""

    def __init__(self, modules: Path, url: str) -> None:
        command, pipe = ["node", SCRIPT.name, url], subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=modules, stdin=pipe, stdout=pipe, text=True)
        self.words = list[str]()
        threading.Thread(target=self._read, daemon=True).start()
        self.wait("connected")

    def wait(self, word: str, count: int = 1) -> None:
        """Wait until it has said a word so often."""
        wait_for(lambda: self.words.count(word) >= count, f"{word} of the edge node", 60)

    def tell(self, **told: Any) -> None:
        """Give a command, and wait until it is carried out."""
        before = self.words.count("done")
        print(json.dumps(told), file=self.process.stdin, flush=True)
        self.wait("done", before + 1)

    def kill(self) -> None:
        """Kill it at whatever it is."""
        self.process.kill()
        self.process.wait()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.words.append(line.strip())


class SparkplugPumps(CountedPumps):
    """Devices of one node, from when somebody listens; `sent` has when each tick was given to the node."""

    may_lose = True

    def __init__(self, modules: Path, broker: KillableBroker, log: Path, pumps: int, every: float) -> None:
        super().__init__(pumps, every)
        self.modules, self.broker, self.log = modules, broker, log
        self.sent = list[float]()  # s since 1970

    @property
    def may_be_heard(self) -> bool:
        """At once: the broker stands."""
        return True

    def on_their_way(self, lost: Collection[int], kills: Sequence[float]) -> set[int]:
        """Return the lost ticks that were given to the node just before a kill, one after the other.

        The very last ones may have found their way round what was killed, or have been sent before the node noticed.
        """
        found = set[int]()
        for kill in kills:
            ticks = [tick for tick, moment in enumerate(self.sent) if kill - LONGEST_WAY < moment <= kill + AROUND]
            while ticks and ticks[-1] not in lost and kill - self.sent[ticks[-1]] < AROUND:
                ticks.pop()
            while ticks and ticks[-1] in lost:
                found.add(ticks.pop())
        return found

    def run(self) -> None:
        """Give the node tick after tick; the first is told by its births."""
        wait_for(lambda: self.log.exists() and LISTENING in self.log.read_text(), "somebody who listens", 180)
        self.broker.write_down()  # that somebody listens: a broker that has run for long has it on its disk
        node = EdgeNode(self.modules, self.broker.url)
        while not self.quiet.is_set():
            tick = self.published
            values = {
                name: {channel: [place, "Double", value] for place, (channel, value) in enumerate(told.items(), 1)}
                for name, told in self.values_of(tick).items()
            }
            self.sent.append(time.time())
            node.tell(**{"data" if tick else "birth": values}, at=int(self.began + tick) * 1000)
            self.published += 1
            self.quiet.wait(self.every)
        time.sleep(2)  # until its last words are out
        node.kill()
