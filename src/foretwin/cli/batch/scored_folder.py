"""Score Parquet files of any size, here or behind URLs, a part of their machines at a time: memory is that of one."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from rich.progress import track

from foretwin.cli.batch.remote_files import RemoteFile, reading_remotely
from foretwin.cli.models.scored_file import as_csv, score_file, source_of_file
from foretwin.cli.models.scored_steps import score_every_row
from foretwin.dataset.machine_names import SLOTS, slot_of
from foretwin.errors import BadInput
from foretwin.predictor.bundle import Bundle
from foretwin.project.entrypoint import show_progress
from foretwin.project.files import fresh_file

PART = 200_000  # rows that are scored at once, about
AT_ONCE = 500_000  # rows that are dealt into parts at once
COMPRESSION = "lz4"  # of what is dealt: it is read once


def list_parquet(files: Sequence[Path | RemoteFile]) -> list[Path | RemoteFile]:
    """Return the files, of folders the Parquet files in them, in order; BadInput where another one is among several."""
    found: list[Path | RemoteFile] = []
    for file in files:
        found += sorted(file.rglob("*.parquet"), key=_by_folders) if file.is_dir() else [file]
    other = next((file for file in found if file.suffix != ".parquet"), None)
    if other is not None or not found:
        raise BadInput("FILE", f"{other or files[0]} is no Parquet; of several files, or of a folder, each must be")
    return found


def _by_folders(file: Path | RemoteFile) -> PurePosixPath:
    return PurePosixPath(str(file))


def score_folder(bundle: Bundle, files: Sequence[Path | RemoteFile], out: Path, every: bool) -> int:
    """Score all machines of these Parquet files into `out`; return how many scores that are.

    A machine's rows may lie in several files, in their order. They are dealt into parts by their machines' names first,
    in a folder beside `out`, which needs as much room as the files.
    """
    if out.suffix not in (".csv", ".parquet"):
        raise BadInput("--out", f"{out} ends neither in .csv nor in .parquet")
    score: Callable[[Path], pd.DataFrame] = (
        (lambda file: score_every_row(bundle, file)) if every else (lambda file: score_file(bundle, file))
    )
    count = 0
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".scoring-", dir=out.parent) as folder, fresh_file(out) as temporary:
        parts = deal(files, _asset_column(files[0], bundle, Path(folder)), Path(folder))
        shown = track(parts, f"score {len(parts)} parts", disable=not show_progress(), transient=True)
        with _writer(temporary, out.suffix) as write:
            for part in shown:
                scores = score(part)
                part.unlink()
                count += len(scores)
                write(scores)
    return count


@contextmanager
def _writer(file: Path, suffix: str) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Give a function that adds scores to a new file, as `write_scores` writes them."""
    if suffix == ".csv":
        with file.open("w", newline="") as out:
            yield lambda scores: as_csv(scores).to_csv(out, index=False, header=out.tell() == 0)
        return
    with ExitStack() as ending:
        opened: list[pq.ParquetWriter] = []

        def write(scores: pd.DataFrame) -> None:
            table = pa.Table.from_pandas(scores, preserve_index=False)
            place = table.schema.get_field_index("warnings")  # without one in a part they would have no type
            table = table.set_column(place, "warnings", table.column(place).cast(pa.list_(pa.string())))
            if not opened:
                opened.append(ending.enter_context(pq.ParquetWriter(file, table.schema)))
            opened[0].write_table(table.cast(opened[0].schema))

        yield write


def _asset_column(file: Path | RemoteFile, bundle: Bundle, folder: Path) -> str:
    """Return the column of the machines' names, by the columns that the file has: none of its rows is read."""
    columns = folder / "columns.parquet"
    with reading_remotely(file):
        pq.write_table(_opened(file).schema_arrow.empty_table(), columns)
    return source_of_file(columns, bundle.contract).asset or "asset"


def _opened(file: Path | RemoteFile) -> pq.ParquetFile:
    """Open a file for its groups of rows; a remote one is read where these lie."""
    return pq.ParquetFile(file if isinstance(file, Path) else file.open())


def deal(files: Sequence[Path | RemoteFile], asset: str, folder: Path) -> list[Path]:
    """Write the rows into files of whole machines, some of them each; return these. `asset` is their column."""
    rows = 0
    for file in files:
        with reading_remotely(file), _opened(file) as opened:
            rows += opened.metadata.num_rows
    count = max(1, -(-rows // PART))
    with reading_remotely(files[0]), _opened(files[0]) as opened:
        schema = opened.schema_arrow
    parts = [folder / f"{i:05d}.parquet" for i in range(count)]
    writers = [pq.ParquetWriter(part, schema, compression=COMPRESSION) for part in parts]
    used = set[int]()
    for table in _tables(files, schema):
        places = _parts_of(table.column(asset), count)
        order = np.argsort(places, kind="stable")
        ends = np.searchsorted(places[order], np.arange(count + 1))
        dealt = table.take(pa.array(order)) if count > 1 else table
        for i in np.flatnonzero(np.diff(ends)).tolist():
            writers[i].write_table(dealt.slice(ends[i], ends[i + 1] - ends[i]))
            used.add(i)
    for writer in writers:
        writer.close()
    return [parts[i] for i in sorted(used)]


def _tables(files: Sequence[Path | RemoteFile], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows, some at once; BadInput where a file has other columns than the first."""
    waiting: list[pa.RecordBatch] = []
    for file in files:
        with reading_remotely(file), _opened(file) as opened:
            if set(schema.names) - set(opened.schema_arrow.names):
                missing = sorted(set(schema.names) - set(opened.schema_arrow.names))[0]
                raise BadInput("FILE", f"{file} lacks the column {missing}, which {schema.names[0]}'s file has")
            for batch in opened.iter_batches(batch_size=65_536, columns=schema.names):
                waiting.append(batch.select(schema.names).cast(schema))
                if sum(map(len, waiting)) >= AT_ONCE:
                    yield pa.Table.from_batches(waiting, schema)
                    waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting, schema)


def _parts_of(names: pa.ChunkedArray, count: int) -> NDArray[np.int64]:
    """Return (N,) the part of each row, the same for all spellings of a machine's name."""
    if count == 1:
        return np.zeros(len(names), np.int64)
    coded = names.combine_chunks().dictionary_encode()
    slots = [slot_of(str(name)) for name in coded.dictionary.to_pylist()]
    of_name: NDArray[np.int64] = np.array(slots, np.int64) * count // SLOTS
    places: NDArray[np.int64] = of_name[coded.indices.to_numpy()]
    return places
