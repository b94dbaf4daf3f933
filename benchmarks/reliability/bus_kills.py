"""Kills of a bus to which pumps publish values that can be counted, and of `foretwin ingest`: for NATS and Kafka."""

import random
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from benchmarks.reliability.connector_kills import (
    PATIENCE,
    CountingPumps,
    IngestProcess,
    Killable,
    count_lost,
    count_set_aside,
    kill_in_turns,
    stored_seconds,
    tagged_pump,
)
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import open_store

PUMPS, EVERY = 2, 0.1  # s between two ticks


class PublishingPumps(CountingPumps, Protocol):
    """A thread that publishes until it is to be quiet."""

    quiet: threading.Event

    def start(self) -> None:
        """Begin to publish."""

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""


def write_connection(folder: Path, url: str, tags: str) -> None:
    """Write a project whose one connection is this bus."""
    (folder / "data/pump").mkdir(parents=True)
    (folder / "data/pump/twin.yaml").write_text(tagged_pump().model_dump_json())
    (folder / "connections.yaml").write_text(f'hall: {{url: "{url}", twin: pump, tags: [{tags}]}}\n')


def disturb(
    folder: Path, bus: Killable, pumps: PublishingPumps, channels: Mapping[str, float], kills: int
) -> dict[str, Any]:
    """Kill the bus and `foretwin ingest` in a project of `write_connection`; return what was lost, and how it was told.

    `channels` are what each channel of the pumps adds to the number of a tick.
    """
    contract, ingest = tagged_pump(), IngestProcess(folder)
    pumps.start()
    wait_for(lambda: pumps.published > 0, "first values", PATIENCE)
    ingest.start()
    try:
        with closing(open_store(f"sqlite:///{folder}/twins.db")) as store:
            wait_for(lambda: len(stored_seconds(store, contract)) > 0, "first readings", PATIENCE)
            seconds = kill_in_turns(kills, bus, ingest, random.Random(1))
            pumps.quiet.set()
            pumps.join(PATIENCE)
            begin = time.monotonic()
            while lost := count_lost(stored_seconds(store, contract), pumps, channels.values()):
                if time.monotonic() - begin > PATIENCE:
                    break
                time.sleep(1)
        values = pumps.published * len(pumps.names) * len(channels)
        told = {"values": values, "seconds_to_tell": round(max(seconds), 2)}
        return {"kills": kills, "lost": lost, "doubled": count_set_aside(folder), **told}
    finally:
        ingest.kill()
