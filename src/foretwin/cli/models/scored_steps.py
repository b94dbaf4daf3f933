"""Score every step of a file, with the truth and figures where the file has labels."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from foretwin.cli.models.scored_file import rows_of_file
from foretwin.dataset.table import fault_column
from foretwin.errors import BadInput
from foretwin.evaluation.held_out import Truth, figures_of
from foretwin.evaluation.report import figures_table
from foretwin.predictor.bundle import Bundle
from foretwin.predictor.guards import check_rows
from foretwin.predictor.inputs import read_frame
from foretwin.project.entrypoint import show_progress

WINDOWS_AT_ONCE = 2048


def score_steps(bundle: Bundle, file: Path) -> tuple[pd.DataFrame, dict[str, Any] | None]:
    """Return the scores of each row with enough history, and their figures; None where no row has a label.

    Where the file has labels, `true_rul` (NaN where unknown) and `true_<axis>` (empty where unknown) are beside them.
    """
    contract = bundle.contract
    rows = rows_of_file(file, contract, labelled=True)
    scores, ends = _scores_of(bundle, rows, file)
    at = rows.iloc[ends].reset_index(drop=True)
    truth = _truth(at, bundle)
    told: dict[str, Any] = {}
    if contract.rul and not np.isnan(truth.rul).all():
        told["true_rul"] = truth.rul
    for axis, classes in truth.faults.items():
        if (classes >= 0).any():
            told[f"true_{axis}"] = np.array([*contract.classes(axis), ""], dtype=object)[classes]
    figures = figures_of(bundle, scores, truth) if told else None
    return scores.assign(**told), figures


def score_every_row(bundle: Bundle, file: Path) -> pd.DataFrame:
    """Return the scores of each row with enough history, without a look at labels."""
    return _scores_of(bundle, rows_of_file(file, bundle.contract), file)[0]


def _scores_of(bundle: Bundle, rows: pd.DataFrame, file: Path) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Return the scores of each row with enough history, and the positions of these rows."""
    contract = bundle.contract
    tracks = read_frame(rows, contract)
    check_rows(tracks, contract)
    ends = tracks.histories.ends(contract.window.shortest)
    if len(ends) == 0:
        raise BadInput(str(file), f"no run has the {contract.window.shortest} rows that a score needs")
    parts = np.array_split(ends, -(-len(ends) // WINDOWS_AT_ONCE))
    names, runs = rows["asset"].to_numpy(object), rows["run"].to_numpy(np.int64)
    shown = track(parts, f"score {len(ends)} steps", disable=not show_progress(), transient=True)
    each = [replace(tracks, assets=names[part], runs=runs[part], ends=part) for part in shown]
    return pd.concat([bundle.answer(one).frame() for one in each], ignore_index=True), ends


def show_figures(bundle: Bundle, figures: dict[str, Any], steps: int) -> None:
    """Print the figures of all labelled steps, as the report has them."""
    header, row = figures_table({"network": figures, "baselines": {}}, bundle.contract)
    table, console = Table(), Console()
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in zip(header[1:], row[1:], strict=True):
        table.add_row(name, value)
    console.print(f"{steps} steps against the file's labels:", highlight=False)
    console.print(table)


def _truth(at: pd.DataFrame, bundle: Bundle) -> Truth:
    faults = {axis: at[fault_column(axis)].to_numpy(np.int64) for axis in bundle.contract.axes}
    return Truth(at["rul"].to_numpy(np.float64), faults, at["subset"].to_numpy(np.str_))
