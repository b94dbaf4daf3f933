"""How large a plant is: cores, memory and disk by machines, channels, interval and retention, from what was measured.

Every coefficient is of a report; what no report holds is said not to be measured. docs/sizing.md shows all of it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Literal

from benchmarks.render.speed import table
from foretwin.project.paths import Paths
from foretwin.twin.scoring.watched import WatchSettings

TWIN = "pump"  # whose machines were measured
STORES = ("sqlite", "postgresql")
MEBI, GIBI, GIGA = 1024**2, 1024**3, 1e9
DAY, YEAR = 86_400, 365  # s and days
FLOAT = 4  # bytes of a channel's value, in the store as in memory
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Plant:
    """What somebody has: machines of which each sends a reading every `interval_s`, and how long what is kept."""

    machines: int
    interval_s: float = 60.0
    channels: int = 11
    window: int = 60  # readings that one prediction sees
    readings_days: int = 30  # that raw readings stay in the store
    years: float = 1.0  # of operation, for what stays and for the archive
    store: Literal["sqlite", "postgresql"] = "sqlite"
    workers: int = 1  # `foretwin watch`

    @property
    def readings_per_second(self) -> float:
        """Return how many readings come in a second."""
        return self.machines / self.interval_s


@dataclass(frozen=True)
class Coefficients:
    """What one reading, machine or process takes, by store where that matters; of the pumps that were measured."""

    channels: int
    window: int
    ingest_us: Mapping[str, float]  # µs of processors for a reading stored with many others, the database's own too
    score_us: float  # the same for a machine that is scored with many others, over SQLite
    spread_us: float  # of all processes for a reading, from the broker to its score, where readings come evenly spread
    idle_cores: Mapping[str, float]  # of a worker that finds nothing to do
    scores_per_second: float  # of one worker
    messages_per_second: float  # of one `foretwin ingest`, from a broker
    window_bytes: float  # of a machine in a worker
    worker_mb: float  # of a worker besides its windows
    others_mb: float  # of broker, `ingest`, `live` and `serve`
    raw_bytes: Mapping[str, float]  # of a reading in the store
    lasting_bytes: Mapping[str, float]  # that stay of a reading, its score included
    archive_bytes: Mapping[str, float]  # of a reading in the archive


@dataclass(frozen=True)
class Size:
    """What a plant takes. Cores lie between those of readings that come many at once and evenly spread."""

    cores_least: float
    cores_most: float
    memory_gb: float
    store_gb: float
    archive_gb: float
    least_workers: int  # `foretwin watch` that scoring needs
    least_ingests: int  # `foretwin ingest` that messages need
    shortest_interval_s: float  # that the plant's workers keep up with


@dataclass(frozen=True)
class Prices:
    """What a core, a GB of memory and a GB of disk cost a month where the plant is to run."""

    core: float
    memory_gb: float
    disk_gb: float


def read_reports(root: Path) -> dict[str, dict[str, Any]]:
    """Return the reports that the coefficients are of."""
    names = ("bench_twin", "growth", "scale", "year")
    return {name: json.loads((root / "reports" / f"{name}.json").read_text(encoding="utf-8")) for name in names}


def read_coefficients(root: Path = Path()) -> Coefficients:
    """Return the coefficients of the reports of the project in `root`."""
    reports, contract = read_reports(root), Paths(root, TWIN).load_contract()
    works, scale, year = reports["growth"]["works"], reports["scale"], reports["year"]["year"]
    laptop, idle = scale["laptop"], scale["idle_pass"]
    windows = scale["growth"]["bytes_per_asset"][-1]
    passes_ms = {"sqlite": idle["milliseconds"][0], "postgresql": idle["postgresql_milliseconds"][0]}
    megabytes = {name: one["megabytes"] for name, one in laptop["processes"].items()}
    return Coefficients(
        channels=len(contract.channel_names),
        window=contract.window.length,
        ingest_us={store: works[f"ingest_{store}"]["cpu_per_item"][-1] for store in STORES},
        score_us=works["scoring"]["cpu_per_item"][-1],
        spread_us=1e6 * laptop_cores(scale) / (laptop["assets"] / laptop["tick_s"]),
        idle_cores={store: ms / 1000 / WatchSettings.pause for store, ms in passes_ms.items()},
        scores_per_second=1e6 / works["scoring"]["cost_per_item"][-1],
        messages_per_second=reports["bench_twin"]["mqtt"]["messages_per_second"],
        window_bytes=windows,
        worker_mb=megabytes["watch"] - laptop["assets"] * windows / MEBI,
        others_mb=sum(megabytes.values()) - megabytes["watch"],
        raw_bytes={store: year[store]["raw_bytes_per_reading"] for store in STORES},
        lasting_bytes={store: year[store]["lasting_bytes_per_reading"] for store in STORES},
        archive_bytes={store: year[store]["archive_bytes_per_reading"] for store in STORES},
    )


def laptop_cores(scale: Mapping[str, Any]) -> float:
    """Return how many cores one machine that did everything kept busy."""
    return float(scale["laptop"]["cpu_share"]) * int(scale["machine"]["cores"])


def size_of(plant: Plant, each: Coefficients) -> Size:
    """Return what a plant takes."""
    rate, store, more = plant.readings_per_second, plant.store, plant.channels - each.channels
    least = rate * (each.ingest_us[store] + each.score_us) / 1e6 + plant.workers * each.idle_cores[store]
    rows = plant.window * (FLOAT * plant.channels + 8) - each.window * (FLOAT * each.channels + 8)  # a moment is 8
    memory = (each.others_mb + plant.workers * each.worker_mb) * MEBI + plant.machines * (each.window_bytes + rows)
    daily, days = rate * DAY, YEAR * plant.years
    # A day more than the term, and in PostgreSQL as long as a partition of theirs, which is dropped as a whole.
    raw_days = min(days, plant.readings_days + 1 + (ceil(plant.readings_days / 10) if store == "postgresql" else 0))
    raw, archived = each.raw_bytes[store] + FLOAT * more, each.archive_bytes[store] + FLOAT * max(0, more)
    return Size(
        cores_least=least,
        cores_most=max(least, rate * each.spread_us / 1e6),
        memory_gb=memory / GIGA,
        store_gb=daily * (raw * raw_days + each.lasting_bytes[store] * days) / GIGA,
        archive_gb=daily * archived * (days - raw_days) / GIGA,
        least_workers=ceil(rate / each.scores_per_second),
        least_ingests=ceil(rate / each.messages_per_second),
        shortest_interval_s=max(WatchSettings.pause, plant.machines / plant.workers / each.scores_per_second),
    )


def monthly_cost(size: Size, prices: Prices) -> tuple[float, float]:
    """Return what the plant costs a month at least and at most, with the disk that it has in the end."""
    rest = size.memory_gb * prices.memory_gb + (size.store_gb + size.archive_gb) * prices.disk_gb
    return size.cores_least * prices.core + rest, size.cores_most * prices.core + rest


EXAMPLES = (
    Plant(10),
    Plant(10_000),
    Plant(100_000, store="postgresql"),
    Plant(10_000_000, interval_s=600.0, store="postgresql", workers=16),
)
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def coefficients(root: Path) -> str:
    """What one reading, machine and process takes, and which report says so."""
    one, scale = read_coefficients(root), read_reports(root)["scale"]
    spread = f"{scale['laptop']['assets'] / scale['laptop']['tick_s']:.0f} a second evenly spread, all processes"
    by_store: dict[str, tuple[Mapping[str, float] | tuple[float, None], str, str]] = {
        "µs of processors: a reading stored, 500 in a transaction": (one.ingest_us, ".0f", "growth"),
        "µs of processors: a machine scored, many in a pass": ((one.score_us, None), ".0f", "growth"),
        f"µs of processors: a reading from broker to score, {spread}": ((one.spread_us, None), ",.0f", "scale"),
        "cores: a worker that finds nothing to do": (one.idle_cores, ".3f", "scale"),
        "machines scored in a second by one worker": ((one.scores_per_second, None), ",.0f", "growth"),
        "messages in a second by one `foretwin ingest`": ((one.messages_per_second, None), ",.0f", "bench_twin"),
        "bytes of memory: a machine's window in a worker": (_both(one.window_bytes), ",.0f", "scale"),
        "MB of memory: a worker besides": (_both(one.worker_mb), ",.0f", "scale"),
        "MB of memory: broker, `ingest`, `live` and `serve`": (_both(one.others_mb), ",.0f", "scale"),
        "bytes of disk: a raw reading": (one.raw_bytes, ".1f", "year"),
        "bytes of disk: what stays of a reading, its score included": (one.lasting_bytes, ".1f", "year"),
        "bytes of disk: a reading in the archive": (one.archive_bytes, ".1f", "year"),
    }
    lines = []
    for name, (figures, form, report) in by_store.items():
        values = [figures[store] for store in STORES] if isinstance(figures, Mapping) else figures
        cells = [NOT_MEASURED if value is None else f"{value:{form}}" for value in values]
        lines.append([name, *cells, f"`{report}.json`"])
    lines.append(["GB of memory: the database's own", "-", NOT_MEASURED, ""])
    text = f"\nOf the simulated pumps: {one.channels} channels, windows of {one.window} readings, on "
    text += f"{scale['machine']['cores']} cores; but readings stored have nine channels. Each report is of a run of its"
    text += " own, all in `reports/`.\n"
    return table(["", *NAMES.values(), "from"], lines) + text


def _both(value: float) -> dict[str, float]:
    return dict.fromkeys(STORES, value)


def wholes(root: Path) -> str:
    """What was measured as a whole, beside what the formula says of it."""
    scale = read_reports(root)["scale"]
    laptop, share = scale["laptop"], scale["sixteenth"]
    measured, computed = laptop_cores(scale), size_of(laptop_plant(scale), read_coefficients(root)).cores_least
    held, expected = share["gigabytes"] * GIBI / GIGA, worker_gb(share["assets"], read_coefficients(root))
    lines = [
        [
            f"cores: {laptop['assets']:,} machines, a reading every {laptop['tick_s']:g} s, all processes",
            *(f"{one:.2f}" for one in (measured, computed, measured / computed)),
        ],
        [
            f"GB of memory: a worker with {share['assets']:,} machines",
            *(f"{one:.2f}" for one in (held, expected, held / expected)),
        ],
    ]
    head = ["a whole that was measured", "measured", "computed of its parts", "ratio"]
    return table(head, lines) + "\nFrom `reports/scale.json`; the cores are those of readings that come many at once.\n"


def laptop_plant(scale: Mapping[str, Any]) -> Plant:
    """Return the plant that one machine was measured with."""
    one = scale["laptop"]
    return Plant(one["assets"], interval_s=one["tick_s"], store=one["store"])


def worker_gb(machines: int, each: Coefficients) -> float:
    """Return the memory of one worker that holds the windows of so many machines."""
    return (each.worker_mb * MEBI + machines * each.window_bytes) / GIGA


def examples(root: Path) -> str:
    """Some plants, what was tried and what is designed for apart."""
    each, scale = read_coefficients(root), read_reports(root)["scale"]
    sizes = [size_of(plant, each) for plant in EXAMPLES]
    rows: dict[str, Callable[[Plant, Size], str]] = {
        "a reading of each every": lambda plant, _: f"{plant.interval_s:g} s",
        "readings a second": lambda plant, _: _short(plant.readings_per_second),
        "workers (`foretwin watch`)": lambda plant, _: str(plant.workers),
        "workers that scoring needs": lambda _, size: str(size.least_workers),
        "shortest interval that the workers keep up with": lambda _, size: f"{_short(size.shortest_interval_s)} s",
        "`foretwin ingest` that messages need": lambda _, size: str(size.least_ingests),
        "cores, readings many at once": lambda _, size: _short(size.cores_least),
        "cores, readings evenly spread": lambda _, size: _short(size.cores_most),
        "GB of memory, without the database's": lambda _, size: _short(size.memory_gb),
        "GB of disk after a year: the store": lambda _, size: _short(size.store_gb),
        "GB of disk after a year: the archive": lambda _, size: _short(size.archive_gb),
        "tried": lambda plant, _: _tried(plant, scale),
        "designed for, not tried": lambda plant, _: "-" if plant.machines <= scale["laptop"]["assets"] else "yes",
    }
    lines = [[name, *(of(*one) for one in zip(EXAMPLES, sizes, strict=True))] for name, of in rows.items()]
    head = ["", *(f"{plant.machines:,} machines, {NAMES[plant.store]}" for plant in EXAMPLES)]
    return table(head, lines) + "\nRaw readings are kept for 30 days; computed from the figures above.\n"


def _short(value: float) -> str:
    """Return a figure in two digits, large ones in full."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _tried(plant: Plant, scale: Mapping[str, Any]) -> str:
    """Say what was measured of such a plant."""
    one, whole, share = scale["laptop"], laptop_plant(scale), scale["sixteenth"]
    if plant == whole:
        used = f"{laptop_cores(scale):.2f} cores, {one['megabytes'] * MEBI / GIGA:.2f} GB"
        return f"for {one['minutes']:g} minutes: {used}"
    if plant.store == whole.store and plant.readings_per_second < whole.readings_per_second:
        return "a larger one"
    if plant.machines == share["assets"] * plant.workers:
        return f"the memory of one worker: {share['gigabytes'] * GIBI / GIGA:.2f} GB"
    return "no"


SIZING: dict[str, Callable[[Path], str]] = {
    "sizing-coefficients": coefficients,
    "sizing-wholes": wholes,
    "sizing-examples": examples,
}
