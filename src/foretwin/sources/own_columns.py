"""Whether a file has the columns of a twin's own table source, and the contract's units."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from foretwin.contract.source import TableSource
from foretwin.contract.twin import Twin
from foretwin.errors import SourceError
from foretwin.sources.files.file_names import SINGLE
from foretwin.sources.files.reading import file_columns
from foretwin.sources.snapshots.snapshot_files import SnapshotForm, opener
from foretwin.sources.tabular import PARQUET_MAGIC


def own_columns(contract: Twin, path: Path, labelled: bool = False) -> TableSource | None:
    """Return the twin's own table source for this file; None where the file lacks its columns.

    Of the labels it has those whose columns are there if `labelled`, else none but the failures that end lives. What
    tables beside the readings make are columns here too: a channel of events, say, under the channel's name.
    """
    own = contract.source
    if not isinstance(own, TableSource):
        return None
    own = own.model_copy(update={"path": str(path)})
    try:
        columns = file_columns(own, path, opener(SnapshotForm.of(contract, own)))
    except SourceError:
        return None  # perhaps it has canonical columns, in another notation
    keys = {own.asset_column or SINGLE, *([own.time_column] if own.time_column else [])}
    if not keys <= columns:
        return None
    there = ("run", "failure", "rul", "subset", "split") if labelled else ("run", "failure")
    kept: dict[str, object] = dict.fromkeys(("run", "failure", "rul", "subset", "split"))
    kept |= {name: getattr(own, name) for name in there if getattr(own, name) in columns}
    axes = own.faults.items() if labelled else ()
    kept["faults"] = {axis: fault for axis, fault in axes if fault.columns and set(fault.columns) <= columns}
    alone = dict.fromkeys(("failures", "maintenance", "events", "assets", "parts", "reached"))
    return own.model_copy(update={**kept, **alone, "runs_end_in_failure": False})


def check_file_units(contract: Twin, source: TableSource, path: Path) -> None:
    """Raise SourceError where a field of the file has a `unit` in its metadata that is not the contract's."""
    with path.open("rb") as file:
        if file.read(len(PARQUET_MAGIC)) != PARQUET_MAGIC:
            return
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError):
        return  # who reads the file says what is wrong with it
    needed = {source.columns.get(name, name): channel.unit for name, channel in contract.channels.items()}
    time = source.time or ""
    if time in schema.names and pa.types.is_floating(schema.field(time).type):
        needed[time] = contract.clock.unit
    for field in schema:
        said = (field.metadata or {}).get(b"unit", b"").decode("utf-8", "replace")
        if said and needed.get(field.name, said) != said:
            fix = f"is in {said}, {needed[field.name]} is needed; convert it"
            raise SourceError(f"{path}: column {field.name!r}: {fix}")
