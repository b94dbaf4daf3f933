"""The model card: what a model is for, what it was made of, how good it is, where it ends, as one HTML page.

The sections follow Mitchell et al., Model Cards for Model Reporting (FAT* 2019). Everything on it comes from the
records of the stages and from the contract; the pictures are inside, so that it can be mailed.
"""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment

from foretwin.contract.twin import Twin
from foretwin.evaluation.report import figures_table, subset_tables

KINDS = {"all": "All windows", "subset": "Parts of the data", "fault": "True fault", "regime": "Operating regime"}
KINDS |= {"life": "True remaining life"}
QUESTIONS = {"rul_rmse": "RUL RMSE", "fault_error": "wrong fault answers"}

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Model card: {{ contract.title }}</title>
<style>
 :root { color-scheme: light dark; --ink: #1d2b36; --faint: #5d6b78; --line: #d9e0e6; --paper: #fff; --card: #f4f7f9;
  --good: #0a7d45; --bad: #b3261e; --bar: #3b78b8 }
 @media (prefers-color-scheme: dark) { :root { --ink: #e4eaef; --faint: #9aa8b4; --line: #34424e; --paper: #12191f;
  --card: #1b252d; --good: #58c98b; --bad: #ff8a80; --bar: #6aa7e0 } }
 body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem } h1 { margin-bottom: 0 } h2 { margin-top: 2.4rem; font-size: 1.2rem;
  border-bottom: 1px solid var(--line); padding-bottom: .3rem }
 .wide { overflow-x: auto } table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums }
 th, td { padding: .25rem .8rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top }
 th:first-child, td:first-child { text-align: left } th { color: var(--faint); font-weight: 600 }
 .note { color: var(--faint) } code { font-size: .88em; overflow-wrap: anywhere }
 .verdict { background: var(--card); border-left: 5px solid var(--good); border-radius: 4px; padding: .7rem 1rem }
 .verdict.no { border-color: var(--bad) } .checks .yes { color: var(--good) } .checks .no { color: var(--bad) }
 ul.checks { list-style: none; padding: 0 } ul.checks li { padding: .15rem 0 .15rem 1.6rem; text-indent: -1.6rem }
 ul.checks b { display: inline-block; width: 1.6rem; text-indent: 0 } img { max-width: 100%; background: #fff;
  border-radius: 4px } dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem }
 dt { color: var(--faint) } dd { margin: 0; min-width: 0 } meter { width: 9rem }
</style>
<h1>{{ contract.title }}</h1>
<p class="note">Model card of <code>{{ verdict.name }}</code> version {{ verdict.version }}, decided on
{{ verdict.decided_at }}.</p>
<p class="verdict{% if not verdict.promoted %} no{% endif %}"><b>{{ decision }}</b></p>

<h2>What it is for</h2>
<p>{{ contract.description }}</p>
<p>{{ use }} It is meant for planning maintenance by people who look at the machine before they act. It is not a safety
device, and it is for machines of this kind, with these channels in these units, alone.</p>

<h2>The gate's verdict</h2>
{% if verdict.checks %}<ul class="checks">
{% for check in verdict.checks %}
<li><b class="{{ "yes" if check.passed else "no" }}">{{ "✓" if check.passed else "✗" }}</b>
<code>{{ check.name }}</code> {{ check.sentence }}</li>
{% endfor %}</ul>
{% else %}<ul>{% for reason in verdict.reasons %}<li>{{ reason }}</li>{% endfor %}</ul>{% endif %}

