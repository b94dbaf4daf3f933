"""Print the summary of a run: figures, paths, next commands."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from foretwin.champion.champion import kept_identity
from foretwin.champion.refusal import refusal_of
from foretwin.cli.project import command_prefix
from foretwin.cli.tables import fitting_table
from foretwin.dataset.labels.taught import load_taught
from foretwin.errors import RegistryError
from foretwin.evaluation.report import STARS, marked_table, note_of_stars
from foretwin.project.paths import Paths

SERVED = ("network", "blend")  # the model that is told of, or its one part
NEXT = {
    "foretwin serve --open": "the scoring service on port 3000 of this machine",
    "foretwin demo": "a living fleet of twenty pumps that wear out",
    "mlflow ui": "runs, trials and models on port 5000",
    "foretwin new NAME FILE": "a twin of your machine from a CSV or Parquet file",
}


def print_summary(root: Path, twins: list[str]) -> None:
    """Print a table per twin with network, baselines and champion; then paths and the next commands."""
    console = Console()
    for twin in twins:
        _print_twin(console, Paths(root, twin))
    console.print("Try next:")
    for command, purpose in NEXT.items():
        console.print(f"  {command_prefix()}{command:<24} # {purpose}", highlight=False, soft_wrap=True)


def _print_twin(console: Console, paths: Paths) -> None:
    contract = load_taught(paths)
    try:
        metrics = json.loads(paths.evaluation.read_text())
        promotion = json.loads((paths.models / "promotion.json").read_text())
    except FileNotFoundError as error:
        raise RegistryError(f"{error.filename}: not there yet; run `dvc repro` first") from None
    title = f"{contract.title}: {metrics['cuts']} predictions for {metrics['assets']} held-out assets"
    console.print(_table(marked_table(metrics, contract, STARS), title, console.width))
    if note := note_of_stars(metrics):
        console.print(note, highlight=False)
    console.print(f"champion  {_champion(paths, metrics, promotion)}", highlight=False)
    for label, path in {
        "report": paths.models / "report.html",
        "card": paths.models / "card.html",
        "plots": paths.models / "plots",
        "checks": paths.validation / "docs" / "index.html",
    }.items():
        console.print(f"{label:<9} {path}", highlight=False, soft_wrap=True)
    console.print()


def _table(figures: Sequence[Sequence[str]], title: str, most: int) -> Table:
    """Return the figures, a row per model, or a column where there are fewer of them: to fit in `most` characters."""
    header, *rows = figures if len(figures) > len(figures[0]) else zip(*figures, strict=True)
    table, widths = fitting_table([header, *rows], most, title)
    for place, name in enumerate(header):
        style = "bold" if name in SERVED else None
        table.add_column(name, justify="right" if place else "left", style=style, overflow="fold", width=widths[place])
    for row in rows:
        table.add_row(*row, style="bold" if row[0] in SERVED else None)
    return table


def _champion(paths: Paths, metrics: dict[str, Any], promotion: dict[str, Any]) -> str:
    """Return who is champion, and what became of the network whose figures are shown."""
    champion = kept_identity(paths)
    if champion is None:
        return f"none: {refusal_of(paths) or 'this network was refused'}"
    if champion.digest == metrics["bundle"]:
        verdict = "this network"
    else:
        verdict = f"another one; this network was {'rolled back' if promotion['promoted'] else 'refused'}"
    return f"{champion.name} version {champion.version}: {verdict}"
