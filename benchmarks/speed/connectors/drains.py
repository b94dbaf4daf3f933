"""Three ways to take the same values, each in a process of its own that tells when how many were through."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np

from benchmarks.speed.connectors.workload import MICROSECONDS, PlantValue, peers_of, plant_contract, tick_values
from foretwin.project.loops import exempt_from_collection
from foretwin.twin.connectors.connection_state import ConnectionState
from foretwin.twin.connectors.connections.connections_file import TagMapping
from foretwin.twin.connectors.connections.mapping import CollectedValues, MappedTag
from foretwin.twin.connectors.listening import listen
from foretwin.twin.ingest.ingest import ingest
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import open_store
from foretwin.wire.readings import Decoded

Drain = Callable[..., None]
TOLD = 500  # values between two words of a bare client
PATIENCE, QUIET = 300, 3.0  # s that a round may take, and without a word after which all has come


class Teller:
    """What a bare client tells of the values that it has decoded, some at once."""

    def __init__(self, told: Connection) -> None:
        self._told, self._count = told, 0

    def note(self, count: int) -> None:
        """Note that so many more were decoded."""
        self._count += count
        if self._count >= TOLD:
            self.flush()

    def flush(self) -> None:
        """Tell what was not told yet."""
        if self._count:
            self._told.send((time.time(), self._count, []))
            self._count = 0


def store_what_comes(store_url: str, folder: str, connection: str, stop: Event, told: Connection) -> None:
    """`foretwin ingest`'s own loop: tells of each commit when it was, of how many values, and how old they were, in s.

    What it hooks into is what the loop calls after a commit.
    """
    kept = ConnectionState.mark_stored

    def mark_stored(self: ConnectionState, decoded: Sequence[Decoded]) -> None:
        kept(self, decoded)
        now, every = time.time(), [one.values for one in decoded if one.values is not None]
        ages = np.concatenate([now - one.time / MICROSECONDS for one in every]) if every else np.empty(0)
        told.send((now, len(ages), ages.tolist()))

    ConnectionState.mark_stored = mark_stored  # type: ignore[method-assign]
    store, contract = open_store(store_url), plant_contract()
    exempt_from_collection()
    listen(store, {contract.name: contract}, peers_of(Path(folder), connection), stop)  # type: ignore[arg-type]
    store.close()


def store_from_memory(store_url: str, ticks: int, batch: int, stop: Event, told: Connection) -> None:
    """Ingestion of the same values, decoded already, in transactions of `batch` values."""
    store, contract = open_store(store_url), plant_contract()
    every = [value for tick in range(ticks) for value in tick_values(tick)]
    decoded = [_decoded(every[begin : begin + batch]) for begin in range(0, len(every), batch)]
    exempt_from_collection()
    for number, one in enumerate(decoded):
        if stop.is_set():
            break
        ingest(store, {contract.name: contract}, [one], "mqtt", datetime.now(UTC), "next")
        told.send((time.time(), min(batch, len(every) - number * batch), []))
    store.close()


def _decoded(values: Sequence[PlantValue]) -> Decoded:
    tag, collected = TagMapping(at="x/{asset}/{channel}"), CollectedValues(plant_contract())
    for value in values:
        collected.add(MappedTag(value.pump, value.channel, tag), value.time, value.value)
    return collected.decode()


class Heard(threading.Thread):
    """What a process tells, read at once: it must not wait for us."""

    def __init__(self, told: Connection) -> None:
        super().__init__(daemon=True)
        self._told, self.commits = told, list[tuple[float, int, list[float]]]()
        self.start()

    def run(self) -> None:
        """Read until its end is closed."""
        with suppress(EOFError, OSError):
            while True:
                self.commits.append(self._told.recv())

    def values_a_second(self, count: int, since: float | None = None) -> float:
        """Values a second until `count` are through, since a moment; else the first tenth of them is not counted."""
        wait_for(lambda: sum(number for _, number, _ in list(self.commits)) >= count, f"{count} values", PATIENCE)
        seen, begin, at_begin = 0, since, 0
        for moment, number, _ in list(self.commits):
            seen += number
            if begin is None and seen >= count / 10:
                begin, at_begin = moment, seen
            if seen >= count:
                break
        return (seen - at_begin) / (moment - (begin or 0.0))

    def settle(self) -> int:
        """Wait until nothing more comes for a while; how many commits there were."""
        count = -1
        while count != len(self.commits):
            count = len(self.commits)
            time.sleep(QUIET)
        return count
