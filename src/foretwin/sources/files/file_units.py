"""Units that a Parquet file says of its columns, against the contract's."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from foretwin.contract.source import TableSource
from foretwin.contract.twin import Twin
from foretwin.errors import SourceError

MAGIC = b"PAR1"


def check_file_units(contract: Twin, source: TableSource, path: Path) -> None:
    """Raise SourceError where a field of the file has a `unit` in its metadata that is not the contract's."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
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