<h2>How good it is</h2>
<p>Measured at {{ metrics.cuts }} points of {{ metrics.assets }} machines that took no part in training, tuning or
calibration, cut at random points of their lives, through the very bundle that is served
(<code>{{ metrics.bundle[:12] }}</code>); the baselines on the same windows.</p>
{% for subset, table in tables.items() %}{% if subset %}<p>Of these, {{ subset }} alone:</p>{% endif %}
<div class="wide"><table><tr>{% for cell in table[0] %}<th>{{ cell }}</th>{% endfor %}</tr>
{% for row in table[1:] %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table></div>
{% endfor %}
{% if interval %}<p>The {{ "%.0f" % (100 * interval.level) }} % interval of the remaining life holds
<b>{{ "%.1f" % (100 * interval.coverage) }} %</b> of the truths; it is {{ "%.4g" % interval.width }} {{ unit }} wide on
average.</p>{% endif %}
{% for sentence in calibrated %}<p>{{ sentence }}</p>
{% endfor %}
{% if slices %}<h2>By slice</h2>
<p class="note">The error with its 95 % interval over resampled machines; lower is better. A slice of few machines says
little.</p>
<div class="wide"><table><tr><th>slice</th><th>machines</th><th>windows</th><th>question</th><th>error</th>
<th>95 % interval</th><th>champion</th></tr>
{% for kind, rows in slices.items() %}<tr><th colspan="7">{{ kind }}</th></tr>
{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}{% endfor %}</table></div>{% endif %}

<h2>Data</h2>
<dl>{% for term, text in data %}<dt>{{ term }}</dt><dd>{{ text }}</dd>{% endfor %}</dl>

<h2>Limits</h2>
<ul>{% for limit in limits %}<li>{{ limit }}</li>{% endfor %}</ul>

<h2>Where it comes from, and how to take it back</h2>
<dl>{% for term, text in origin %}<dt>{{ term }}</dt><dd><code>{{ text }}</code></dd>{% endfor %}</dl>
<p><code>foretwin lineage {{ contract.name }}:{{ verdict.version }}</code> shows the whole tree,
<code>foretwin ledger {{ contract.name }}</code> every decision before and after this one.
<code>foretwin rollback {{ contract.name }} --reason "why"</code> puts the champion before it back: services that
follow the registry or the folder swap within seconds.</p>

{% if pictures %}<h2>Pictures</h2>{% endif %}
{% for name, data in pictures %}<p><img alt="{{ name }}" src="data:image/png;base64,{{ data }}"></p>
{% endfor %}</html>
"""


def write_card(
    contract: Twin,
    training: Mapping[str, Any],
    metrics: Mapping[str, Any],
    verdict: Mapping[str, Any],
    lineage: Mapping[str, Any] | None,
    path: Path,
) -> None:
    """Write the card from the contents of training.json, metrics.json, promotion.json and lineage.json.

    The pictures are those of the folder `plots` beside `path`.
    """
    pictures = [
        (png.stem, base64.b64encode(png.read_bytes()).decode()) for png in sorted(path.parent.glob("plots/*.png"))
    ]
    template = Environment(autoescape=True, trim_blocks=True).from_string(PAGE)
    network = metrics["network"]
    text = template.render(
        contract=contract,
        unit=contract.clock.unit,
        use=_use(contract),
        metrics=metrics,
        verdict=verdict,
        decision=_decision(verdict),
        tables=_tables(metrics, contract),
        interval=network.get("rul", {}).get("interval"),
        calibrated=_calibrated(contract, network),
        slices=_slices(verdict, contract.clock.unit),
        data=_data(training, metrics, lineage or {}),
        limits=_limits(contract, network),
        origin=_origin(training, verdict, lineage or {}),
        pictures=pictures,
    )
    path.write_text(text, encoding="utf-8")


def _use(contract: Twin) -> str:
    """What goes in and what comes out, in a sentence."""
    unit, answers = contract.clock.unit, []
    if contract.rul:
        answers.append(f"how long the machine has left, up to {contract.rul.cap:g} {unit}, with an interval")
    if contract.faults:
        axes = (f"{axis.title} ({', '.join(axis.classes)})" for axis in contract.faults.values())
        answers.append(f"what is failing: {'; '.join(axes)}")
    readings = f"{contract.window.length} readings of {len(contract.channels)} channels"
    return f"From the last {readings}, one each {contract.clock.step:g} {unit}, it says {', and '.join(answers)}."


def _calibrated(contract: Twin, network: Mapping[str, Any]) -> list[str]:
    """What the fault probabilities and answers are worth, a sentence per axis."""
    found = []
    for axis, fault in contract.faults.items():
        figures = network.get("fault", {}).get(axis, {})
        if "ece" not in figures:
            continue
        sentence = f"{fault.title}: the probabilities are off by {100 * figures['ece']:.1f} percentage"
        sentence += " points on average (ECE)"
        if "unknown" in figures:
            right = f"{100 * figures['accuracy_answered']:.0f} % are right"
            sentence += f"; {100 * figures['unknown']:.0f} % of the answers are unknown, and of the others {right}"
        found.append(sentence + ".")
    return found


def _tables(metrics: Mapping[str, Any], contract: Twin) -> dict[str, list[list[str]]]:
    """The table of the report, for all predictions and for each subset."""
    content = dict(metrics)
    return {"": figures_table(content, contract), **subset_tables(content, contract)}


def _decision(verdict: Mapping[str, Any]) -> str:
    if verdict.get("forced"):
        return f"Promoted by force, although the gate refused it: {verdict['forced']}"
    if verdict["promoted"]:
        return "Promoted: every check of the gate passed."
    champion = verdict.get("champion")
    stays = f"version {champion['version']} stays the champion" if champion else "there is no champion"
    return f"Refused: {stays}."


def _slices(verdict: Mapping[str, Any], unit: str) -> dict[str, list[list[str]]]:
    """Kind of slice -> its rows, as text."""
    found: dict[str, list[list[str]]] = {}
    for one in verdict.get("slices", ()):
        life = one["question"] == "rul_rmse"

        def shown(value: float | None, life: bool = life) -> str:
            if value is None:
                return ""
            return f"{value:.4g} {unit}" if life else f"{100 * value:.3g} %"

        interval = f"{shown(one['low'])} to {shown(one['high'])}" if one["low"] is not None else ""
        row = [one["name"], str(one["assets"]), str(one["windows"]), QUESTIONS.get(one["question"], one["question"])]
        row += [shown(one["candidate"]), interval, shown(one["champion"])]
        found.setdefault(KINDS.get(one["kind"], one["kind"]), []).append(row)
    return found


def _data(training: Mapping[str, Any], metrics: Mapping[str, Any], lineage: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Machines, windows, digests and what validation said of them."""
    assets, validation = lineage.get("assets") or {}, lineage.get("validation")
    found = [("machines trained on", str(len(assets["trained"])))] if assets else []
    found += [("machines held out", str(metrics["assets"])), ("predictions measured", str(metrics["cuts"]))]
    windows = training.get("params", {}).get("windows")
    found += [("windows drawn for a member", f"{windows:,}")] if windows else []
    if validation:
        result = "passed" if validation["success"] else "did not pass"
        found.append(("validation", f"{result}; data docs under validation/docs beside this card in MLflow"))
    if training.get("history"):
        found.append(("history of the living twins", training["history"]))
    return found + [(name, f"SHA-256 {digest}") for name, digest in sorted(training.get("data", {}).items())]


def _limits(contract: Twin, network: Mapping[str, Any]) -> list[str]:
    """What it does not know, in sentences."""
    unit, shortest = contract.clock.unit, contract.window.shortest
    found = []
    if contract.rul:
        found.append(
            f"It does not tell lives of more than {contract.rul.cap:g} {unit} apart: an upper end at that value means"
            " that or more."
        )
    found += [
        f"A history of fewer than {shortest} readings is not scored; one of fewer than {contract.window.length} is,"
        " with less to go by.",
        "Readings beyond what the training machines showed are answered with the warning out_of_training_range, and"
        " readings beyond the contract's physical limits are refused.",
    ]
    if contract.faults:
        found.append(
            "The fault answer unknown means that no class is probable enough to keep the promised share of right"
            " answers. Faults other than the classes above are not known to it."
        )
    coverage = network.get("rul", {}).get("interval")
    if coverage:
        found.append(
            "The interval holds its level on average over machines like those it was calibrated on, not for each single"
            " one, and not for machines that are run otherwise."
        )
    found.append(
        "It was not tested on other fleets, sites or sensors than those of its data, nor on machines after repairs that"
        " its data do not have; foretwin monitor watches for such drift."
    )
    return found


def _origin(
    training: Mapping[str, Any], verdict: Mapping[str, Any], lineage: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """Code, data, study and run behind it, by name or digest."""
    git, study, dvc = training.get("git", {}), lineage.get("study"), lineage.get("dvc") or {}
    dirty = " and changes that were not committed" if git.get("dirty") else ""
    found = [
        ("commit", f"{git.get('commit') or 'unknown'}{dirty}"),
        ("contract", str(training.get("contract", "unknown"))),
        ("bundle", verdict["evidence"]["bundle"]),
        ("MLflow run", verdict["run"]),
    ]
    if study:
        found.append(("Optuna", f"trial {study['trial']} of {study['trials']}, objective {study['value']:.4g}"))
    if dvc.get("lock"):
        found.append(("dvc.lock", dvc["lock"]))
    environment = training.get("environment", {})
    return found + [("libraries", ", ".join(f"{name} {value}" for name, value in environment.items()))] * bool(
        environment
    )
