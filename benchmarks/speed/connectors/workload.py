"""What plants say here: every tick one value of each tag of each pump, and a project that takes it."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson

from benchmarks.reliability.connector_kills import tagged_pump
from foretwin.contract.twin import Twin
from foretwin.twin.connectors.connections.connections_file import FILE, Peer, load_connections

PUMPS, TAGS = 20, 10
VALUES = PUMPS * TAGS  # of a tick
NAMES = [f"P-{number:03d}" for number in range(PUMPS)]
CHANNELS = [f"c{number}" for number in range(TAGS)]
BEGAN = (int(time.time()) - 3600) // 36_000 * 36_000  # s since 1970 of tick 0: the same in all processes, not long ago
MICROSECONDS = 1_000_000


class PlantValue(NamedTuple):
    """One value of one tag; `time` in us since 1970."""

    pump: str
    channel: str
    time: int
    value: float


def plant_contract() -> Twin:
    """The pump of the kills, with more channels."""
    content = tagged_pump().model_dump()
    return Twin.model_validate(content | {"channels": dict.fromkeys(CHANNELS, content["channels"]["flow"])})


def tick_values(tick: int, time: int | None = None) -> Iterator[PlantValue]:
    """The values of a tick: those of its own second, or of a moment in us since 1970."""
    moment = (BEGAN + tick) * MICROSECONDS if time is None else time
    for pump, name in enumerate(NAMES):
        for place, channel in enumerate(CHANNELS):
            yield PlantValue(name, channel, moment, float(tick % 1000 + 10 * place + pump))


def as_body(value: PlantValue) -> bytes:
    """A message of one value, as a bus has it."""
    return orjson.dumps({"v": value.value, "t": value.time})


def peers_of(folder: Path, connection: str) -> Sequence[Peer]:
    """The connection `hall` of a project in a folder, from the inside of its mapping in YAML."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(f"hall: {{twin: pump, {connection}}}\n")
    return load_connections(folder / FILE, {"pump": plant_contract()})
