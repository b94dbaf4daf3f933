"""The figures of reports/sets/ as Markdown."""

from typing import Any

from benchmarks.render.marks import bold_columns
from benchmarks.render.speed import table


def lives(report: dict[str, Any]) -> str:
    """Every model over all machines that are left out in turn, then each machine, and those that did not end."""
    parts = [_models(report), _machines(report)]
    if report["censored"]:
        parts.append(_censored(report))
    return "\n".join([*parts, f"{report['cuts']} cuts of each machine, {_made(report)}"])


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
    header = [
        "did not end",
        f"followed from the first cut on ({report['unit']})",
        "cap",
        *(_name(one) for one in models),
        "interval below",
    ]
    lines = []
    for name, one in report["censored"].items():
        short = [f"{one['mean_shortfall'][model]:.1f}" for model in models]
        lines.append([name, f"{one['followed']:.0f}", f"{one['cap']:.0f}", *short, f"{one['interval_below']:.0%}"])
    return f"{table(header, lines)}\nHow far answers fall short, on average, of what the life lasted at least.\n"


def _name(model: str) -> str:
    return "the twin" if model == "served" else model.replace("_", " ")


def fleet(report: dict[str, Any]) -> str:
    """Chances of a failure within a day by each model, survival, and each part."""
    header = ["within a day", "AUROC (95 % by machines)", "average precision (95 %)", "Brier score", "without the gap"]
    header += ["average precision"]
    gap, whole = report["within_a_day"]["with_gap"], report["within_a_day"]["without_gap"]
    lines = []
    for name, title in QUESTIONS.items():
        one, other = gap["models"][name], whole["models"][name]
        cells = [_with_interval(one, "auroc"), _with_interval(one, "average_precision"), f"{one['brier']:.4f}"]
        lines.append([title, *cells, f"{other['auroc']:.3f}", f"{other['average_precision']:.3f}"])
    lines.append(["floor: constant", "0.500", f"{gap['share']:.3f}", f"{gap['brier_constant']:.4f}", "0.500"])
    lines[-1].append(f"{whole['share']:.3f}")
    survival = report["survival"]
    said = [
        [title, f"{survival[name]['concordance']:.3f}", f"{survival[name]['integrated_brier']:.4f}"]
        for name, title in (("served", "the twin"), ("kaplan_meier", "floor: Kaplan-Meier, by age"))
    ]
    parts = [
        [name, f"{one['share']:.2%}", _with_interval(one, "auroc"), _with_interval(one, "average_precision")]
        for name, one in report["by_part"].items()
    ]
    told = f"{gap['cuts']:,} questions to {report['machines']} machines, one every {report['every']} h."
    return "\n".join(
        [
            table(header, lines),
            told + "\n",
            table(["survival", "concordance (IPCW)", "integrated Brier score"], said),
            table(["part", "share of questions", "AUROC (95 %)", "average precision (95 %)"], parts),
            _made(report),
        ]
    )


QUESTIONS = {
    "served": "the twin: chance by remaining life",
    "served_classes": "the twin: chance that a part fails",
    "linear": "floor: linear",
    "kaplan_meier": "floor: Kaplan-Meier, by age",
}


def drives(report: dict[str, Any]) -> str:
    """How well the drives are ranked, by the twin and by counters."""
    header = [
        "ranked by",
        "AUROC (95 % by drives)",
        "average precision (95 %)",
        f"failed of the first {report['top']:.0%}",
    ]
    header += ["to be looked at for half of the failed"]
    served = report["candidates"]["served"]
    lines = [["the twin, first seed", *_ranks(served)]]
    lines[0] += [f"{served[name]['mean']:.1%} (sd {served[name]['sd']:.1%})" for name in ("failed_of_top", "for_half")]
    for name, one in report["floors"].items():
        cells = [f"{one['failed_of_top']:.1%}", f"{one['for_half']:.1%}"]
        lines.append([f"floor: {name.replace('_', ' ')}", *_ranks(one), *cells])
    share = report["failed"] / report["held_out"]
    lines.append(["floor: none", "0.500", f"{share:.3f}", f"{share:.1%}", "50.0%"])
    models = [
        [name, f"{one['drives']:,}", str(one["failed"]), *_ranks(one)] for name, one in report["by_model"].items()
    ]
    told = f"{report['failed']} of {report['held_out']:,} drives failed"
    told += f"; the counter that ranks the others best is `{report['best_counter']}`."
    return "\n".join(
        [
            table(header, lines),
            told + "\n",
            table(["model", "drives", "failed", "AUROC (95 %)", "average precision (95 %)"], models),
            _made(report),
        ]
    )


