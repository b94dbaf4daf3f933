"""The figures of reports/sets/ as Markdown."""

from typing import Any

from benchmarks.render.marks import bold_columns
from benchmarks.render.speed import table


def lives(report: dict[str, Any]) -> str:
    """Every model over all machines that are left out in turn, then each machine, and those that did not end."""
    parts = [_models(report), _machines(report)]
    if report["censored"]:
        parts.append(_censored(report))
    return "\n".join([*parts, f"{_how(report)}\n"])


def _models(report: dict[str, Any]) -> str:
    unit, count = report["unit"], len(report["machines"])
    header = [
        "model",
        f"RMSE ({unit})",
        "sd over seeds",
        "95 % by machines",
        "bias",
        "of whole lives",
        "as share of life",
    ]
    header += [f"worse than the twin on, of {count}"]
    lines = []
    for name, one in _all(report).items():
        low, high = one["rmse_interval"]
        spread = "" if not one["rmse_sd"] else f"{one['rmse_sd']:.2f}"
        cells = [f"{one['rmse']:.1f}", spread, f"{low:.1f} to {high:.1f}", f"{one['bias']:+.1f}"]
        worse = str(one["worse_than_served"]) if "worse_than_served" in one else ""
        lines.append([name, *cells, f"{one['rmse_uncapped']:.1f}", f"{one['relative_rmse']:.3f}", worse])
    interval = report["candidates"]["served"]["interval"]
    told = (
        f"The twin's 90 % interval holds {interval['coverage']:.1%} of the truths,"
        f" {interval['coverage_below_cap']:.1%} of those below the cap; it is {interval['width']:.0f} {unit} wide."
    )
    return f"{table(header, bold_columns(lines, least=(1, 5, 6)))}\n{told}\n"


def _all(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The twin first, then the floors by their names in words."""
    floors = {f"floor: {name.replace('_', ' ')}": one for name, one in report["floors"].items()}
    return {"the twin": report["candidates"]["served"]} | floors


def _machines(report: dict[str, Any]) -> str:
    floors = list(report["floors"])
    header = [
        "machine",
        f"life ({report['unit']})",
        "cap",
        "the twin",
        "sd",
        *(name.replace("_", " ") for name in floors),
    ]
    header += ["as share of life", "interval covers"]
    lines = []
    for name, one in report["machines"].items():
        served = one["models"]["served"]
        spread = "" if not served["rmse_sd"] else f"{served['rmse_sd']:.1f}"
        cells = [name, f"{one['life']:.0f}", f"{one['cap']:.0f}", f"{served['rmse']:.1f}", spread]
        cells += [f"{one['models'][floor]['rmse']:.1f}" for floor in floors]
        lines.append([*cells, f"{served['relative_rmse']:.3f}", f"{one['interval']['coverage']:.0%}"])
    return table(header, lines)


def _censored(report: dict[str, Any]) -> str:
    models = list(next(iter(report["censored"].values()))["mean_shortfall"])
    header = ["did not end", "followed after the first cut", "cap", *(_name(one) for one in models), "interval below"]
    lines = []
    for name, one in report["censored"].items():
        short = [f"{one['mean_shortfall'][model]:.1f}" for model in models]
        lines.append([name, f"{one['followed']:.0f}", f"{one['cap']:.0f}", *short, f"{one['interval_below']:.0%}"])
    return f"{table(header, lines)}\nHow far answers fall short, on average, of what the life lasted at least.\n"


def _name(model: str) -> str:
    return "the twin" if model == "served" else model.replace("_", " ")


def _how(report: dict[str, Any]) -> str:
    return (
        f"{report['cuts']} cuts of each machine, {report['seeds']} seeds; made in {report['seconds'] / 60:.0f} minutes"
        f" on {report['cores']} cores. From `reports/sets/{report['name']}.json`."
    )


SETS = {"sets-cells": lives, "sets-spectra": lives}
