"""Store files of readings, CSV or Parquet, piece by piece."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from foretwin.contract.source import TableSource
from foretwin.contract.twin import Twin
from foretwin.errors import SourceError
from foretwin.project.entrypoint import show_progress
from foretwin.sources.files.reading import file_columns
from foretwin.sources.own_columns import check_file_units, own_columns
from foretwin.sources.snapshots.snapshot_files import SnapshotForm, opener
from foretwin.sources.table import read_own_rows
from foretwin.sources.tabular import TableFile, open_table
from foretwin.twin.ingest.ingest import ingest
from foretwin.twin.ingest.own_rows import ingest_own
from foretwin.twin.ingest.receipt import Receipt
from foretwin.twin.store import Store
from foretwin.wire.decoder import decode_table, is_of_values
from foretwin.wire.readings import Decoded, Rejected
from foretwin.wire.value_columns import FIELDS

BLOCK = 4 * 1024 * 1024  # bytes of a CSV file in one transaction
ROWS = 50_000  # of any other in one transaction
_Receipts: TypeAlias = tuple[int, Iterator[tuple[Receipt, int]]]  # how much there is, and how much is done
EMPTY = ["", "NA", "N/A", "#N/A", "nan", "NaN", "null", "NULL", "None"]


def ingest_file(store: Store, contract: Twin, path: Path, now: datetime) -> Iterator[Receipt]:
    """Store the readings of a file, each piece in a transaction of its own; yield a receipt for each.

    The file has the columns asset, time since the run began, an optional run and one per channel; or asset, time,
    channel, value and an optional quality, of which what is newest waits for the rest of its step. It may be of any
    size; or it has those of the twin's own table source, and then is read at once, as for training. Storing it again,
    or the rest of it after an interruption, changes nothing twice. SourceError where it cannot be read, or goes on
    unreadably.
    """
    own = own_columns(contract, path)
    opened = opener(None if own is None else SnapshotForm.of(contract, own))
    if own is not None and own.tag is None and is_of_values(sorted(file_columns(own, path, opened)), contract):
        own = None
    total, receipts = _own(store, contract, own, path, now) if own else _canonical(store, contract, path, now)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True, disable=not show_progress()) as progress:
        task = progress.add_task(path.name, total=total)
        for receipt, done in receipts:
            progress.update(task, completed=done)
            yield receipt


def _own(store: Store, contract: Twin, source: TableSource, path: Path, now: datetime) -> _Receipts:
    check_file_units(contract, source, path)
    rows = read_own_rows(contract, source, path)
    return len(rows.frame), ingest_own(store, contract, rows, now)


def _canonical(store: Store, contract: Twin, path: Path, now: datetime) -> _Receipts:
    total, pieces = _pieces(open_table(path, str(path)), contract)
    contracts = {contract.name: contract}
    return total, ((ingest(store, contracts, [one], "file", now, begins="any"), done) for one, done in pieces)


def _pieces(file: TableFile, contract: Twin) -> tuple[int, Iterator[tuple[Decoded, int]]]:
    """How many rows there are, of a CSV file bytes; and piece by piece what they hold, with how many are done."""
    columns = ["asset", "time", *(["run"] if "run" in file.columns else []), *contract.channel_names]
    if is_of_values(file.columns, contract):
        columns = ["asset", *(name for name in FIELDS if name in file.columns)]
    for name in columns:
        if file.columns.count(name) != 1:
            is_there = "is there more than once" if name in file.columns else f"is missing; {contract.name} needs it"
            raise SourceError(f"{file.shown}: column {name!r} {is_there}; correct the file's header")
    if not file.is_plain:
        raise SourceError(f"{file.shown}: canonical columns are read from CSV in UTF-8 or Parquet; export one of these")
    if file.delimiter is None:
        return pyarrow.parquet.ParquetFile(file.path).metadata.num_rows, _of_parquet(file, contract, columns)
    return file.path.stat().st_size, _of_csv(file, contract, columns)


def _of_parquet(file: TableFile, contract: Twin, columns: list[str]) -> Iterator[tuple[Decoded, int]]:
    done = 0
    try:
        for batch in pyarrow.parquet.ParquetFile(file.path).iter_batches(ROWS, columns=columns):
            done += len(batch)
            yield _decoded(file, pa.Table.from_batches([batch]), contract), done
    except (pa.ArrowException, OSError) as error:
        raise _damage(file, error) from None


def _of_csv(file: TableFile, contract: Twin, columns: list[str]) -> Iterator[tuple[Decoded, int]]:
    ragged: list[Rejected] = []

    def set_aside(row: pyarrow.csv.InvalidRow) -> str:
        detail = f"has {row.actual_columns} fields, the header has {row.expected_columns}"
        ragged.append(Rejected(contract.name, None, "row", "undecodable", detail, row.text))
        return "skip"

    delimiter = {"delimiter": file.delimiter, "newlines_in_values": True, "invalid_row_handler": set_aside}
    texts = {name: pa.string() for name in columns}
    missing = {"null_values": EMPTY, "strings_can_be_null": True}
    try:
        with (
            pa.OSFile(str(file.path)) as source,
            pyarrow.csv.open_csv(
                source,
                pyarrow.csv.ReadOptions(use_threads=False, block_size=BLOCK),
                pyarrow.csv.ParseOptions(**delimiter),
                pyarrow.csv.ConvertOptions(column_types=texts, include_columns=columns, **missing),
            ) as reader,
        ):
            for batch in reader:
                rejected, ragged[:] = tuple(ragged), []
                found = _decoded(file, pa.Table.from_batches([batch]), contract) if len(batch) else Decoded(None)
                yield replace(found, rejected=found.rejected + rejected), source.tell()
        yield Decoded(None, tuple(ragged)), file.path.stat().st_size
    except (pa.ArrowException, OSError) as error:
        raise _damage(file, error) from None


def _decoded(file: TableFile, table: pa.Table, contract: Twin) -> Decoded:
    names = table.column("asset")
    if pa.types.is_integer(names.type):
        table = table.set_column(table.column_names.index("asset"), "asset", names.cast(pa.string()))
    found = decode_table(table, contract, None, texts=True)
    if found.readings is None and found.values is None and all(one.field == "time" for one in found.rejected):
        first = found.rejected[0]
        reason = f"a time is counted in {contract.clock.unit} since its run began: convert the column"
        raise SourceError(f"{file.shown}: column 'time' {first.detail}; {reason}")
    return found


def _damage(file: TableFile, error: Exception) -> SourceError:
    reason = " ".join(str(error).split())
    return SourceError(f"{file.shown}: cannot be read on: {reason}; what came before is stored: correct it, run again")
