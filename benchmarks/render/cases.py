"""The figures of reports/cases.json and reports/blend_means.json as Markdown."""

from typing import Any

from benchmarks.render.speed import table

HEADS = {
    "caught_a_lead_time_ahead": "caught {lead:.0f} h ahead",
    "false_alarms_per_machine_year": "false alarms a machine and year",
    "median_warning": "median warning (h)",
    "cost_per_failure": "cost a failure ({currency})",
}


def cases(report: dict[str, Any]) -> str:
    """What each model is worth in cases: means over fleets, each with its 95 % interval."""
    words = {"lead": report["lead_time"], "currency": report["currency"]}
    header = ["model", *(head.format(**words) for head in HEADS.values())]
    lines = []
    for name, one in report["models"].items():
        cells = [_cell(figure, one[figure]["mean"], *one[figure]["interval"]) for figure in HEADS]
        lines.append([name.replace("_", " "), *cells])
    told = f"{report['failures']} failures in {report['fleets']} fleets of {report['pumps']} pumps"
    return f"{table(header, lines)}\n{told}; from `reports/cases.json`.\n"


def _cell(figure: str, mean: float, low: float, high: float) -> str:
    if figure.startswith("caught"):
        return f"{mean:.1%} ({max(low, 0):.1%} to {min(high, 1):.1%})"
    if figure.startswith("false"):
        return f"{mean:.1f} ({max(low, 0):.1f} to {high:.1f})"
    return f"{mean:,.0f} ({max(low, 0):,.0f} to {high:,.0f})"


def blend_means(report: dict[str, Any]) -> str:
    """What ways of mixing candidates do to the error out of fold, over all cuts and near the end."""
    unit, late = report["unit"], f"last {report['late']:g} {report['unit']}"
    header = ["mixed by", f"RMSE ({unit})", "better", f"RMSE in the {late}", f"bias in the {late}", "better there"]
    lines = []
    for name, one in report["ways"].items():
        better = ["" if name == "weighted_sum" else f"{one[key]:.1%}" for key in ("better", "late_better")]
        cells = [f"{one['rmse']:.2f}", better[0], f"{one['late_rmse']:.2f}", f"{one['late_bias']:+.1f}", better[1]]
        lines.append([name.replace("_", " "), *cells])
    told = f"{report['cuts']} cuts of {report['pumps']} development pumps, out of fold"
    return f"{table(header, lines)}\n{told}; from `reports/blend_means.json`.\n"


CASES = {"cases": cases, "blend-means": blend_means}
