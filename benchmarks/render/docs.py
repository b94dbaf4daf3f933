"""Put the figures of output files into README.md and docs/: what stands between two markers is never typed.

    python -m benchmarks.render.docs            write
    python -m benchmarks.render.docs --check    fail where a page and its files disagree

A block begins with `<!-- figures: NAME -->` and ends with `<!-- end -->`.
"""

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.render.cases import CASES
from benchmarks.render.connectors import CONNECTORS
from benchmarks.render.growth import GROWTH
from benchmarks.render.health import HEALTH
from benchmarks.render.life import LIFE
from benchmarks.render.marks import COMPARED, MEANING, bold_columns, bold_rows, star_equals
from benchmarks.render.pages import write_or_compare
from benchmarks.render.scale import SCALE, reach
from benchmarks.render.sets import SETS
from benchmarks.render.sizing import SIZING
from benchmarks.render.soak import SOAK
from benchmarks.render.speed import SPEED, table
from benchmarks.render.streaming import STREAMING
from benchmarks.render.waveforms import WAVEFORMS
from foretwin.contract.twin import Twin
from foretwin.evaluation.candidates import CANDIDATE
from foretwin.evaluation.report import BEST, EQUAL, SERVED, marked_table
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.paths import Paths

PAGES = (
    "README.md",
    "docs/benchmarks.md",
    "docs/connectors.md",
    "docs/model-life.md",
    "docs/retention.md",
    "docs/scale.md",
    "docs/sets/cells.md",
    "docs/sets/classes.md",
    "docs/sets/drives.md",
    "docs/sets/fleet.md",
    "docs/sets/spectra.md",
    "docs/sizing.md",
)
PICTURES = {  # in docs/pictures -> where the run or the benchmark draws it
    "turbofans.png": "reports/benchmarks/cmapss-fd004/predicted_against_true.png",
    "turbofans-coverage.png": "reports/benchmarks/cmapss-fd004/coverage_by_remaining_life.png",
    "pump-alpha-lambda.png": "reports/benchmarks/pump/alpha_lambda.png",
}
UNCOMPARED: dict[str, Any] = {"chances": {}}  # in reports of versions before
BLOCK = re.compile(r"(<!-- figures: (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def render(text: str, root: Path) -> str:
    """The page with each block made anew from its files."""
    return BLOCK.sub(lambda found: found.group(1) + block(found["name"], root) + found.group(3), text)


def block(name: str, root: Path) -> str:
    """The Markdown of one block: one of REPORTS, `<page of the benchmark>-<twins>`, or a twin."""
    if name == "reliability":
        kept = {database: root / "reports" / f"reliability_{database}.json" for database in ("sqlite", "postgresql")}
        return reliability({database: _read(path) for database, path in kept.items()})
    if name == "reach":
        return reach({one: _read(root / "reports" / f"{one}.json") for one in ("bench_twin", "growth", "scale")})
    if name in SIZING:
        return SIZING[name](root)
    if name in REPORTS:
        return REPORTS[name](_read(root / "reports" / f"{FILES.get(name, name.replace('-', '_'))}.json"))
    kind, _, twins = name.partition("-")
    if kind in BENCHMARKS:
        folder = root / "reports" / "benchmarks"
        files = sorted(path for path in folder.glob(f"{twins}*.json") if path.suffixes == [".json"])
        return BENCHMARKS[kind]([_read(path) for path in files])
    paths = Paths(root, name)
    return results(_read(paths.evaluation), paths.load_contract(), paths.evaluation.name)


def overview(reports: list[dict[str, Any]]) -> str:
    """RMSE clipped at the cap: the served model beside the baseline with the least error, one line per twin."""
    header = [
        "twin",
        "served model: mean of seeds",
        "sd",
        "their ensemble",
        "95 % of it by bootstrap",
        "a single network",
    ]
    header += [
        "without the age",
        "best baseline",
        "its mean",
        "its ensemble",
        "90 % interval covers: mean / ensemble",
        "its width",
    ]
    lines = []
    for report in reports:
        clipped, interval = report["rul"]["clipped"], report["rul"]["interval"]
        best = _best_baseline(report)
        rival = report["baselines"][best]["rul"]["clipped"]
        low, high = report["bootstrap"]["rmse"]
        without = report.get("without_age")
        cells = [clipped["mean"]["rmse"], clipped["sd"]["rmse"], clipped["ensemble"]["rmse"]]
        lines.append(
            [
                report["twin"],
                *(f"{cell:.2f}" for cell in cells),
                f"{low:.2f} to {high:.2f}",
                f"{report['single_network']['rul']['clipped']['mean']['rmse']:.2f}",
                f"{without['rul']['clipped']['rmse']:.2f}" if without else "",
                best.replace("_", " "),
                *(f"{rival[which]['rmse']:.2f}" for which in ("mean", "ensemble")),
                f"{interval['coverage']:.1%} / {interval['ensemble']['coverage']:.1%}",
                f"{interval['width']:.1f} / {interval['ensemble']['width']:.1f}",
            ]
        )
    return table(header, lines) + _source(reports)


def _best_baseline(report: dict[str, Any]) -> str:
    """Return the baseline whose seeds have the least RMSE together, of those that answer all that the network does."""
    axes = set(report.get("fault", {}))
    rivals = {name: one for name, one in report["baselines"].items() if axes <= set(one.get("fault", {}))}
    best: str = min(rivals, key=lambda name: float(rivals[name]["rul"]["clipped"]["ensemble"]["rmse"]))
    return best


def _served(report: dict[str, Any]) -> str:
    return "blend" if report.get("candidates") else "network"


def _title(name: str, report: dict[str, Any]) -> str:
    """Return how a table names a model of a report's comparison."""
    if name == SERVED:
        return _served(report)
    part = name.removeprefix(CANDIDATE)
    return part.replace("_", " ") + (", part of it" if part != name else "")


def _compared(reports: list[dict[str, Any]]) -> str:
    """Return what the stars mean, where any of the reports has compared its models."""
    return f" {COMPARED}" if any("comparison" in report for report in reports) else ""


def rul(reports: list[dict[str, Any]]) -> str:
    """Everything on the RUL of each twin: mean of the seeds / ensemble."""
    text = ""
    for report in reports:
        header = [report["twin"], "RMSE", "RMSE uncapped", "PHM08 score", "RMSE in the last 30", "seconds per seed"]
        seconds = sum(seed["seconds"] for seed in report["seeds"]) / len(report["seeds"])
        models = {SERVED: (report["rul"], seconds)}
        models |= {f"{CANDIDATE}{name}": (found["rul"], None) for name, found in report.get("candidates", {}).items()}
        models |= {name: (found["rul"], found.get("seconds")) for name, found in report["baselines"].items()}
        lines = []
        for name, (figures, spent) in models.items():
            kinds = [
                ("clipped", "rmse", 2),
                ("unclipped", "rmse", 2),
                ("clipped", "phm08", 0),
                ("clipped", "rmse_late", 2),
            ]
            cells = [_both(figures[kind], figure, digits) for kind, figure, digits in kinds]
            lines.append([_title(name, report), *cells, f"{spent:.0f}" if spent and spent >= 1 else ""])
        lines = bold_columns(lines, least=range(1, 5))
        star_equals(lines, list(models), 1, report.get("comparison", {}).get("rul", UNCOMPARED))
        text += table(header, lines) + "\n"
    return f"{text}Mean of the seeds / their ensemble. {MEANING}{_compared(reports)}\n{_source(reports)}"


def faults(reports: list[dict[str, Any]]) -> str:
    """Macro-F1 of each axis, for all predictions and for subsets of them."""
    text = ""
    for report in reports:
        axes = list(report["fault"])
        models = {SERVED: report}
        models |= {f"{CANDIDATE}{name}": one for name, one in report.get("candidates", {}).items()}
        models |= {name: one for name, one in report["baselines"].items() if "fault" in one}
        lines = []
        for name, figures in models.items():
            parts = {"all": figures, **figures.get("subsets", {})}
            for part, found in parts.items():
                cells = [
                    f"{found['fault'][axis]['macro_f1']:.3f} / {found['fault'][axis]['ensemble']['macro_f1']:.3f}"
                    for axis in axes
                ]
                lines.append([_title(name, report), part, *cells])
        for part in dict.fromkeys(line[1] for line in lines):
            places = [i for i, line in enumerate(lines) if line[1] == part]
            marked = bold_columns([lines[i] for i in places], most=range(2, 2 + len(axes)))
            for place, axis in enumerate(axes, 2):
                if part == "all":
                    star_equals(marked, list(models), place, report.get("comparison", {}).get(axis, UNCOMPARED))
            for i, line in zip(places, marked, strict=True):
                lines[i] = line
        text += table([report["twin"], "cycles or cuts", *axes], lines) + "\n"
    return f"{text}Macro-F1: mean of the seeds / their ensemble. {MEANING}{_compared(reports)}\n{_source(reports)}"


def bands(reports: list[dict[str, Any]]) -> str:
    """RMSE and macro-F1 by true remaining life, the served model against the best baseline, both as ensembles."""
    text = ""
    for report in reports:
        best = _best_baseline(report)
        rivals = {_served(report): report["bands"], best.replace("_", " "): report["baselines"][best]["bands"]}
        axes = list(report.get("fault", {}))
        header = ["remaining life", "cuts", *(f"{figure}: {name}" for figure in ("RMSE", *axes) for name in rivals)]
        lines = []
        for band, found in report["bands"].items():
            cells = [rival[band][figure] for figure in ("rmse", *axes) for rival in rivals.values()]
            lines.append([band, str(found["count"]), *("" if cell is None else f"{cell:.3g}" for cell in cells)])
        pairs = [range(place, place + len(rivals)) for place in range(2, len(header), len(rivals))]
        text += table(header, bold_rows(lines, pairs[0], pairs[1:])) + "\n"
    return f"{text}{MEANING}\n{_source(reports)}"


BENCHMARKS = {"overview": overview, "rul": rul, "faults": faults, "bands": bands}


def ablation(report: dict[str, dict[str, dict[str, float]]]) -> str:
    """What one change does to the error on development folds, per twin."""
    text = ""
    for twin, changes in report.items():
        figures = list(next(iter(changes.values())))
        header = [twin, *(figure if figure in {"rmse", "seconds"} else f"{figure} macro-F1" for figure in figures)]
        lines = [[name, *(f"{found[figure]:.4g}" for figure in figures)] for name, found in changes.items()]
        text += table(header, lines) + "\n"
    return text + "From `reports/ablation.json`.\n"


def _both(figures: dict[str, Any], name: str, digits: int) -> str:
    return " / ".join(
        "" if figures[of][name] is None else f"{figures[of][name]:.{digits}f}" for of in ("mean", "ensemble")
    )


def _source(reports: list[dict[str, Any]]) -> str:
    files = ", ".join(f"`reports/benchmarks/{report['twin']}.json`" for report in reports)
    return f"\n{reports[0]['cuts']} predictions; from {files}.\n" if len(reports) == 1 else f"\nFrom {files}.\n"


def results(metrics: dict[str, Any], contract: Twin, file: str) -> str:
    """The figures of the network and the baselines, of this file of models/<twin>/, as a table."""
    figures = marked_table(metrics, contract, {BEST: "**{}**", EQUAL: "{}\\*"})
    count = f"{metrics['cuts']} predictions for {metrics['assets']} held-out assets"
    if metrics.get("comparison"):
        count += "; **least error**, \\* not surely more (paired resamples of the machines)"
    return f"{table(figures[0], figures[1:])}\n{count}; from `models/{contract.name}/{file}`.\n"


def reliability(reports: dict[str, dict[str, Any]]) -> str:
    """How often what was killed, and what was found in the end, on each database."""
    columns = []
    for report in reports.values():
        kills = {name if "," in name else f"{name}, killed": count for name, count in report["kills"].items()}
        columns.append(
            {**kills, "messages that the broker acknowledged": report["sent"]["messages"], **report["found"]}
        )
    pumps = next(iter(reports.values()))["pumps"]
    lines = [[name, *(str(column[name]) for column in columns)] for name in columns[0]]
    files = ", ".join(f"`reports/reliability_{database}.json`" for database in reports)
    return table([f"{pumps} pumps", *reports], lines) + f"\nFrom {files}.\n"


FILES = dict.fromkeys(CONNECTORS, "connectors") | {
    name: name.replace("-", "/") for name in (*HEALTH, *SETS)
}  # of REPORTS
REPORTS: dict[str, Callable[[dict[str, Any]], str]] = {
    **SPEED,
    **HEALTH,
    **CONNECTORS,
    **GROWTH,
    **CASES,
    **SOAK,
    **LIFE,
    **STREAMING,
    **WAVEFORMS,
    **SCALE,
    **SETS,
    "ablation": ablation,
}


def main(check: bool, root: Path = Path()) -> None:
    """Render every page, or only compare."""
    for name in PAGES:
        page = root / name
        old = page.read_text(encoding="utf-8")
        write_or_compare(page, render(old, root), "the files it reports", check)
    for name, picture in PICTURES.items():
        if not check and (root / picture).exists():
            shutil.copy(root / picture, root / "docs" / "pictures" / name)


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


if __name__ == "__main__":
    with exit_on_error():
        main(check="--check" in sys.argv[1:])
