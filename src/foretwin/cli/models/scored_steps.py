"""Score every step of a file, with the truth and figures where the file has labels."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track
from rich.table import Table

from foretwin.cli.models.scored_file import rows_of_file
from foretwin.dataset.table import fault_column
from foretwin.dataset.windows import Histories, truncate
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
    check_rows(read_frame(rows, contract), contract)  # before the cuts, which have names and rows of their own
    ends = Histories.from_rows(rows, contract).ends(contract.window.shortest)
    if len(ends) == 0:
        raise BadInput(str(file), f"no run has the {contract.window.shortest} rows that a score needs")
    parts = np.array_split(ends, -(-len(ends) // WINDOWS_AT_ONCE))
    shown = track(parts, f"score {len(ends)} steps", disable=not show_progress(), transient=True)
    scores = pd.concat(
        [bundle.score(truncate(rows, part, contract.window.length)) for part in shown], ignore_index=True
    )
    scores["asset"] = rows["asset"].to_numpy()[ends]
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
