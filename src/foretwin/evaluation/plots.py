"""Plots of held-out results and explanations, as PNG files; with `plots_twin` the only importer of matplotlib.

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

from foretwin.contract.twin import Twin
from foretwin.evaluation.held_out import Truth, predicted_class
from foretwin.predictor.shapley import Attribution, Explanation

INK, GREY, BAND, BLUE, RED, GREEN = "#22313f", "#8795a1", "#b8d4ea", "#1f6fb2", "#c8453a", "#2f8f5b"
ALPHA = 0.2  # accuracy cone of the alpha-lambda plot, as a share of the true RUL
MOST_BARS = 12  # contributions in one panel; the rest is summed in one more bar
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
    """Draw all plots that the contract's outputs and the known labels allow, into the folder `out`.

    `scores` are those of `Bundle.score` at the held-out cuts; `example` those along one run, with the truth in
    `true_rul`.
    """
    if contract.rul and not np.isnan(truth.rul).all():
        predicted_against_true(contract, scores, truth, out / "predicted_against_true.png")
        error_by_remaining_life(contract, scores, truth, out / "error_by_remaining_life.png")
        coverage_by_remaining_life(contract, scores, truth, out / "coverage_by_remaining_life.png")
    if contract.rul and example is not None:
        one_asset(contract, example, out / "one_asset.png")
        alpha_lambda(contract, example, out / "alpha_lambda.png")
    for axis in contract.axes:
        confusion(contract, axis, scores, truth, out / f"confusion_{axis}.png")


def predicted_against_true(contract: Twin, scores: pd.DataFrame, truth: Truth, path: Path) -> None:
    """Draw each held-out prediction with its interval; those whose interval misses the truth are highlighted."""
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
    """Draw the median and spread of the error in bands of true RUL."""
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


def coverage_by_remaining_life(contract: Twin, scores: pd.DataFrame, truth: Truth, path: Path) -> None:
    """Draw coverage and mean width of the interval in bands of true RUL."""
    known = ~np.isnan(truth.rul)
    cap, unit = _rul(contract), contract.clock.unit
    true, part = np.minimum(truth.rul[known], cap), scores[known]
    inside = ((part["rul_low"] <= true) & (true <= part["rul_high"])).to_numpy()
    width = (part["rul_high"] - part["rul_low"]).to_numpy()
    edges = np.linspace(0, cap, 9)
    band = np.clip(np.digitize(true, edges) - 1, 0, len(edges) - 2)
    middles, step = (edges[:-1] + edges[1:]) / 2, edges[1]
    with _picture(path, f"{contract.title}: what the intervals hold, by remaining life") as ax:
        for i in np.unique(band):
            share, wide = inside[band == i].mean(), width[band == i].mean()
            ax.bar(middles[i], share, width=0.85 * step, color=BAND, edgecolor=BLUE)
            ax.text(middles[i], 0.02, f"{wide:.0f} {unit}", ha="center", color=INK, fontsize=9)
        ax.axhline(inside.mean(), color=BLUE, lw=1.5, label=f"all together: {inside.mean():.1%}")
        ax.set(xlabel=f"true RUL, capped at {cap:g} ({unit})", ylabel="share of truths inside", ylim=(0, 1.12))
        ax.legend(loc="upper left")
        ax.text(0.99, 0.98, "in the bars: mean width", transform=ax.transAxes, ha="right", va="top", color=GREY)


def alpha_lambda(contract: Twin, example: pd.DataFrame, path: Path) -> None:
    """Draw the alpha-lambda plot: predictions within ALPHA of the truth towards the end (Saxena et al., IJPHM 2010)."""
    cap, unit = _rul(contract), contract.clock.unit
    part = example[example["true_rul"] <= cap]
    if part.empty:
        return
    true, predicted = part["true_rul"].to_numpy(), part["rul"].to_numpy()
    within = np.abs(predicted - true) <= ALPHA * true
    asset = str(part["asset"].iloc[0]).rpartition("@")[0]
    with _picture(path, f"{contract.title}: {asset} within {ALPHA:.0%} of the truth") as ax:
        low, high, label = true * (1 - ALPHA), true * (1 + ALPHA), f"truth +- {ALPHA:.0%}"
        ax.fill_between(part["time"], low, high, color=BAND, label=label)
        ax.plot(part["time"], true, color=INK, lw=1.5, ls="--", label="true")
        ax.scatter(
            part["time"][within], predicted[within], s=10, color=BLUE, lw=0, label=f"inside ({within.mean():.0%})"
        )
        ax.scatter(part["time"][~within], predicted[~within], s=10, color=RED, lw=0, label="outside")
        ax.set(xlabel=f"time in the run ({unit})", ylabel=f"RUL ({unit})", ylim=(0, cap * 1.25))
        ax.legend(loc="lower left")


def one_asset(contract: Twin, example: pd.DataFrame, path: Path) -> None:
    """Draw the RUL of one held-out asset along its run, with its interval, against the truth."""
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
    """Draw the confusion matrix: counts of true against predicted class, shaded by the share of the true class."""
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


def contributions(contract: Twin, explanation: Explanation, path: Path) -> None:
    """Draw each channel's contribution to the difference from a healthy machine's score, one panel per output.

    Red is for the worse: less remaining life, a class other than the healthy one more probable.
    """
    questions = explanation.questions
    heights = [4 + len(bars(found)) for found in questions.values()]  # in bars; title and axis take four
    with _figure(path, (7.2, 0.3 + 0.26 * sum(heights))) as figure:
        figure.suptitle(f"{contract.title}: why {explanation.asset} gets this answer", color=INK, weight="bold")
        panels = figure.subplots(len(questions), squeeze=False, height_ratios=heights)[:, 0]
        for ax, (question, found) in zip(panels, questions.items(), strict=True):
            more_is_better = question == "rul" or found.answer == contract.classes(question)[0]
            asked = "remaining life" if question == "rul" else f"{contract.faults[question].title}: {found.answer}"
            _panel(ax, asked.replace("_", " "), found, more_is_better)


def _panel(ax: Axes, asked: str, found: Attribution, more_is_better: bool) -> None:
    names, values = [name for name, _ in bars(found)], [value for _, value in bars(found)]
    better = [(value > 0) == more_is_better for value in values]
    ax.barh(range(len(names)), values, color=[BLUE if good else RED for good in better], height=0.7)
    ax.axvline(0, color=INK, lw=1)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.grid(visible=False, axis="y")
    ax.set_title(f"{asked}, {found.prediction:.3g} {found.unit}; a healthy machine {found.base:.3g}", fontsize=10)
    ax.set_xlabel(f"contribution ({found.unit})")


def bars(found: Attribution) -> list[tuple[str, float]]:
    """Return name and length of each bar: the MOST_BARS largest contributions, and the sum of the others."""
    ordered = found.largest_first()
    rest = ordered[MOST_BARS:]
    return ordered[:MOST_BARS] + ([(f"{len(rest)} others", sum(value for _, value in rest))] if rest else [])


def predictions_table(contract: Twin, scores: pd.DataFrame, truth: Truth) -> pd.DataFrame:
    """Tabulate the held-out cuts with a known label: asset, time, `true` and `predicted` RUL (for `dvc plots`).

    Each fault axis has its true class as `true_<axis>`, empty where it is unknown, and the answer as `<axis>`.
    """
    table: dict[str, Any] = {"asset": scores["asset"].str.rpartition("@")[0], "time": scores["time"]}
    cap = contract.rul.cap if contract.rul else np.inf
    table["true"] = np.minimum(truth.rul, cap) if contract.rul else np.nan
    table["predicted"] = scores["rul"] if contract.rul else np.nan
    known = ~np.isnan(truth.rul) if contract.rul else np.zeros(len(scores), dtype=bool)
    for axis in contract.axes:
        names = np.array([*contract.classes(axis), ""], dtype=object)  # -1, for an unknown class, selects the last
        table |= {f"true_{axis}": names[truth.faults[axis]], axis: scores[axis]}
        known = known | (truth.faults[axis] >= 0)
    return pd.DataFrame(table)[known]


def _rul(contract: Twin) -> float:
    return contract.rul.cap if contract.rul else float("nan")


@contextmanager
def _picture(path: Path, title: str) -> Iterator[Axes]:
    """Open one axes in the common style, written to `path` at the end."""
    with _figure(path, (7.2, 4.6)) as figure:
        ax = figure.add_subplot()
        ax.set_title(title)
        yield ax


@contextmanager
def _figure(path: Path, inches: tuple[float, float]) -> Iterator[Figure]:
    """Open a figure in the common style, written to `path` as PNG at the end."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=inches, dpi=130, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        figure.savefig(path, format="png", metadata={"Software": None})
