"""The result of one twin for people: a table of figures, and one HTML page with the pictures inside."""

import base64
import math
from pathlib import Path
from typing import Any

from jinja2 import Environment

from foretwin.contract.twin import Twin

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{{ contract.title }} - Foretwin</title>
<style>
 body { font: 16px/1.5 system-ui, sans-serif; color: #22313f; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
 table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .3rem .9rem; border-bottom: 1px solid #dde3e8 }
 td + td, th + th { text-align: right } img { max-width: 100% } .note { color: #667 }
</style>
<h1>{{ contract.title }}</h1>
<p>{{ contract.description }}</p>
<p>Measured at {{ metrics.cuts }} points of {{ metrics.assets }} assets that took no part in training, tuning or
calibration, through the served bundle <code>{{ metrics.bundle[:12] }}</code>.</p>
{% for subset, table in tables.items() %}{% if subset %}<p>Of these, {{ subset }} alone:</p>{% endif %}
<table><tr>{% for cell in table[0] %}<th>{{ cell }}</th>{% endfor %}</tr>
{% for row in table[1:] %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}</table>
{% endfor %}
{% for name, data in pictures %}<p><img alt="{{ name }}" src="data:image/png;base64,{{ data }}"></p>
{% endfor %}
<p class="note">Contract {{ contract.digest[:12] }}.
Data checks: <code>data/{{ contract.name }}/validation/docs/</code>.
The same figures as numbers: <code>models/{{ contract.name }}/metrics.json</code>.</p>
</html>
"""


def figures_table(metrics: dict[str, Any], contract: Twin) -> list[list[str]]:
    """A header and one row for the network and each baseline, as text."""
    unit = contract.clock.unit
    header = ["model"]
    if contract.rul:
        header += [f"RMSE ({unit})", f"RMSE uncapped ({unit})", "PHM08 score", "interval covers", f"its width ({unit})"]
    header += [f"{axis} macro-F1" for axis in contract.axes]
    models = {"network": metrics["network"], **metrics["baselines"]}
    return [header, *([name.replace("_", " "), *_cells(figures, contract)] for name, figures in models.items())]


def subset_tables(metrics: dict[str, Any], contract: Twin) -> dict[str, list[list[str]]]:
    """Subset -> the same table for that part of the predictions; empty where the data name no parts."""
    network, baselines = metrics["network"], metrics["baselines"]
    return {
        subset: figures_table(
            {"network": found, "baselines": {name: figures["subsets"][subset] for name, figures in baselines.items()}},
            contract,
        )
        for subset, found in network.get("subsets", {}).items()
    }


def _cells(figures: dict[str, Any], contract: Twin) -> list[str]:
    cells = []
    if contract.rul:
        clipped, interval = figures["rul"]["clipped"], figures["rul"].get("interval")
        cells += [f"{clipped['rmse']:.2f}", f"{figures['rul']['unclipped']['rmse']:.2f}", f"{clipped['phm08']:.0f}"]
        cells += [f"{interval['coverage']:.1%}", f"{interval['width']:.1f}"] if interval else ["", ""]
    scores = [figures["fault"][axis]["macro_f1"] for axis in contract.axes]
    return cells + ["" if score is None or math.isnan(score) else f"{score:.3f}" for score in scores]


def write_page(contract: Twin, metrics: dict[str, Any], pictures: Path, path: Path) -> None:
    """The page, with the PNG files of the folder `pictures` inside, so that it can be mailed."""
    data = [(png.stem, base64.b64encode(png.read_bytes()).decode()) for png in sorted(pictures.glob("*.png"))]
    template = Environment(autoescape=True).from_string(PAGE)
    tables = {"": figures_table(metrics, contract), **subset_tables(metrics, contract)}
    text = template.render(contract=contract, metrics=metrics, tables=tables, pictures=data)
    path.write_text(text, encoding="utf-8")
