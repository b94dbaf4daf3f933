"""Data sources: each converts its raw files to canonical rows."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from foretwin.contract.source import CmapssSource, HydraulicSource, PumpSource, StoreSource, TableSource
from foretwin.contract.twin import Twin
from foretwin.project.paths import Paths
from foretwin.sources import cmapss, hydraulic, pump, store, table
from foretwin.sources.download import Archive, places
from foretwin.sources.files.places.copies import places_of


def fetch(contract: Twin, paths: Paths, out: Path) -> None:
    """Fill the empty folder `out` with the raw files of the contract's source.

    Where data/<twin>/history/ exists, it is copied to `out`/history too. SourceError, or its DigestError, where they
    are not available as described.
    """
    downloads = _downloads(paths)
    history = paths.data / store.FOLDER
    match contract.source:
        case PumpSource():
            pump.fetch_pump(contract, out)
        case CmapssSource(subset=subset):
            cmapss.fetch_cmapss(subset, downloads, out)
        case HydraulicSource():
            hydraulic.fetch_hydraulic(downloads, out)
        case TableSource() as source:
            table.fetch_table(source, paths.data, out, paths.raw)
        case StoreSource():
            store.require(contract.name, history)
    if history.is_dir():
        store.fetch_store(contract.name, history, out)


def origin(contract: Twin, paths: Paths) -> list[Path] | None:
    """Return the files that `fetch` reads where they are there, but the history's; None where they are elsewhere."""
    archives: tuple[Archive, ...]
    match contract.source:
        case CmapssSource():
            archives = cmapss.ARCHIVES
        case HydraulicSource():
            archives = hydraulic.ARCHIVES
        case TableSource() as source:
            return places_of(source, paths.data)
        case _:
            return []
    return [place for archive in archives for place in places(archive, _downloads(paths))]


def _downloads(paths: Paths) -> Path:
    """Shared by all twins: four come out of one C-MAPSS archive."""
    return paths.work.parent / "_downloads"


def adapt(contract: Twin, raw: Path) -> pd.DataFrame:
    """Convert the raw files of `fetch` to canonical rows, with the columns and dtypes of `table.column_types`.

    The rows of a history follow those of the twin's own source. SourceError where the files are not as the contract
    describes.
    """
    return pd.concat(adapt_pieces(contract, raw), ignore_index=True)


def adapt_pieces(contract: Twin, raw: Path) -> Iterator[pd.DataFrame]:
    """Yield what `adapt` returns in pieces, those of a table source so large as memory needs."""
    with_history = not isinstance(contract.source, StoreSource) and (raw / store.FOLDER).is_dir()
    for piece in _adapt_own(contract, raw):
        yield store.apart_from_history(piece) if with_history else piece
    if with_history:
        yield store.adapt_store(contract, raw)


def _adapt_own(contract: Twin, raw: Path) -> Iterable[pd.DataFrame]:
    match contract.source:
        case PumpSource():
            return [pump.adapt_pump(contract, raw)]
        case CmapssSource(subset=subset):
            return [cmapss.adapt_cmapss(contract, subset, raw)]
        case HydraulicSource():
            return [hydraulic.adapt_hydraulic(contract, raw)]
        case TableSource() as source:
            return table.adapt_table(contract, source, raw)
        case StoreSource():
            return [store.adapt_store(contract, raw)]