def _ranks(one: dict[str, Any]) -> list[str]:
    return [_with_interval(one, "auroc"), _with_interval(one, "average_precision")]


def _with_interval(one: dict[str, Any], name: str) -> str:
    low, high = one[f"{name}_interval"]
    return f"{one[name]:.3f} ({low:.3f} to {high:.3f})"


def _made(report: dict[str, Any]) -> str:
    seeds = f"{report['seeds']} seed{'s' if report['seeds'] > 1 else ''}"
    made = f"made in {report['seconds'] / 60:.0f} minutes on {report['cores']} cores"
    return f"{seeds}; {made}. From `reports/sets/{report['name']}.json`.\n"


def records(report: dict[str, Any]) -> str:
    """How well faults are told by the twin and by floors, with all features and by shape alone, and what it answers."""
    titles = {"all_features": "all features", "shape_alone": "shape alone"}
    count, groups = report["records"], len(report["groups"])
    parts = [
        f"{count} records at {groups} {report['group']}s, each judged at its end by its last {report['window']}"
        f" snapshots of {report['snapshot']} samples; {report['all_features']['windows']:,} windows in all.\n"
    ]
    parts += [_classes(title, report["group"], report[name]) for name, title in titles.items()]
    parts += [_answers(title, report["classes"], report[name]["answers"]) for name, title in titles.items()]
    return "\n".join([*parts, _made(report)])


def _classes(title: str, group: str, found: dict[str, Any]) -> str:
    header = [f"{title}, {found['channels']} channels", f"AUROC by record (95 % by {group}s)", f"within a {group}"]
    header += ["of classes", "macro-F1", "unknown", "wrong", f"AUROC by window (95 % by {group}s)"]
    header += ["macro-F1 by window", "the twin's gain (95 %)"]
    lines = []
    for name, one in _all(found).items():
        records, windows = one["records"], one["windows"]
        cells = [_with_interval(records, "auroc"), f"{records['auroc_within']:.3f}"]
        cells += [f"{records['auroc_of_classes']:.3f}", f"{records['macro_f1']:.3f}"]
        cells += [f"{records[told]:.0%}" for told in ("unknown", "wrong")]
        cells += [_with_interval(windows, "auroc"), f"{windows['macro_f1']:.3f}"]
        low, high = one["gain_of_served"]
        lines.append([name, *cells, "" if one is found["candidates"]["served"] else f"{low:+.3f} to {high:+.3f}"])
    return table(header, bold_columns(lines, most=(4, 8)))


def _answers(title: str, classes: list[str], seeds: list[list[list[int]]]) -> str:
    header = [f"{title}: records that are", *(f"told {name.replace('_', ' ')}" for name in classes), "unknown"]
    shown = {
        name: [[seed[row][column] for seed in seeds] for column in range(len(classes) + 1)]
        for row, name in enumerate(classes)
    }
    lines = [
        [name.replace("_", " "), *(" / ".join(map(str, told)) if len(set(told)) > 1 else str(told[0]) for told in row)]
        for name, row in shown.items()
    ]
    return table(header, lines)


SETS = {
    "sets-cells": lives,
    "sets-spectra": lives,
    "sets-fleet": fleet,
    "sets-drives": drives,
    "sets-gearbox": records,
    "sets-bearing": records,
}
