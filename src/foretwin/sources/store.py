"""Source store: the twin's own history, exported from the store by `foretwin history` as training data.

The export is two files in data/<twin>/history/: `history.parquet`, the canonical table, and `history.json`, with
counts of its content and the SHA-256 of the table as `digest`.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from foretwin.contract.twin import Twin
from foretwin.dataset.table import read_rows
from foretwin.errors import RowsError, SourceError
from foretwin.sources.download import check_digest

FOLDER = "history"
TABLE, MANIFEST = "history.parquet", "history.json"
PREFIX = "store/"  # of its assets' names, so that they differ from those of the twin's other source


def fetch_store(twin: str, history: Path, out: Path) -> None:
    """Copy the export in `history` to `out`/history; SourceError where it is incomplete, DigestError where altered."""
    _checked(twin, history)
    (out / FOLDER).mkdir()
    for name in (TABLE, MANIFEST):
        shutil.copyfile(history / name, out / FOLDER / name)


def require(twin: str, history: Path) -> None:
    """Raise SourceError where there is no export, for a twin without another source."""
    if not history.is_dir():
        raise SourceError(f"{history}: not there; `foretwin history {twin}` makes it from the twins' store")


def adapt_store(contract: Twin, raw: Path) -> pd.DataFrame:
    """Read the canonical rows of `raw`/history, with assets named `store/<name>`; SourceError as for `fetch`."""
    _checked(contract.name, raw / FOLDER)
    try:
        rows = read_rows(raw / FOLDER / TABLE, contract)
    except RowsError as error:
        raise SourceError(f"{error}; `foretwin history {contract.name}` exports it anew") from None
    return rows.assign(asset=PREFIX + rows["asset"])


def apart_from_history(own: pd.DataFrame) -> pd.DataFrame:
    """Return canonical rows of another source; SourceError where the name of an asset is one of the history's."""
    taken = own.loc[own["asset"].str.startswith(PREFIX), "asset"]
    if len(taken):
        raise SourceError(f"asset {taken.iloc[0]}: names that begin with {PREFIX} are the history's; rename it")
    return own


def _checked(twin: str, folder: Path) -> dict[str, Any]:
    """Read the manifest and verify that the table in the folder matches it."""
    path = folder / MANIFEST
    advice = f"`foretwin history {twin}` exports it anew"
    try:
        manifest = dict(json.loads(path.read_bytes()))
        digest = str(manifest["digest"])
    except FileNotFoundError:
        raise SourceError(f"{path}: not there; {advice}") from None
    except (ValueError, TypeError, KeyError):
        raise SourceError(f"{path}: not the manifest of a history; {advice}") from None
    if manifest.get("twin") != twin:
        raise SourceError(f"{path}: is the history of {manifest.get('twin')}, not of {twin}; {advice}")
    if not (folder / TABLE).is_file():
        raise SourceError(f"{folder / TABLE}: not there; {advice}")
    check_digest(folder / TABLE, digest, advice)
    return manifest
