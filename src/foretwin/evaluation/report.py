"""Present one twin's results: a table of figures, and one HTML page with the plots inside."""

import math
import re
from pathlib import Path
from typing import Any

from foretwin.contract.twin import HEALTH, Twin
from foretwin.project.pages import inline_pictures, render_page

SERVED = "network"  # the name of the model itself, in the record and in its comparison
BEST, EQUAL = "best", "equal"
STARS = {BEST: "{}**", EQUAL: "{}*"}
TOLD, FALSE = "departures told", "normal windows told"  # of health
STARS_MEAN = "** least error; * not surely more (paired resamples of the machines)"
NOT_SURE = 0.025  # of the resamples, in which a model errs no more than the best one: it is not surely worse
HEADLINES = re.compile(  # of the record of `evaluate`: what metrics.json has of it, and `dvc metrics show`
    r"bundle|assets|cuts|unit"
    r"|network\.rul\.clipped\.(rmse|mae|bias|rmse_late)"
    r"|network\.rul\.interval\.(coverage|below_cap|late_side|width)"
    r"|network\.rul\.failure\.(integrated_brier|concordance)"
    r"|network\.fault\.[^.]+\.(macro_f1|answered|right_of_answered|detected|alarm_share|false_alarms)"
)


def figures_table(metrics: dict[str, Any], contract: Twin) -> list[list[str]]:
    """Return a header and one row for the model, each candidate of its blend and each baseline, as text."""
    unit = contract.clock.unit
    header = ["model"]
    if contract.rul:
        header += [f"RMSE ({unit})", f"RMSE uncapped ({unit})", "PHM08 score", "interval covers", f"its width ({unit})"]
    header += [f"{axis} macro-F1" for axis in contract.axes]
    header += [TOLD, FALSE] if contract.health else []
    candidates = metrics.get("candidates", {})
    served = "blend" if candidates else "network"
    models = {served: metrics["network"], **_titled(candidates, served), **metrics["baselines"]}
    return [header, *([name.replace("_", " "), *_cells(figures, contract)] for name, figures in models.items())]


def best_marks(metrics: dict[str, Any], contract: Twin) -> list[list[str]]:
    """Return for each cell of `figures_table` what its figure is: `best` of its column, `equal`, or an empty text.

    The RMSE at the cap and the macro-F1 of each axis are compared. What is `equal` is not surely worse than the best.
    There are no marks where nothing was compared: in records of versions before, and of parts of the data.
    """
    header, *rows = figures_table(metrics, contract)
    candidates = [f"candidate {name}" for name in metrics.get("candidates", {})]
    names = [SERVED, *candidates, *metrics["baselines"]]
    marks = [[""] * len(header) for _ in (header, *rows)]
    for question, told in metrics.get("comparison", {}).items():
        place = 1 if question == "rul" else header.index(f"{question} macro-F1")
        for line, name in enumerate(names, 1):
            if name == told["best"]:
                marks[line][place] = BEST
            elif told["chances"][name] >= NOT_SURE:
                marks[line][place] = EQUAL
    return marks


def marked_table(metrics: dict[str, Any], contract: Twin, forms: dict[str, str]) -> list[list[str]]:
    """Return `figures_table` with the form of its mark around each figure that has one, such as `{}*`."""
    pairs = zip(figures_table(metrics, contract), best_marks(metrics, contract), strict=True)
    return [[forms.get(mark, "{}").format(cell) for cell, mark in zip(*row, strict=True)] for row in pairs]


def headlines(metrics: dict[str, Any], within: str = "") -> dict[str, Any]:
    """Return what the held-out figures of the candidate come to, under the names of the whole record `metrics`.

    `within` is the path of `metrics` in that record, with a dot behind each name.
    """
    found: dict[str, Any] = {}
    for name, value in metrics.items():
        if isinstance(value, dict):
            inner = headlines(value, f"{within}{name}.")
            found |= {name: inner} if inner else {}
        elif HEADLINES.fullmatch(f"{within}{name}"):
            found[name] = value
    return found


def note_of_stars(metrics: dict[str, Any]) -> str:
    """Return what the stars of a table mean; empty where nothing was compared."""
    return STARS_MEAN if metrics.get("comparison") else ""


def _titled(candidates: dict[str, Any], served: str) -> dict[str, Any]:
    """Name the candidates so that none is taken for the model itself."""
    return {f"{name} (candidate)" if name == served else name: figures for name, figures in candidates.items()}


def subset_tables(metrics: dict[str, Any], contract: Twin) -> dict[str, list[list[str]]]:
    """Return subset -> table for that part of the predictions; empty where the data name no parts."""
    others = {kind: metrics.get(kind, {}) for kind in ("candidates", "baselines")}
    tables = {}
    for subset, found in metrics["network"].get("subsets", {}).items():
        parts = {
            kind: {name: one["subsets"][subset] for name, one in models.items()} for kind, models in others.items()
        }
        tables[subset] = figures_table({"network": found, **parts}, contract)
    return tables


def _cells(figures: dict[str, Any], contract: Twin) -> list[str]:
    cells = []
    if contract.rul:
        clipped, interval = figures["rul"]["clipped"], figures["rul"].get("interval")
        cells += [_cell(clipped["rmse"], ".2f"), _cell(figures["rul"]["unclipped"]["rmse"], ".2f")]
        cells += [_cell(clipped["phm08"], ".0f")]
        cells += [_cell(interval["coverage"], ".1%"), _cell(interval["width"], ".1f")] if interval else ["", ""]
    cells += [_cell(figures["fault"][axis]["macro_f1"], ".3f") for axis in contract.axes]
    told = figures["fault"][HEALTH] if contract.health else {}
    return cells + [_cell(told.get(name), ".1%") for name in ("detected", "alarm_share")[: 2 * bool(contract.health)]]


def _cell(figure: float | None, form: str) -> str:
    """Format a figure; one that is not known is an empty cell."""
    return "" if figure is None or math.isnan(figure) else f"{figure:{form}}"


def write_page(contract: Twin, metrics: dict[str, Any], pictures: Path, path: Path) -> None:
    """Write the page, with the PNG files of the folder `pictures` inside, so that it can be mailed."""
    tables = {"": marked_table(metrics, contract, STARS), **subset_tables(metrics, contract)}
    values = {
        "contract": contract,
        "metrics": metrics,
        "tables": tables,
        "note": note_of_stars(metrics),
        "pictures": inline_pictures(pictures),
    }
    path.write_text(render_page("foretwin.evaluation", "report.html", **values), encoding="utf-8")
