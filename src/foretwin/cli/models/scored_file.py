"""Score or explain a file with the champion, by the same `Bundle.score` as the service."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from foretwin.champion.champion import load_champion
from foretwin.contract.source import TableFault, TableSource
from foretwin.contract.twin import Twin
from foretwin.dataset.table import fault_column
from foretwin.errors import BadInput, RegistryError
from foretwin.predictor.bundle import Bundle
from foretwin.predictor.shapley import Explanation, explain
from foretwin.project.entrypoint import show_progress
from foretwin.project.files import fresh_file
from foretwin.project.paths import Paths
from foretwin.sources.own_columns import check_file_units, own_columns
from foretwin.sources.table import read_rows_of
from foretwin.sources.tabular import TableFile, open_table
from foretwin.wire.asset_names import check_name

AT_ONCE = 256  # assets; the progress bar moves after so many
MOST_SHOWN = 30  # assets on the terminal


def load_scorer(root: Path, twin: str, candidate: bool) -> Bundle:
    """Load the champion's bundle, or the candidate's, whatever the gate said of it."""
    if not candidate:
        return load_champion(root, twin).bundle
    folder = Paths(root, twin).models / "bundle"
    if not folder.exists():
        raise RegistryError(f"{folder}: {twin} has no candidate yet; `foretwin add {twin}` and `dvc repro` make one")
    return Bundle.load(folder)


def score_file(bundle: Bundle, file: Path) -> pd.DataFrame:
    """Return one score per asset of a CSV or Parquet file, as `Bundle.score` returns them.

    The file has the columns of the twin's own table source, or the canonical asset, time, optional run and channels.
    """
    rows = rows_of_file(file, bundle.contract)
    assets = rows["asset"].unique()
    parts = np.array_split(assets, max(1, -(-len(assets) // AT_ONCE)))
    scores = [
        bundle.score(rows[rows["asset"].isin(part)])
        for part in track(parts, f"score {len(assets)} assets", disable=not show_progress(), transient=True)
    ]
    return pd.concat(scores, ignore_index=True)


def explain_asset(root: Path, twin: str, file: Path, asset: str) -> tuple[Twin, Explanation]:
    """Return the champion's contract, and the explanation of that asset's score."""
    bundle = load_champion(root, twin).bundle
    rows = rows_of_file(file, bundle.contract)
    chosen = rows[rows["asset"] == asset]
    if len(chosen) == 0:
        raise BadInput("--asset", f"{file} has no asset {asset}; its first one is {rows['asset'].iloc[0]}")
    return bundle.contract, explain(bundle, chosen)


def write_scores(scores: pd.DataFrame, out: Path) -> None:
    """Write a .csv or .parquet file, complete or not at all; warnings are joined by `; ` in a CSV."""
    if out.suffix not in (".csv", ".parquet"):
        raise BadInput("--out", f"{out} ends neither in .csv nor in .parquet")
    with fresh_file(out) as temporary:
        if out.suffix == ".parquet":
            scores.to_parquet(temporary, index=False)
        else:
            as_csv(scores).to_csv(temporary, index=False)


def as_csv(scores: pd.DataFrame) -> pd.DataFrame:
    """Return scores as a CSV file holds them."""
    return scores.assign(warnings=scores["warnings"].map("; ".join))


def show_scores(scores: pd.DataFrame, urgent_first: bool = True) -> None:
    """Print the scores as a table, the shortest remaining life first where there is one, or in the file's order."""
    table = Table()
    columns = [name for name in scores.columns if name not in ("run", "rows")]
    for name in columns:
        number = pd.api.types.is_numeric_dtype(scores[name])
        table.add_column(name.removeprefix("p_"), justify="right" if number else "left")
    ordered = scores.sort_values("rul", kind="stable") if urgent_first and "rul" in scores else scores
    for row in ordered[columns].head(MOST_SHOWN).itertuples(index=False):
        table.add_row(*(_cell(value) for value in row))
    console = Console()
    console.print(table)
    if len(scores) > MOST_SHOWN:
        console.print(f"{len(scores) - MOST_SHOWN} more; `--out scores.csv` writes them all")


def show_explanation(explanation: Explanation) -> None:
    """Print a table per question: from the base value through the contributions, largest first, to the prediction."""
    console = Console()
    for question, found in explanation.questions.items():
        asked = question if found.answer == question else f"{question}: {found.answer}"
        table = Table(title=escape(f"{explanation.asset}: {asked} ({found.unit})"))
        table.add_column("channel")
        table.add_column("contribution", justify="right")
        table.add_row("a healthy machine", f"{found.base:.4g}", end_section=True)
        for name, value in found.largest_first():
            table.add_row(escape(name), f"{value:+.4g}")
        table.add_section()
        table.add_row("prediction", f"{found.prediction:.4g}")
        console.print(table)


def _cell(value: object) -> str:
    if isinstance(value, list):
        return escape("; ".join(value))
    return f"{value:.4g}" if isinstance(value, float) else escape(str(value))


def rows_of_file(file: Path, contract: Twin, labelled: bool = False) -> pd.DataFrame:
    """Return the canonical rows of a file as `source_of_file` says, with units and names as every door wants them."""
    source = source_of_file(file, contract, labelled)
    check_file_units(contract, source, file)
    rows = read_rows_of(contract, source, file)
    for name in rows["asset"].unique():
        check_name(name, f"{file}: asset")
    return rows


def source_of_file(file: Path, contract: Twin, labelled: bool = False) -> TableSource:
    """Return how to read the file: as the twin's own table source if its columns are there, else by canonical names.

    With its labels if `labelled`, as far as their columns are there.
    """
    own = own_columns(contract, file, labelled)
    return own or _canonical_columns(open_table(file, str(file)), contract, labelled)


def _canonical_columns(table: TableFile, contract: Twin, labelled: bool) -> TableSource:
    found: dict[str, Any] = {
        name: name for name in ("run", "rul") if name in table.columns and (labelled or name == "run")
    }
    if labelled:
        there = [axis for axis in contract.axes if fault_column(axis) in table.columns]
        numbers = {axis: {str(i): name for i, name in enumerate(contract.classes(axis))} for axis in there}
        found["faults"] = {axis: TableFault(column=fault_column(axis), values=numbers[axis]) for axis in there}
    return TableSource(kind="table", path=str(table.path), asset="asset", time="time", **found)
