"""The kinds of faults, each a function of the running plant, and how often each is drawn."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import psutil

from benchmarks.reliability.faults.plant import Plant
from benchmarks.reliability.faults.receiver import Receiver
from benchmarks.reliability.faults.supervisor import Supervised
from foretwin.twin.simulator.processes import Process

LONGEST = 8.0  # s that one of them lasts
HOUR = 3600
STEPS = (-26 * HOUR, -2 * HOUR, -600, -5, 0, 5, 600, 2 * HOUR, 26 * HOUR)  # s that the commands' clock is off


@dataclass(frozen=True)
class Running:
    """What faults befall: the plant, the supervised commands and the receiver of their events."""

    plant: Plant
    commands: Mapping[str, Supervised]
    receiver: Receiver


Fault = Callable[[Running, np.random.Generator], None]


def kill(name: str) -> Fault:
    """Kill one command with SIGKILL."""
    return lambda running, _: running.commands[name].kill()


def freeze_database(running: Running, random: np.random.Generator) -> None:
    """Stop the database's processes with SIGSTOP for a while, as a host that swaps or moves does."""
    _freeze(running.plant.database.process, random)


def freeze_broker(running: Running, random: np.random.Generator) -> None:
    """Stop the broker with SIGSTOP for a while."""
    _freeze(running.plant.broker.process, random)


def restart_database(running: Running, random: np.random.Generator) -> None:
    """Shut the database down, fast or as a crash would, and start it again."""
    running.plant.database.stop(signal.SIGINT if random.random() < 0.5 else signal.SIGQUIT)
    _pause(random)
    running.plant.database.start()


def restart_broker(running: Running, random: np.random.Generator) -> None:
    """Stop the broker and start it again."""
    running.plant.broker.stop()
    _pause(random)
    running.plant.broker.start()


def fill_disk(running: Running, random: np.random.Generator) -> None:
    """Leave the database no byte to write for a while."""
    with running.plant.full_disk():
        _pause(random)


def step_clock(running: Running, random: np.random.Generator) -> None:
    """Set the commands' clock elsewhere, by up to a day, until the next step."""
    running.plant.set_clock(int(random.choice(STEPS)))


def drop_link(running: Running, random: np.random.Generator) -> None:
    """Take the network between the commands and everything else down for a while."""
    running.plant.set_link("down")
    _pause(random)
    running.plant.set_link("up")


def stop_receiver(running: Running, random: np.random.Generator) -> None:
    """Let nobody receive events for a while."""
    running.receiver.stop()
    _pause(random)
    running.receiver.start()


KINDS: dict[str, tuple[Fault, int]] = {  # with its share of the draws
    "kill live": (kill("live"), 15),
    "kill watch": (kill("watch"), 15),
    "kill ingest": (kill("ingest"), 15),
    "freeze the database": (freeze_database, 8),
    "restart the database": (restart_database, 10),
    "freeze the broker": (freeze_broker, 7),
    "restart the broker": (restart_broker, 7),
    "fill the disk": (fill_disk, 5),
    "step the clock": (step_clock, 8),
    "drop the link": (drop_link, 7),
    "stop the receiver": (stop_receiver, 3),
}


def possible_kinds(plant: Plant) -> dict[str, int]:
    """Return the kinds that this machine allows, with their shares."""
    lacking = {"fill the disk": plant.disk, "step the clock": plant.clock, "drop the link": plant.inside}
    return {name: share for name, (_, share) in KINDS.items() if lacking.get(name, True)}


def _freeze(process: Process | None, random: np.random.Generator) -> None:
    """Stop a process and its children for a while."""
    if process is None:
        return
    frozen = [process.pid, *_children(process.pid)]
    for number in frozen:
        _tell(number, signal.SIGSTOP)
    _pause(random)
    for number in frozen:
        _tell(number, signal.SIGCONT)


def _children(parent: int) -> list[int]:
    return [child.pid for child in psutil.Process(parent).children(recursive=True)]


def _tell(number: int, what: signal.Signals) -> None:
    try:
        os.kill(number, what)
    except ProcessLookupError:
        return


def _pause(random: np.random.Generator) -> None:
    time.sleep(random.uniform(0.5, LONGEST))
