"""Write the model card: purpose, origin, figures and limits of a model, as one HTML page.

The sections follow Mitchell et al., Model Cards for Model Reporting (FAT* 2019). Everything on it comes from the
records of the stages and from the contract; the pictures are inside, so that it can be mailed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foretwin.contract.false_alarms import STEPS, chances_a_year
from foretwin.contract.twin import Twin
from foretwin.evaluation.candidates import FLEET_JUDGEMENT
from foretwin.evaluation.report import STARS, marked_table, note_of_stars, subset_tables
from foretwin.project.pages import inline_pictures, render_page

KINDS = {"all": "All windows", "subset": "Parts of the data", "fault": "True fault", "regime": "Operating regime"}
KINDS |= {"life": "True remaining life"}
FLOORS = ("always", "three_sigma", "normal_space")  # baselines of health
QUESTIONS = {"rul_rmse": "RUL RMSE", "fault_error": "wrong fault answers"}


def write_card(
    contract: Twin,
    training: Mapping[str, Any],
    metrics: Mapping[str, Any],
    verdict: Mapping[str, Any],
    lineage: Mapping[str, Any] | None,
    path: Path,
) -> None:
    """Write the card from the contents of training.json, evaluation.json, promotion.json and lineage.json.

    The pictures are those of the folder `plots` beside `path`.
    """
    network = metrics["network"]
    text = render_page(
        "foretwin.evaluation",
        "model_card.html",
        contract=contract,
        unit=contract.clock.unit,
        use=_use(contract),
        metrics=metrics,
        verdict=verdict,
        decision=_decision(verdict),
        tables=_tables(metrics, contract),
        note=note_of_stars(dict(metrics)),
        interval=network.get("rul", {}).get("interval"),
        calibrated=_calibrated(contract, metrics),
        slices=_slices(verdict, contract.clock.unit),
        data=_data(training, metrics, lineage or {}),
        limits=[*_untaught(metrics), *_limits(contract, network)],
        origin=_origin(training, verdict, lineage or {}),
        pictures=inline_pictures(path.parent / "plots"),
    )
    path.write_text(text, encoding="utf-8")


def _use(contract: Twin) -> str:
    """Return inputs and outputs, in a sentence."""
    unit, answers = contract.clock.unit, []
    if contract.rul:
        answers.append(f"how long the machine has left, up to {contract.rul.cap:g} {unit}, with an interval")
    if contract.faults:
        axes = (f"{axis.title} ({', '.join(axis.classes)})" for axis in contract.faults.values())
        answers.append(f"what is failing: {'; '.join(axes)}")
    readings = f"{contract.window.length} readings of {len(contract.channels)} channels"
    return f"From the last {readings}, one each {contract.clock.step:g} {unit}, it says {', and '.join(answers)}."


def _calibrated(contract: Twin, metrics: Mapping[str, Any]) -> list[str]:
    """Return the quality of fault probabilities and answers, a sentence per axis; of health what it is judged by."""
    found = []
    for axis, fault in contract.faults.items():
        figures = metrics["network"].get("fault", {}).get(axis, {})
        if figures.get("ece") is None:
            continue
        if figures.get("detected") is not None:
            found.append(f"{fault.title}: {_health_told(figures, contract)}.")
            found += _beside_health(figures, metrics, axis)
            continue
        sentence = f"{fault.title}: the probabilities are off by {100 * figures['ece']:.1f} percentage"
        sentence += " points on average (ECE)"
        if figures.get("accuracy_answered") is not None:
            right = f"{100 * figures['accuracy_answered']:.0f} % are right"
            sentence += f"; {100 * figures['unknown']:.0f} % of the answers are unknown, and of the others {right}"
        found.append(sentence + ".")
    return found


def _health_told(figures: Mapping[str, Any], contract: Twin) -> str:
    """Return what was told of departures that were put in, and how often nothing was told as one."""
    per = "machine and year" if contract.clock.seconds else f"{STEPS:,} steps"
    count, share = figures["normal_windows"], figures["alarm_share"]
    told = f"of the departures that were put into held-out runs {100 * figures['detected']:.0f} % were told"
    if share is None:
        return f"{told}; no normal window was held out to count false alarms"
    chance = f"{100 * share:.2g} % of {count} normal windows were false alarms"
    if share:
        chance += f", which is {figures['false_alarms']:.3g} per {per}"
    else:
        chance += f": so many show no fewer than {chances_a_year(contract) / max(count, 1):.3g} per {per}"
    return f"{told}; {chance}"


def _beside_health(figures: Mapping[str, Any], metrics: Mapping[str, Any], axis: str) -> list[str]:
    """Return which baselines answered, what the fleet's alone would have told, and the floors of both figures."""
    found, by = [], figures.get("by_baseline", {})
    if by:
        total = sum(one["windows"] for one in by.values())
        own = by.get("own", {}).get("windows", 0)
        found.append(
            f"{own} of {total} windows were judged by their machines' own baselines, the others by the fleet's"
        )
    models = {**metrics.get("candidates", {}), **metrics["baselines"]}
    for name in (FLEET_JUDGEMENT, *FLOORS):
        told = models.get(name, {}).get("fault", {}).get(axis, {})
        if told.get("detected") is not None and told.get("alarm_share") is not None:
            shares = f"{100 * told['detected']:.0f} % of the departures, {100 * told['alarm_share']:.3g} %"
            found.append(f"{name.replace('_', ' ').capitalize()} would tell {shares} of the normal windows")
    return [f"{one}." for one in found]


def _tables(metrics: Mapping[str, Any], contract: Twin) -> dict[str, list[list[str]]]:
    """Return the report's table, for all predictions and for each subset."""
    content = dict(metrics)
    return {"": marked_table(content, contract, STARS), **subset_tables(content, contract)}


def _decision(verdict: Mapping[str, Any]) -> str:
    if verdict.get("forced"):
        return f"Promoted by force, although the gate refused it: {verdict['forced']}"
    if verdict["promoted"]:
        return "Promoted: every check of the gate passed."
    champion = verdict.get("champion")
    stays = f"version {champion['version']} stays the champion" if champion else "there is no champion"
    return f"Refused: {stays}."


def _slices(verdict: Mapping[str, Any], unit: str) -> dict[str, list[list[str]]]:
    """Return kind of slice -> its rows, as text."""
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
    """Return machines, windows, digests and the validation's result."""
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


def _untaught(metrics: Mapping[str, Any]) -> list[str]:
    """Return what the contract asks and the model does not answer, a sentence per question."""
    waiting = metrics.get("untaught", {}).items()
    return [f"It does not answer {question} yet, since {why}: verdicts teach it." for question, why in waiting]


def _limits(contract: Twin, network: Mapping[str, Any]) -> list[str]:
    """Return the model's limits, in sentences."""
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
    """Return code, data, study and run, by name or digest."""
    git, study, dvc = lineage.get("git") or training.get("git", {}), lineage.get("study"), lineage.get("dvc") or {}
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
