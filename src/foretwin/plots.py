"""The pictures of a result, as PNG files; matplotlib's only importer.

All RUL and time axes are in the contract's unit.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from foretwin.contract import Twin
from foretwin.evaluation import Truth, predicted_class

INK, GREY, BAND, BLUE, RED, GREEN = "#22313f", "#8795a1", "#b8d4ea", "#1f6fb2", "#c8453a", "#2f8f5b"
STYLE: Any = {
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "font.size": 10,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "text.color": INK,
}


def draw_all(contract: Twin, scores: pd.DataFrame, truth: Truth, example: pd.DataFrame | None, out: Path) -> None:
    """Every picture that the twin's questions and what is known allow, into the folder `out`.

    `scores` is what `Bundle.score` said at the held-out cuts; `example` what it said along one run, with the truth
    in `true_rul`.
    """
    if contract.rul and not np.isnan(truth.rul).all():
        predicted_against_true(contract, scores, truth, out / "predicted_against_true.png")
        error_by_remaining_life(contract, scores, truth, out / "error_by_remaining_life.png")
    if contract.rul and example is not None:
        one_asset(contract, example, out / "one_asset.png")
    for axis in contract.axes:
        confusion(contract, axis, scores, truth, out / f"confusion_{axis}.png")


def predicted_against_true(contract: Twin, scores: pd.DataFrame, truth: Truth, path: Path) -> None:
    """Each held-out prediction with its interval; those whose interval misses the truth stand out."""
    known = ~np.isnan(truth.rul)
    cap, unit = _rul(contract), contract.clock.unit
    true = np.minimum(truth.rul[known], cap)
    part = scores[known]
    hit = ((part["rul_low"] <= true) & (true <= part["rul_high"])).to_numpy()
    with _picture(path, f"{contract.title}: predicted against true remaining life") as ax:
        ax.plot([0, cap], [0, cap], color=GREY, lw=1, ls="--")
        for inside, colour, label in ((True, BLUE, "interval holds the truth"), (False, RED, "interval misses it")):
            chosen = hit == inside
            y, low, high = (part[name].to_numpy()[chosen] for name in ("rul", "rul_low", "rul_high"))
            ax.errorbar(true[chosen], y, [y - low, high - y], fmt="none", ecolor=colour, alpha=0.15, lw=1)
            ax.scatter(true[chosen], y, s=12, color=colour, alpha=0.7, label=f"{label} ({chosen.mean():.0%})", lw=0)
        ax.set(xlabel=f"true RUL, capped at {cap:g} ({unit})", ylabel=f"predicted RUL ({unit})")
        ax.legend(loc="upper left")


def error_by_remaining_life(contract: Twin, scores: pd.DataFrame, truth: Truth, path: Path) -> None:
    """Median and spread of the error in bands of true RUL."""
    known = ~np.isnan(truth.rul)
    cap, unit = _rul(contract), contract.clock.unit
    true = np.minimum(truth.rul[known], cap)
    error = scores["rul"].to_numpy()[known] - true
    edges = np.linspace(0, cap, 9)
    band = np.clip(np.digitize(true, edges) - 1, 0, len(edges) - 2)
    groups = [error[band == i] for i in range(len(edges) - 1)]
    with _picture(path, f"{contract.title}: error by remaining life") as ax:
        ax.axhline(0, color=GREY, lw=1, ls="--")
        centres = (edges[:-1] + edges[1:]) / 2
        some = [i for i, group in enumerate(groups) if len(group)]
        boxes = ax.boxplot(
            [groups[i] for i in some],
            positions=centres[some],
            widths=cap / 12,
            whis=(5, 95),
            showfliers=False,
            patch_artist=True,
            medianprops={"color": INK},
            manage_ticks=False,
        )
        for box in boxes["boxes"]:
            box.set(facecolor=BAND, edgecolor=BLUE)
        ax.set(xlabel=f"true RUL, capped at {cap:g} ({unit})", ylabel=f"predicted - true ({unit}); above 0 = too late")
        note = "box: middle half, whiskers: 5 to 95 %"
        ax.text(0.99, 0.98, note, transform=ax.transAxes, ha="right", va="top", color=GREY)


def one_asset(contract: Twin, example: pd.DataFrame, path: Path) -> None:
    """The RUL of one held-out asset along its run, with its band, against the truth."""
    cap, unit = _rul(contract), contract.clock.unit
    asset = str(example["asset"].iloc[0]).rpartition("@")[0]
    with _picture(path, f"{contract.title}: remaining life of {asset}, as it was told") as ax:
        ax.fill_between(example["time"], example["rul_low"], example["rul_high"], color=BAND, label="interval")
        ax.plot(example["time"], example["rul"], color=BLUE, lw=2, label="predicted")
        ax.plot(
            example["time"],
            np.minimum(example["true_rul"], cap),
            color=INK,
            lw=1.5,
            ls="--",
            label=f"true, capped at {cap:g}",
        )
        limit = contract.cases.open_below
        if limit is not None:
            ax.axhline(limit, color=RED, lw=1, ls=":", label=f"a case opens when the band reaches {limit:g} {unit}")
        ax.set(xlabel=f"time in the run ({unit})", ylabel=f"RUL ({unit})", ylim=(0, cap * 1.15))
        ax.legend(loc="lower left")


def confusion(contract: Twin, axis: str, scores: pd.DataFrame, truth: Truth, path: Path) -> None:
    """Counts of true against predicted class, shaded by the share of the true class."""
    names = contract.classes(axis)
    known = truth.faults[axis] >= 0
    counts = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(counts, (truth.faults[axis][known], predicted_class(scores, contract, axis)[known]), 1)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with _picture(path, f"{contract.title}: {contract.faults[axis].title}") as ax:
        ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for i, j in np.ndindex(counts.shape):
            ax.text(j, i, str(counts[i, j]), ha="center", va="center", color="white" if share[i, j] > 0.5 else INK)
        labels = [name.replace("_", " ") for name in names]
        ax.set_xticks(range(len(names)), labels, rotation=20, ha="right")
        ax.set_yticks(range(len(names)), labels)
        ax.set(xlabel="predicted", ylabel="true")
        ax.grid(visible=False)


def predictions_table(contract: Twin, scores: pd.DataFrame, truth: Truth) -> pd.DataFrame:
    """asset, time and true against predicted RUL of the held-out cuts, for `dvc plots`; empty without an RUL."""
    table: dict[str, Any] = {"asset": scores["asset"].str.rpartition("@")[0], "time": scores["time"]}
    cap = contract.rul.cap if contract.rul else np.inf
    table["true"] = np.minimum(truth.rul, cap)
    table["predicted"] = scores["rul"] if contract.rul else np.nan
    return pd.DataFrame(table).dropna()


def _rul(contract: Twin) -> float:
    return contract.rul.cap if contract.rul else float("nan")


@contextmanager
def _picture(path: Path, title: str) -> Iterator[Axes]:
    """One axes in the common style, written to `path` at the end."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 4.6), dpi=130, layout="constrained")
        FigureCanvasAgg(figure)
        ax = figure.add_subplot()
        ax.set_title(title)
        yield ax
        figure.savefig(path, metadata={"Software": None})
