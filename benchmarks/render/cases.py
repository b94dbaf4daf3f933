"""The figures of reports/cases.json as Markdown."""

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


CASES = {"cases": cases}
