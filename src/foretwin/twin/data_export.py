"""Export everything about one asset as a ZIP archive."""

import io
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from foretwin.contract.channels import Channel
from foretwin.contract.twin import Twin
from foretwin.project.files import fresh_file
from foretwin.twin.ingest.single_values.pending import PendingValues
from foretwin.twin.retention.archive_files import archive_folder, archived_readings
from foretwin.twin.retention.erasing import asset_rows
from foretwin.twin.store import Connection, Store, assets
from foretwin.twin.store.aging.archives import archives_of
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.casework.photos import photos_of_asset
from foretwin.twin.store.holdings import held_scores, named_models, rows_of
from foretwin.twin.store.telemetry import history as stored
from foretwin.twin.store.telemetry.pending_samples import find_pending

TABLES = {
    "parts": "what is fitted, and what was; serial number and provenance, where it comes from",
    "cases": "what called for attention, with the numbers of the score that spoke last",
    "case_comments": "what people said of its cases",
    "verdicts": "what technicians found",
    "maintenance": "what was done",
    "quarantine": "readings that were refused, with the reason and what had been sent",
    "audit": "who did what, and when",
    "events": "what other systems were told",
    "machine_events": "what the machine reported, such as alarms, with the time on its run's clock",
}
SCORES = pa.schema(
    [
        ("run", pa.int64()),
        ("time", pa.float64()),
        ("scored_at", pa.timestamp("us", "UTC")),
        ("age", pa.float64()),
        ("rows", pa.int64()),
        ("rul", pa.float64()),
        ("rul_low", pa.float64()),
        ("rul_high", pa.float64()),
        ("faults", pa.string()),
        ("diagnosis", pa.string()),
        ("warnings", pa.string()),
        ("model_name", pa.string()),
        ("model_version", pa.string()),
        ("digest", pa.string()),
    ]
)

PIECE = 256 * 1024  # bytes that are given on together
AS_TEXT = ("data", "detail", "deliveries")  # JSON in the archive's files
ONLY_SERVED = ("age", "rows", "faults", "warnings")  # what is not kept of an answer that was heard beside a score
SHADOW_SCORES = pa.schema([column for column in SCORES if column.name not in ONLY_SERVED])


def export_asset(store: Store, root: Path, contracts: Mapping[str, Twin], name: str, out: Path, now: datetime) -> Path:
    """Write everything that the store and its archive hold about an asset to the ZIP `out`, whole or not at all.

    NotFound where there is no such asset.
    """
    with fresh_file(out, private=True) as temporary, temporary.open("wb") as file:
        for piece in export_pieces(store, root, contracts, name, now):
            file.write(piece)
    return out


def export_pieces(store: Store, root: Path, contracts: Mapping[str, Twin], name: str, now: datetime) -> Iterator[bytes]:
    """Yield the ZIP of `export_asset` in pieces, of one state of the store; NotFound before the first.

    Memory does not grow with the asset's history, and nothing is kept on disk.
    """
    sink = _Sink()
    with store.read() as connection:
        asset = assets.find_asset(connection, name)
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
            for _ in _fill(archive, connection, root, asset, contracts.get(asset.twin), now):
                if sink.size >= PIECE:
                    yield sink.take()
    yield sink.take()


class _Sink(io.RawIOBase):
    """A file that only grows, and of which what was written can be taken away."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0

    def writable(self) -> bool:
        """Whether it takes bytes."""
        return True

    def write(self, data: Any) -> int:
        """Keep the bytes."""
        part = bytes(data)
        self._parts.append(part)
        self.size += len(part)
        return len(part)

    def take(self) -> bytes:
        """Return what was written since the last time."""
        parts, self._parts, self.size = self._parts, [], 0
        return b"".join(parts)


def _fill(
    archive: zipfile.ZipFile, connection: Connection, root: Path, asset: Asset, contract: Twin | None, now: datetime
) -> Iterator[None]:
    """Write the files one after the other; yields whenever something was written."""
    archive.writestr("README.txt", _readme(asset, contract, now))
    archive.writestr("asset.json", orjson.dumps(asset, option=orjson.OPT_INDENT_2))
    yield
    for table in TABLES:
        yield from _write_json(archive, f"{table}.json", _records(connection, root, asset, table))
    for photo in photos_of_asset(connection, asset):
        archive.writestr(f"photos/case-{photo['case']}-{photo['id']}.jpg", photo["content"], zipfile.ZIP_STORED)
        yield
    waiting = find_pending(connection, [asset.id]).get(asset.id)
    if waiting is not None:
        yield from _write_json(archive, "waiting.json", PendingValues.unpack(waiting).rows())
    tables = {
        "readings.parquet": _readings(connection, root, asset, contract),
        "scores.parquet": _scores(connection, root, asset, "scores", SCORES),
        "shadow_scores.parquet": _scores(connection, root, asset, "shadow_scores", SHADOW_SCORES),
    }
    for file, batches in tables.items():
        yield from _write_parquet(archive, file, batches)


def _write_json(archive: zipfile.ZipFile, name: str, rows: Iterable[Mapping[str, Any]]) -> Iterator[None]:
    """Write a list, one row to a line."""
    with archive.open(name, "w", force_zip64=True) as file:
        before = b"[\n"
        for row in rows:
            file.write(before + orjson.dumps(row))
            before = b",\n"
            yield
        file.write(b"\n]\n" if before != b"[\n" else b"[]\n")


def _write_parquet(archive: zipfile.ZipFile, name: str, batches: Iterator[pa.Table]) -> Iterator[None]:
    """Write a table, which is compressed by itself."""
    first = next(batches)
    stored = zipfile.ZipInfo(name, date_time=time.localtime()[:6])
    stored.external_attr = 0o600 << 16
    with (
        archive.open(stored, "w", force_zip64=True) as file,
        pq.ParquetWriter(file, first.schema, compression="zstd") as writer,
    ):
        writer.write_table(first)
        for table in batches:
            writer.write_table(table)
            yield


def _records(connection: Connection, root: Path, asset: Asset, table: str) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of the archive, then those of the store."""
    folder = archive_folder(root, asset.twin)
    for archive in archives_of(connection, asset.twin, table):
        for row in asset_rows(folder, archive, asset):
            yield {name: orjson.loads(value) if name in AS_TEXT else value for name, value in row.items()}
    yield from rows_of(connection, asset, table)


