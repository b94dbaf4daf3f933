"""Where data comes from: each source turns its raw files into the same canonical rows."""

from pathlib import Path

import pandas as pd

from foretwin.contract.source import CmapssSource, HydraulicSource, PumpSource, StoreSource, TableSource
from foretwin.contract.twin import Twin
from foretwin.project.paths import Paths
from foretwin.sources import cmapss, hydraulic, pump, store, table


def fetch(contract: Twin, paths: Paths, out: Path) -> None:
    """Fill the empty folder `out` with the raw files that the contract's source names.

    Where data/<twin>/history/ is there, it is copied to `out`/history beside them. SourceError, or its DigestError,
    where they cannot be had as described.
    """
    downloads = paths.work.parent / "_downloads"  # shared: four twins come out of one C-MAPSS archive
    history = paths.data / store.FOLDER
    match contract.source:
        case PumpSource():
            pump.fetch(contract, out)
        case CmapssSource(subset=subset):
            cmapss.fetch(subset, downloads, out)
        case HydraulicSource():
            hydraulic.fetch(downloads, out)
        case TableSource() as source:
            table.fetch(source, paths.data, out)
        case StoreSource():
            store.require(contract.name, history)
    if history.is_dir():
        store.fetch(contract.name, history, out)


def adapt(contract: Twin, raw: Path) -> pd.DataFrame:
    """The canonical rows of what `fetch` left in `raw`: the columns and dtypes of `rows.column_types`.

    The rows of a history follow those of the twin's own source. SourceError where the files are not what the contract
    describes.
    """
    own = _adapt_own(contract, raw)
    if isinstance(contract.source, StoreSource) or not (raw / store.FOLDER).is_dir():
        return own
    return store.with_history(own, store.adapt(contract, raw))


def _adapt_own(contract: Twin, raw: Path) -> pd.DataFrame:
    match contract.source:
        case PumpSource():
            return pump.adapt(contract, raw)
        case CmapssSource(subset=subset):
            return cmapss.adapt(contract, subset, raw)
        case HydraulicSource():
            return hydraulic.adapt(contract, raw)
        case TableSource() as source:
            return table.adapt(contract, source, raw)
        case StoreSource():
            return store.adapt(contract, raw)
