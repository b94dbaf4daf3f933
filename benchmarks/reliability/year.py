"""Measure how the store grows in a year of 1,000 assets at one reading a minute, for reports/year.json.

    python -m benchmarks.reliability.year [DAYS [ASSETS]]

A few of the project's simulated pumps send one reading a minute for some days, faster than the clock goes: every minute
is one call of the real ingestion and one pass of the real loop with this project's champion; retention runs after every
hour, and raw readings are kept for one day. A reading is the pump's row of that hour with noise on its sensors.

What the store holds at the end of two days with as many raw readings differs by what stays for ever: kept scores,
hours, cases, events, records of files. A year is that growth, of events as much as comes within their term, and on top
the raw readings of one term at the bytes that they take in the end, when pages have been filled and emptied for days.
The archive is what its files take per reading.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.servers import Postgres
from foretwin.champion.champion import load_champion
from foretwin.contract.retention import Retention
from foretwin.contract.twin import Twin
from foretwin.dataset.table import read_rows
from foretwin.errors import ForetwinError
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.project.paths import Paths
from foretwin.twin.ingest.ingest import ingest
from foretwin.twin.retention.retain import Retaining, retain_once
from foretwin.twin.scoring.loop import score_once
from foretwin.twin.scoring.watched import Watching, WatchSettings
from foretwin.twin.store import Store, open_store
from foretwin.wire.readings import Decoded, Readings

TWIN = "pump"
FLEET, MINUTES_PER_YEAR = 1_000, 365 * 24 * 60
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
HOUR, DAY = 60, 24 * 60  # minutes
NOISE = 0.005  # of a sensor's range between its 5th and 95th percentile
RAW = ("readings", "ix_readings_batch", "batches")  # beginnings of names of tables and indexes
LONGER = {"sqlite": 0, "postgresql": 3}  # days that raw readings stay with their partition, a tenth of the term long
AGING = ("events", "deliveries", "quarantine")  # in names of tables and indexes that are emptied within the year
SIZES = {
    "sqlite": "SELECT name, sum(pgsize) FROM dbstat GROUP BY name",
    "postgresql": "SELECT relname, pg_relation_size(oid) FROM pg_class"
    " WHERE relkind IN ('r', 'i') AND relname !~ '^(pg|sql)_'",
}


@dataclass(frozen=True)
class PumpFleet:
    """The hours that its pumps live through, one life after the other: each (hours, C)."""

    contract: Twin
    lives: list[NDArray[np.float32]]
    noise: NDArray[np.float32]  # (C,) standard deviation
    assets: int

    def minute(self, number: int) -> Readings:
        """Return the readings of all assets at that minute; each begins at another age."""
        generator = np.random.default_rng(number)
        places = [self._place(asset, number) for asset in range(self.assets)]
        runs, times, rows = zip(*places, strict=True)
        noise = generator.normal(0, 1, (self.assets, len(self.noise))) * self.noise
        keys = np.arange(self.assets), np.array(runs, np.int64), np.array(times, np.float64)
        names = tuple(f"P-{i:04d}" for i in range(self.assets))
        return Readings(TWIN, self.contract.channel_names, *keys, (np.stack(rows) + noise).astype(np.float32), names)

    def _place(self, asset: int, number: int) -> tuple[int, float, NDArray[np.float32]]:
        """Return run, time (h) and the row of that hour."""
        minute, life, run = number + 37 * HOUR * asset, asset, 1
        while minute >= HOUR * len(self.lives[life % len(self.lives)]):
            minute -= HOUR * len(self.lives[life % len(self.lives)])
            life, run = life + 1, run + 1
        return run, minute / HOUR, self.lives[life % len(self.lives)][minute // HOUR]


def pump_fleet(root: Path, assets: int) -> PumpFleet:
    """Return a fleet that lives as the project's simulated pumps do."""
    contract = load_champion(root, TWIN).bundle.contract
    rows, names = read_rows(Paths(root, TWIN).rows / "rows.parquet", contract), list(contract.channel_names)
    values = rows[names].to_numpy(np.float32)
    spread = np.quantile(values, 0.95, axis=0) - np.quantile(values, 0.05, axis=0)
    measured = np.array([channel.role == "sensor" for channel in contract.channels.values()])
    lives = [run[names].to_numpy(np.float32) for _, run in rows.groupby(["asset", "run"])]
    return PumpFleet(contract, lives, (NOISE * spread * measured).astype(np.float32), assets)