def _readings(connection: Connection, root: Path, asset: Asset, contract: Twin | None) -> Iterator[pa.Table]:
    """Yield tables of run, time, received_at and all channels the twin ever had, the contract's first; at least one."""
    known = contract.channel_names if contract else ()
    channels = list(dict.fromkeys([*known, *stored.stored_channels(connection, asset.twin)]))
    keys = [("run", pa.int64()), ("time", pa.float64()), ("received_at", pa.timestamp("us", "UTC"))]
    schema = pa.schema([*keys, *((name, pa.float32()) for name in channels)])
    yield schema.empty_table()
    archived = archived_readings(connection, root, asset.twin, channels, [asset.id])
    for part in chain(archived, stored.all_readings(connection, asset.twin, channels, asset.id)):
        yield pa.table({name: part[name].to_numpy() for name in schema.names}).cast(schema)


def _scores(connection: Connection, root: Path, asset: Asset, table: str, schema: pa.Schema) -> Iterator[pa.Table]:
    yield schema.empty_table()
    texts = [name for name in ("faults", "diagnosis", "warnings") if name in schema.names]
    folder = archive_folder(root, asset.twin)
    for archive in archives_of(connection, asset.twin, table):
        rows = named_models(connection, asset_rows(folder, archive, asset))
        yield pa.Table.from_pylist(rows, schema)
    for rows in held_scores(connection, asset, table):
        as_text = [{**row, **{name: orjson.dumps(row[name]).decode() for name in texts}} for row in rows]
        yield pa.Table.from_pylist(as_text, schema)


def _readme(asset: Asset, contract: Twin | None, now: datetime) -> str:
    unit = contract.clock.unit if contract else "the contract's unit"
    channels = contract.channels.items() if contract else ()
    lines = [
        f"Asset {asset.name} of the twin {asset.twin}, as of {now.astimezone(UTC).isoformat()}",
        "",
        "Every moment is UTC. A time without a date is time since the asset's run began, in its clock's unit:",
        f"{unit}. A new run begins after a failure or the exchange of a part.",
        "",
        "asset.json        the asset: serial number, location, tags; its present run and newest reading; how many",
        "                  readings came, and how many of them late, twice, or with gaps before them",
        *(f"{table + '.json':<18}{words}" for table, words in TABLES.items()),
        "photos/           what people photographed, by case",
        "readings.parquet  one row per reading: run, time, received_at, and one column per channel; empty where a",
        "                  reading lacks the channel",
        "scores.parquet    one row per answer of a model: run and time of the last reading that it saw, scored_at, age",
        "                  (s from receipt to score), rows (readings seen), rul with rul_low and rul_high (remaining",
        f"                  useful life and its interval, {unit}), faults (probability of each class), diagnosis",
        "                  and warnings as JSON, and name, version and digest of the model",
        "waiting.json      where single values came: those that are no reading yet, or that the next one may need;",
        "                  time in microseconds since 1970 where it is dated, else in the clock's unit",
        "shadow_scores.parquet",
        "                  what another model said at the same time, while one was on trial; nothing followed from it",
        "",
        "Channels of readings.parquet:",
        *(f"  {name}: {_values(channel)}{_about(channel.description)}" for name, channel in channels),
    ]
    return "\n".join(lines) + "\n"


def _values(channel: Channel) -> str:
    """Return the unit of a channel's values, or of a category the word that each number stands for."""
    words = enumerate(channel.categories or (), 1)
    return (
        channel.unit if channel.categories is None else ", ".join(["0 unknown", *(f"{i} {word}" for i, word in words)])
    )


def _about(description: str) -> str:
    return f" ({description})" if description else ""
