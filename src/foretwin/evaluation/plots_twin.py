"""Plots of the living twin's what-if results, in the style of `plots`."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from foretwin.evaluation.plots import BLUE, GREEN, GREY, INK, RED, STYLE

COLOURS = (BLUE, GREEN, "#d9822b", "#7a5ea8", RED, "#3aa5a5", "#a0705a", "#c46aa0", "#6b8e23", "#4a6fa5")
WIDTH, SURVIVAL, BAR, MARGIN = 7.6, 3.2, 0.42, 1.5  # inches
NAME = 22  # characters in a line


def what_if_plot(answer: Mapping[str, Any], out: Path) -> None:
    """Draw a result of `what_if`: each option's survival probability over time, and below its RUL with the interval.

    The present duty is drawn dashed and dark. A PNG file; an arrow marks a value cut off by the forecast's horizon.
    """
    options = answer["options"]
    height = BAR * len(options) + MARGIN
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, SURVIVAL + height), dpi=130, layout="constrained")
        FigureCanvasAgg(figure)
        time = f"{answer['as_of']['time']:g} {options[0]['rul']['unit']}"
        figure.suptitle(f"What if {answer['asset']} ran otherwise from {time} on", color=INK, weight="bold")
        above, below = figure.subplots(2, height_ratios=(SURVIVAL, height), sharex=True)
        colours = _colours(options)
        _survival(above, options, colours)
        _intervals(below, options, colours)
        figure.savefig(out, format="png", metadata={"Software": None})


def _colours(options: list[Mapping[str, Any]]) -> dict[str, str]:
    """Return name -> colour; the present duty, which has no difference to itself, is in ink."""
    others = [option["name"] for option in options if option["difference"]]
    colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(others)}
    return {option["name"]: colours.get(option["name"], INK) for option in options}


def _survival(ax: Axes, options: list[Mapping[str, Any]], colours: Mapping[str, str]) -> None:
    for option in options:
        style: dict[str, Any] = {"lw": 2} if option["difference"] else {"lw": 1.8, "ls": "--"}
        curve, name = option["curve"], option["name"]
        ax.plot(curve["time"], curve["probability"], color=colours[name], label=name, **style)
    ax.axhline(0.5, color=GREY, lw=0.8, ls=":")
    ax.set(ylabel="chance to be still running", ylim=(0, 1.03), xlim=(0, None))
    ax.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1))
    ax.legend(loc="upper right")


def _intervals(ax: Axes, options: list[Mapping[str, Any]], colours: Mapping[str, str]) -> None:
    unit, level = options[0]["rul"]["unit"], options[0]["rul"]["level"]
    for row, option in enumerate(options):
        rul, colour = option["rul"], colours[option["name"]]
        ax.plot([rul["low"], rul["high"]], [row, row], color=colour, lw=7, alpha=0.3, solid_capstyle="round")
        if "high" in rul["at_least"]:
            ax.plot(rul["high"], row, marker=">", ms=7, color=colour)
        ax.plot(rul["value"], row, "o", ms=8, color=colour, mec="white", mew=1.5)
        ax.annotate(_words(option), (rul["low"], row), (0, 8), textcoords="offset points", fontsize=9)
    ax.set_yticks(range(len(options)), [fill(option["name"], NAME) for option in options])
    ax.set(xlabel=f"remaining life ({unit}): median and {level:.0%} interval", ylim=(len(options) - 0.5, -0.9))
    ax.grid(visible=False, axis="y")


def _words(option: Mapping[str, Any]) -> str:
    """Format the median RUL, and its difference to the present duty with the interval."""
    rul, gained = option["rul"], option["difference"]
    value = f"{'at least ' if 'value' in rul['at_least'] else ''}{rul['value']:.0f} {rul['unit']}"
    if not gained:
        return value
    return f"{value}, {gained['value']:+.0f} against now ({gained['low']:+.0f} to {gained['high']:+.0f})"
