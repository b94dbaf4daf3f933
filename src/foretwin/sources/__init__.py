"""Where data comes from: each source turns its raw files into the same canonical rows."""

from pathlib import Path

import pandas as pd

from foretwin.config import Paths
from foretwin.contract import Twin
from foretwin.source_spec import CmapssSource, HydraulicSource, PumpSource, TableSource
from foretwin.sources import cmapss, hydraulic, pump, table


def fetch(contract: Twin, paths: Paths, out: Path) -> None:
    """Fill the empty folder `out` with the raw files that the contract's source names.

    SourceError, or its DigestError, where they cannot be had as described.
    """
    downloads = paths.work.parent / "_downloads"  # shared: four twins come out of one C-MAPSS archive
    match contract.source:
        case PumpSource():
            pump.fetch(contract, out)
        case CmapssSource(subset=subset):
            cmapss.fetch(subset, downloads, out)
        case HydraulicSource():
            hydraulic.fetch(downloads, out)
        case TableSource() as source:
            table.fetch(source, paths.data, out)


def adapt(contract: Twin, raw: Path) -> pd.DataFrame:
    """The canonical rows of what `fetch` left in `raw`: the columns and dtypes of `rows.column_types`.

    SourceError where the files are not what the contract describes.
    """
    match contract.source:
        case PumpSource():
            return pump.adapt(contract, raw)
        case CmapssSource(subset=subset):
            return cmapss.adapt(contract, subset, raw)
        case HydraulicSource():
            return hydraulic.adapt(contract, raw)
        case TableSource() as source:
            return table.adapt(contract, source, raw)
