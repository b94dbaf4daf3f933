"""A look of the monitor as one HTML page: what is broken first, then what was compared; pictures are inline SVG."""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

WIDTH = 220.0  # of a bar at twice its limit

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{{ title }}: the monitor - Foretwin</title>
<style>
 body { font: 16px/1.5 system-ui, sans-serif; color: #22313f; max-width: 64rem; margin: 2rem auto; padding: 0 1rem }
 table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .25rem .8rem; border-bottom: 1px solid #dde3e8 }
 th { text-align: left } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
 .good, .bad { padding: .5rem 1rem; border-left: .4rem solid #3a8f5c; background: #eef7f1 }
 .bad { border-color: #c0392b; background: #fbeeec } .broken td { color: #c0392b; font-weight: 600 }
 .note { color: #667 } svg { display: block }
</style>
<h1>{{ title }}: the monitor</h1>
<p>Looked at {{ r.looked_at }}; champion <b>version {{ r.champion.version }}</b>
<code>{{ r.champion.digest[:12] }}</code>.</p>
<div class="{{ 'bad' if r.verdict.limits_broken else 'good' }}">{{ r.verdict.summary }}
{%- if r.verdict.limits_broken %}<ul>{% for s in r.verdict.limits_broken %}<li>{{ s }}</li>{% endfor %}</ul>{% endif %}
</div>
{% if r.case %}<p>Case {{ r.case.case }} is {{ r.case.state }} ({{ r.case.done }}).</p>{% endif %}
{% if r.verdict.retrain %}
<p>There is something new to learn from: <code>foretwin retrain {{ r.twin }}</code>.</p>{% endif %}

<h2>Readings of healthy life</h2>
{% if r.drift.reason %}<p>{{ r.drift.reason }}</p>{% endif %}
{% if r.drift.channels %}
<p>{{ r.drift.readings }} readings of {{ r.drift.assets }} assets beside those of the assets that the champion was
developed on. A bar is the population stability index, the line is what a clean fleet of this size stays below.</p>
<table><tr><th>channel</th><th></th><th class="n">PSI</th><th class="n">limit</th><th class="n">shift (sd)</th></tr>
{% for c in r.drift.channels %}<tr{% if c.drifted %} class="broken"{% endif %}><td>{{ c.name }}</td>
<td>{{ bar(c.psi, c.limit) }}</td><td class="n">{{ n(c.psi) }}</td><td class="n">{{ n(c.limit) }}</td>
<td class="n">{{ n(c.shift) }}</td></tr>{% endfor %}</table>{% endif %}
{% if r.drift.scores %}<p>What the champion said of healthy machines. A young fleet is above these limits with nothing
wrong, so that they open no case:</p>
<table><tr><th>answer</th><th></th><th class="n">PSI</th><th class="n">limit</th></tr>
{% for c in r.drift.scores %}<tr><td>{{ c.name }}</td>
<td>{{ bar(c.psi, c.limit) }}</td><td class="n">{{ n(c.psi) }}</td><td class="n">{{ n(c.limit) }}</td></tr>
{% endfor %}</table>{% endif %}

<h2>Signals of failing data sources</h2>
{% if r.signals %}
{% macro signals(rows) %}<table><tr><th>signal</th><th>of</th><th class="n">value</th><th class="n">limit</th>
<th>assets</th></tr>{% for s in rows %}<tr{% if s.broken %} class="broken"{% endif %}>
<td>{{ s.name.replace("_", " ") }}</td>
<td>{{ s.of }}</td><td class="n">{{ share(s.value) }}</td><td class="n">{{ share(s.limit) }}</td>
<td>{{ s.assets | join(", ") }}</td></tr>{% endfor %}</table>{% endmacro %}
{% set broken = r.signals | selectattr("broken") | list %}{% if broken %}{{ signals(broken) }}{% endif %}
<details><summary>{{ (r.signals | length) - (broken | length) }} are within their limits</summary>
{{ signals(r.signals | rejectattr("broken")) }}</details>
{% endif %}

<h2>What became true</h2>
<p>{{ r.truth.failures }} scored runs ended in a failure, {{ r.truth.missed_failures }} of them without a case before.
{%- if r.truth.lead_time.median is not none %} From the first case to the failure: {{ n(r.truth.lead_time.median) }}
{{ r.unit }} (median; half of them between {{ n(r.truth.lead_time.lower_quartile) }} and
{{ n(r.truth.lead_time.upper_quartile) }}).{% endif %}
Of {{ r.truth.closed_cases }} closed cases {{ r.truth.false_alarms.no_fault_found }} had no fault behind them, and
{{ r.truth.false_alarms.recovered }} recovered by themselves.</p>
{% if r.truth.models %}
<table><tr><th>version</th><th class="n">runs</th><th class="n">scores</th><th class="n">RMSE ({{ r.unit }})</th>
<th class="n">95 % interval</th><th class="n">held out</th><th class="n">PHM08 per score</th>
<th class="n">interval held</th><th class="n">too late</th></tr>
{% for m in r.truth.models %}<tr><td>{{ m.version }}</td>
<td class="n">{{ m.runs }}</td><td class="n">{{ m.scores }}</td>
<td class="n">{{ n(m.rmse) }}</td><td class="n">{{ n(m.rmse_low) }} to {{ n(m.rmse_high) }}</td>
<td class="n">{{ n(r.champion.held_out_rmse) if m.digest == r.champion.digest else "" }}</td>
<td class="n">{{ n(m.phm08_per_score) }}</td><td class="n">{{ share(m.coverage) }}</td>
<td class="n">{{ share(m.late_share) }}</td></tr>{% endfor %}</table>
{% for m in r.truth.models %}<p>Error of version {{ m.version }} by the life that remained ({{ r.unit }}):</p>
<table><tr>{% for name in m.bands %}<th class="n">{{ name }}</th>{% endfor %}</tr>
<tr>{% for b in m.bands.values() %}<td class="n">{{ n(b.rmse) }}</td>{% endfor %}</tr></table>{% endfor %}{% endif %}

{% if r.shadow %}<h2>Two models beside each other</h2>
<p>Differences are what was said beside less what was served, of the remaining life in {{ r.unit }}.</p>
<table><tr><th>served</th><th>beside</th><th class="n">scores</th><th class="n">assets</th>
<th class="n">mean difference</th><th class="n">mean size</th><th class="n">diagnoses differ</th>
<th class="n">runs that failed</th><th class="n">RMSE served</th><th class="n">RMSE beside</th></tr>
{% for s in r.shadow %}<tr><td>version {{ s.served.version }}</td><td>version {{ s.beside.version }}</td>
<td class="n">{{ s.scores }}</td><td class="n">{{ s.assets }}</td><td class="n">{{ n(s.rul_mean) }}</td>
<td class="n">{{ n(s.rul_mean_absolute) }}</td><td class="n">{{ share(s.diagnoses_differ) }}</td>
<td class="n">{{ s.realised.runs if s.realised else 0 }}</td><td class="n">{{ n(s.realised.served) if s.realised }}</td>
<td class="n">{{ n(s.realised.beside) if s.realised }}</td></tr>{% endfor %}</table>{% endif %}
<p class="note">The same as numbers: <code>report.json</code>, <code>metrics.prom</code>.</p>
</html>
"""

BAR = """<svg width="{{ width }}" height="14" role="img" aria-label="{{ value }}">
<rect width="{{ length }}" height="10" y="2" fill="{{ colour }}"/>
<line x1="{{ half }}" x2="{{ half }}" y1="0" y2="14" stroke="#22313f"/></svg>"""


def render(report: Mapping[str, Any], title: str) -> str:
    """The page of a report as `monitor` returns it."""
    environment = Environment(autoescape=True)
    picture = environment.from_string(BAR)

    def bar(value: float | None, limit: float | None) -> Any:
        """A bar as long as the value, the limit in its middle."""
        if value is None or not limit:
            return ""
        length = min(value / limit, 2) * WIDTH / 2
        colour = "#c0392b" if value > limit else "#7fa7c4"
        values = {"width": WIDTH, "half": WIDTH / 2, "length": f"{length:.1f}", "colour": colour}
        return Markup(picture.render(**values, value=f"{value:.3g}"))  # noqa: S704 - of numbers alone

    return environment.from_string(PAGE).render(r=report, title=title, bar=bar, n=_number, share=_share)


def _number(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
