"""The key figures as one HTML page with a small picture for each figure inside, so that it can be mailed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from foretwin.twin.kpis.shown import Figures, columns, rows

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Key figures - Foretwin</title>
<style>
 body { font: 16px/1.5 system-ui, sans-serif; color: #22313f; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
 table { border-collapse: collapse; margin: 1rem 0; font-size: .9rem } td + td, th + th { text-align: right }
 th, td { padding: .3rem .7rem; border-bottom: 1px solid #dde3e8 } tr.whole td { font-weight: 600 }
 .scroll { overflow-x: auto } .pictures { display: flex; flex-wrap: wrap; gap: 1.5rem }
 figure { margin: 0 } figcaption { font-size: .9rem } .note { color: #667 }
 rect { fill: #2f6f9f } line { stroke: #22313f }
</style>
{% for report, heads, lines, pictures in twins %}
<h1>{{ report.title }}</h1>
<p>{{ report.since }} to {{ report.until }} (UTC), as known on {{ report.at }}.</p>
<div class="pictures">{% for picture in pictures %}<figure><figcaption>{{ picture.title }}</figcaption>
<svg role="img" aria-label="{{ picture.title }}" width="{{ width }}" height="{{ height }}">
<line x1="0" x2="{{ width }}" y1="{{ picture.zero }}" y2="{{ picture.zero }}" stroke-width=".5"/>
{% for bar in picture.bars %}<g><title>{{ bar.said }}</title>
<rect x="{{ bar.left }}" y="{{ bar.top }}" width="{{ bar.width }}" height="{{ bar.height }}"/>
{% if bar.whisker %}<line x1="{{ bar.middle }}" x2="{{ bar.middle }}" y1="{{ bar.whisker[0] }}" \
y2="{{ bar.whisker[1] }}"/>{% endif %}</g>
{% endfor %}</svg></figure>
{% endfor %}</div>
<div class="scroll"><table><tr><th>period</th>{% for head in heads %}<th>{{ head }}</th>{% endfor %}</tr>
{% for line in lines %}<tr{% if loop.last and lines | length > 1 %} class="whole"{% endif %}>
{% for cell in line %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table></div>
<ul class="note">{% for sentence in report.assumptions %}<li>{{ sentence }}</li>{% endfor %}</ul>
{% endfor %}<p class="note">docs/key-figures.md says how each figure is counted.</p>
</html>
"""
WIDTH, HEIGHT, MARGIN = 260, 90, 6
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
    """One period's figure, in pixels; `whisker` goes from its low end to its high one."""

    left: float
    top: float
    width: float
    height: float
    whisker: tuple[float, float] | None
    said: str

    @property
    def middle(self) -> float:
        """Where the whisker stands."""
        return round(self.left + self.width / 2, 1)


@dataclass(frozen=True)
class Picture:
    """Bars over the periods, in their order; a period without the figure has none. `zero` is the height of 0."""

    title: str
    zero: float
    bars: tuple[Bar, ...]


def page_of(reports: Sequence[dict[str, Any]]) -> str:
    """The page."""
    from jinja2 import Environment  # whoever only asks for numbers does not wait for it

    twins = [(report, list(columns(report)), rows(report), _pictures(report)) for report in reports]
    return Environment(autoescape=True).from_string(PAGE).render(twins=twins, width=WIDTH, height=HEIGHT)


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
            left, width = round((i + 0.15) * step, 2), round(0.7 * step, 2)
            said = f"{name}: {value}" + ("" if whisker is None else f" ({low} to {high})")
            bars.append(Bar(left, top, width, round(bottom - top, 1), whisker, said))
    return Picture(title, height(0.0), tuple(bars))
