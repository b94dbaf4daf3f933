"""Render key figures as one HTML page with inline charts, ready to be mailed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from foretwin.project.pages import render_page
from foretwin.twin.kpis.shown import Figures, columns, rows

WIDTH, HEIGHT, MARGIN = 260, 90, 6
WIDEST = 48  # px of a bar
Reach = tuple[float | None, float | None, float | None]  # low, value, high


def _reach(one: Figures) -> Reach:
    return one.get("low"), one.get("value"), one.get("high")


PICTURES: dict[str, Callable[[Figures], Reach]] = {
    "failures foreseen": lambda one: (None, one["failures"]["foreseen"], None),
    "failures missed": lambda one: (None, one["failures"]["missed"], None),
    "failures avoided": lambda one: (None, one["avoided"], None),
    "false alarms": lambda one: (None, one["false_alarms"]["count"], None),
    "open cases at the end": lambda one: (None, one["cases"]["open"], None),
    "lead time, with its quartiles": lambda one: (
        one["lead_time"]["lower_quartile"],
        one["lead_time"]["median"],
        one["lead_time"]["upper_quartile"],
    ),
    "availability, assumed": lambda one: (None, one["availability"]["assumed"], None),
    "saved, with its range": lambda one: _reach((one["cost"] or {}).get("saved", {})),
}


@dataclass(frozen=True)
class Bar:
    """One period's figure, in pixels; `whisker` spans its range."""

    left: float
    top: float
    width: float
    height: float
    whisker: tuple[float, float] | None
    said: str

    @property
    def middle(self) -> float:
        """Return the horizontal position of the whisker."""
        return round(self.left + self.width / 2, 1)


@dataclass(frozen=True)
class Picture:
    """Bars over the periods, in order; a period without the figure has none. `zero` is the height of 0.

    `newest` is the last period's figure in words, empty where it has none.
    """

    title: str
    newest: str
    zero: float
    bars: tuple[Bar, ...]


def page_of(reports: Sequence[dict[str, Any]]) -> str:
    """Render the page."""
    return render_page("foretwin.twin.kpis", "key_figures.html", **key_figure_values(reports))


def key_figure_values(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what the template shows."""
    twins = [(report, list(columns(report)), rows(report), _pictures(report)) for report in reports]
    return {"twins": twins, "width": WIDTH, "height": HEIGHT}


def _pictures(report: dict[str, Any]) -> list[Picture]:
    names = [one["name"] for one in report["periods"]]
    drawn = [(title, [told(one) for one in report["periods"]]) for title, told in PICTURES.items()]
    return [
        _picture(title, names, values) for title, values in drawn if any(value is not None for _, value, _ in values)
    ]


def _picture(title: str, names: Sequence[str], values: Sequence[Reach]) -> Picture:
    known = [0.0, *(number for reach in values for number in reach if number is not None)]
    lowest, highest = min(known), max(known)
    scale = (HEIGHT - 2 * MARGIN) / ((highest - lowest) or 1.0)
    step = WIDTH / len(names)

    def height(value: float) -> float:
        return round(HEIGHT - MARGIN - (value - lowest) * scale, 1)

    bars = []
    for i, (name, (low, value, high)) in enumerate(zip(names, values, strict=True)):
        if value is not None:
            top, bottom = height(max(value, 0.0)), height(min(value, 0.0))
            whisker = None if low is None or high is None else (height(high), height(low))
            width = round(min(0.7 * step, WIDEST), 2)
            left = round((i + 0.5) * step - width / 2, 2)
            said = f"{name}: {value}" + ("" if whisker is None else f" ({low} to {high})")
            bars.append(Bar(left, top, width, round(bottom - top, 1), whisker, said))
    last = values[-1][1]
    newest = "" if last is None else f"{last:,.0f}" if abs(last) >= 1000 else f"{last:.3g}"
    return Picture(title, newest, height(0.0), tuple(bars))