@contextmanager
def empty_store(database: str) -> Iterator[Store]:
    """Open an empty store; a PostgreSQL is started for it."""
    if database == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            store = open_store(f"sqlite:///{folder}/twins.db")
            yield store
            store.close()
        return
    server = Postgres(settings=("fsync=off",)).start()  # how it grows does not depend on it
    try:
        store = open_store(server.new_database("year"))
        yield store
        store.close()
    finally:
        server.remove()


def live_through(store: Store, root: Path, fleet: PumpFleet, days: int) -> list[dict[str, Any]]:
    """Send and retain for some days; return the sizes at the end of each."""
    contract = fleet.contract.model_copy(update={"retention": Retention(readings=1)})
    watching, ends = Watching(store, root, WatchSettings(twins=(TWIN,))), []
    with tempfile.TemporaryDirectory() as folder:
        for minute in range(1, days * DAY + 1):
            now = BEGIN + timedelta(minutes=minute)
            ingest(store, {TWIN: contract}, [Decoded(fleet.minute(minute))], "http", now)
            score_once(watching, lambda now=now: now)  # type: ignore[misc]
            if minute % HOUR == 0:
                retain_once(Retaining(store, Path(folder), {TWIN: contract}), now)
                vacuum(store)
            if minute % DAY == 0:
                ends.append(sizes(store, Path(folder)))
    return ends


def vacuum(store: Store) -> None:
    """Do what PostgreSQL's autovacuum does: it lets a fifth of a table be dead rows; here hours pass in seconds."""
    if not store.is_sqlite:
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM")


def sizes(store: Store, folder: Path) -> dict[str, Any]:
    """Return bytes by table and index, how many readings and scores there are, and what the archive takes."""
    with store.read() as connection:
        rows = connection.exec_driver_sql(SIZES["sqlite" if store.is_sqlite else "postgresql"]).all()
        found = {str(name): int(size) for name, size in rows}
        counts = {
            name: connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one()  # noqa: S608 - our own names
            for name in ("readings", "scores", "hours", "events")
        }
        archived = connection.exec_driver_sql("SELECT coalesce(sum(rows), 0) FROM archives").scalar_one()
    files = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
    return {"bytes": found, "counts": counts, "archived": int(archived), "archive_bytes": files}


def year_of(ends: list[dict[str, Any]], assets: int, longer: int = 0) -> dict[str, Any]:
    """Extrapolate the last two of these days to a year of the whole fleet, of raw readings `longer` than their term."""
    before, after = ends[-3], ends[-1]
    if before["archived"] == 0:
        raise ForetwinError(f"{len(ends)} days: raw readings have not been dropped for two days; give more of them")
    raw = sum(size for name, size in after["bytes"].items() if name.startswith(RAW)) / after["counts"]["readings"]
    others = {name: size for name, size in after["bytes"].items() if not name.startswith(RAW)}
    stays = {name: size - before["bytes"].get(name, 0) for name, size in others.items()}
    minutes = 2 * DAY * assets
    days = _days(Retention().readings) + longer
    share = _days(Retention().events) / 365  # of a year, that these are there
    growth = sum(size * (share if any(word in name for word in AGING) else 1) for name, size in stays.items()) / minutes
    per_archived = after["archive_bytes"] / after["archived"]
    return {
        "gigabytes": round(FLEET * (growth * MINUTES_PER_YEAR + raw * days * DAY) / 1e9, 1),
        "archive_gigabytes": round(FLEET * per_archived * (MINUTES_PER_YEAR - days * DAY) / 1e9, 1),
        "raw_bytes_per_reading": round(raw, 1),
        "lasting_bytes_per_reading": round(growth, 2),
        "archive_bytes_per_reading": round(per_archived, 1),
        "scores_kept_share": round((after["counts"]["scores"] - before["counts"]["scores"]) / minutes, 4),
    }


def _days(term: int | str) -> int:
    """Return for how many days of a year something is there: a day more than its term."""
    return 365 if isinstance(term, str) else min(term + 1, 365)


def main(days: int, assets: int, root: Path = Path()) -> None:
    """Measure both databases and write the report."""
    fleet = pump_fleet(root, assets)
    report: dict[str, Any] = {"days": days, "assets": assets, "fleet": FLEET, "year": {}}
    for database in SIZES:
        with empty_store(database) as store:
            ends = live_through(store, root, fleet, days)
        found = year_of(ends, assets, LONGER[database])
        report["year"][database] = {**found, "last_day": ends[-1]}
        print(database, found, flush=True)
    with fresh_file(root / "reports" / "year.json") as out:
        out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    with exit_on_error():
        given = [int(word) for word in sys.argv[1:3]]
        main(*(given[0], given[1]) if len(given) == 2 else (5, 20))
