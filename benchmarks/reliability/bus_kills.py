"""Kills of a bus to which pumps publish values that can be counted, and of `foretwin ingest`."""

import random
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.reliability.connector_kills import (
    PATIENCE,
    IngestProcess,
    Killable,
    count_set_aside,
    kill_in_turns,
    stored_seconds,
    tagged_pump,
)
from benchmarks.reliability.counted_pumps import CHANNELS, CountedPumps
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import open_store

PUMPS, EVERY = 2, 0.1  # s between two ticks


def disturb(folder: Path, bus: Killable, pumps: CountedPumps, kills: int) -> dict[str, Any]:
    """Kill the bus and `foretwin ingest` in a project of `write_connection`; return what was lost, and how it was told.

    What was on its way at a kill, where nobody promises its delivery, is counted apart.
    """
    contract, ingest = tagged_pump(), IngestProcess(folder)
    pumps.start()
    wait_for(lambda: pumps.may_be_heard, "first values", PATIENCE)
    ingest.start()
    try:
        with closing(open_store(f"sqlite:///{folder}/twins.db")) as store:
            wait_for(lambda: len(stored_seconds(store, contract)) > 0, "first readings", PATIENCE)
            done = kill_in_turns(kills, bus, ingest, random.Random(1))
            wait_for(ingest.is_connected, "connection", PATIENCE)
            pumps.quiet.set()
            pumps.join(PATIENCE)
            begin = time.monotonic()
            while True:
                lost = find_lost(stored_seconds(store, contract), pumps)
                underway = pumps.on_their_way(set(lost), done.moments)
                excused = [tick for tick in lost if tick in underway]
                if len(lost) == len(excused) or time.monotonic() - begin > PATIENCE:
                    break
                time.sleep(1)
        values = pumps.published * len(pumps.names) * len(CHANNELS)
        told = {"values": values, "seconds_to_tell": round(max(done.seconds), 2)}
        told |= {"on_their_way": len(excused)} if pumps.may_lose else {}
        return {"kills": kills, "lost": len(lost) - len(excused), "doubled": count_set_aside(folder), **told}
    finally:
        ingest.kill()


def find_lost(stored: dict[str, dict[float, Any]], pumps: CountedPumps) -> list[int]:
    """Return the tick of each value that the other side has acknowledged and that is not stored."""
    lost = []
    for tick in range(pumps.published):
        for name, values in pumps.values_of(tick).items():
            row = stored.get(name, {}).get(float(tick))
            lost += [tick for place, value in enumerate(values.values()) if row is None or float(row[place]) != value]
    return lost
