"""Put the figures of output files into README.md and docs/: what stands between two markers is never typed.

    python pipelines/render.py            write
    python pipelines/render.py --check    fail where a page and its files disagree

A block begins with `<!-- figures: NAME -->` and ends with `<!-- end -->`.
"""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from foretwin.config import Paths, fresh_file
from foretwin.contract import Twin
from foretwin.edge import exit_on_error
from foretwin.errors import ForetwinError
from foretwin.report import figures_table

PAGES = ("README.md", "docs/benchmarks.md")
PICTURES = {  # in docs/pictures -> where the run or the benchmark draws it
    "pump.png": "models/pump/plots/one_asset.png",
    "turbofans.png": "reports/benchmarks/cmapss-fd004/predicted_against_true.png",
    "turbofans-coverage.png": "reports/benchmarks/cmapss-fd004/coverage_by_remaining_life.png",
    "pump-alpha-lambda.png": "reports/benchmarks/pump/alpha_lambda.png",
}
BLOCK = re.compile(r"(<!-- figures: (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def render(text: str, root: Path) -> str:
    """The page with each block made anew from its files."""
    return BLOCK.sub(lambda found: found.group(1) + block(found["name"], root) + found.group(3), text)


def block(name: str, root: Path) -> str:
    """The Markdown of one block: one of REPORTS, `<page of the benchmark>-<twins>`, or a twin."""
    if name == "reliability":
        kept = {database: root / "reports" / f"reliability_{database}.json" for database in ("sqlite", "postgresql")}
        return reliability({database: _read(path) for database, path in kept.items()})
    if name in REPORTS:
        return REPORTS[name](_read(root / "reports" / f"{name.replace('-', '_')}.json"))
    kind, _, twins = name.partition("-")
    if kind in BENCHMARKS:
        folder = root / "reports" / "benchmarks"
        files = sorted(path for path in folder.glob(f"{twins}*.json") if path.suffixes == [".json"])
        return BENCHMARKS[kind]([_read(path) for path in files])
    paths = Paths(root, name)
    return results(_read(paths.models / "metrics.json"), paths.load_contract())


def overview(reports: list[dict[str, Any]]) -> str:
    """RMSE clipped at the cap: the network beside the strongest cheap baseline, one line per twin."""
    header = ["twin", "network: mean of seeds", "sd", "their ensemble", "95 % of it by bootstrap", "a single network"]
    header += [
        "without the age",
        "ridge: mean",
        "ridge: ensemble",
        "90 % interval covers: mean / ensemble",
        "its width",
    ]
    lines = []
    for report in reports:
        clipped, interval = report["rul"]["clipped"], report["rul"]["interval"]
        ridge = report["baselines"]["random_fourier_ridge"]["rul"]["clipped"]
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
                *(f"{ridge[which]['rmse']:.2f}" for which in ("mean", "ensemble")),
                f"{interval['coverage']:.1%} / {interval['ensemble']['coverage']:.1%}",
                f"{interval['width']:.1f} / {interval['ensemble']['width']:.1f}",
            ]
        )
    return _table(header, lines) + _source(reports)


def rul(reports: list[dict[str, Any]]) -> str:
    """Everything on the RUL of each twin: mean of the seeds / ensemble."""
    text = ""
    for report in reports:
        header = [report["twin"], "RMSE", "RMSE uncapped", "PHM08 score", "RMSE in the last 30", "seconds per seed"]
        seconds = sum(seed["seconds"] for seed in report["seeds"]) / len(report["seeds"])
        models = {"network": (report["rul"], seconds)}
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
            lines.append([name.replace("_", " "), *cells, f"{spent:.0f}" if spent and spent >= 1 else ""])
        text += _table(header, lines) + "\n"
    return text + "Mean of the seeds / their ensemble. " + _source(reports)


def faults(reports: list[dict[str, Any]]) -> str:
    """Macro-F1 of each axis, for all predictions and for subsets of them."""
    text = ""
    for report in reports:
        axes = list(report["fault"])
        models = {"network": report, **{name: one for name, one in report["baselines"].items() if "fault" in one}}
        lines = []
        for name, figures in models.items():
            parts = {"all": figures, **figures.get("subsets", {})}
            for part, found in parts.items():
                cells = [
                    f"{found['fault'][axis]['macro_f1']:.3f} / {found['fault'][axis]['ensemble']['macro_f1']:.3f}"
                    for axis in axes
                ]
                lines.append([name.replace("_", " "), part, *cells])
        text += _table([report["twin"], "cycles or cuts", *axes], lines) + "\n"
    return text + "Macro-F1: mean of the seeds / their ensemble. " + _source(reports)


def bands(reports: list[dict[str, Any]]) -> str:
    """RMSE and macro-F1 by true remaining life, network against gradient boosting, both as ensembles."""
    text = ""
    for report in reports:
        rivals = {"network": report["bands"], "gradient boosting": report["baselines"]["gradient_boosting"]["bands"]}
        axes = list(report.get("fault", {}))
        header = ["remaining life", "cuts", *(f"{figure}: {name}" for figure in ("RMSE", *axes) for name in rivals)]
        lines = []
        for band, found in report["bands"].items():
            cells = [rival[band][figure] for figure in ("rmse", *axes) for rival in rivals.values()]
            lines.append([band, str(found["count"]), *("" if cell is None else f"{cell:.3g}" for cell in cells)])
        text += _table(header, lines) + "\n"
    return text + _source(reports)


BENCHMARKS = {"overview": overview, "rul": rul, "faults": faults, "bands": bands}


def ablation(report: dict[str, dict[str, dict[str, float]]]) -> str:
    """What one change does to the error on development folds, per twin."""
    text = ""
    for twin, changes in report.items():
        figures = list(next(iter(changes.values())))
        header = [twin, *(figure if figure in {"rmse", "seconds"} else f"{figure} macro-F1" for figure in figures)]
        lines = [[name, *(f"{found[figure]:.4g}" for figure in figures)] for name, found in changes.items()]
        text += _table(header, lines) + "\n"
    return text + "From `reports/ablation.json`.\n"


def _table(header: list[str], lines: list[list[str]]) -> str:
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *lines)) + "\n"


def _both(figures: dict[str, Any], name: str, digits: int) -> str:
    return " / ".join(
        "" if figures[of][name] is None else f"{figures[of][name]:.{digits}f}" for of in ("mean", "ensemble")
    )


def _source(reports: list[dict[str, Any]]) -> str:
    files = ", ".join(f"`reports/benchmarks/{report['twin']}.json`" for report in reports)
    return f"\n{reports[0]['cuts']} predictions; from {files}.\n" if len(reports) == 1 else f"\nFrom {files}.\n"


def results(metrics: dict[str, Any], contract: Twin) -> str:
    """The figures of the network and the baselines as a table."""
    table = figures_table(metrics, contract)
    count = f"{metrics['cuts']} predictions for {metrics['assets']} held-out assets"
    return f"{_table(table[0], table[1:])}\n{count}; from `models/{contract.name}/metrics.json`.\n"


def first_run(report: dict[str, Any]) -> str:
    """How long a newcomer waits."""
    seconds = report["seconds"]
    rows = {
        "`make setup`: installation": f"{seconds['install']:.0f} s",
        "`make run` after it: from simulated readings to a packaged model": f"{seconds['run']:.0f} s",
        "`dvc repro` again, nothing changed": f"{seconds['repeat']:.1f} s",
        "`foretwin --help`": f"{seconds['help']:.2f} s",
    }
    body = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"| step | on {report['cores']} cores |\n| --- | ---: |\n{body}\n\nFrom `reports/first_run.json`.\n"


def bench(report: dict[str, Any]) -> str:
    """Speed as ratios within one run."""
    training, cutting, scoring = report["training"], report["cutting"], report["scoring"]
    rows = {
        "training with Lightning, as a share of a plain PyTorch loop's windows/s": training["share_of_plain_loop"],
        "cutting windows, as a multiple of numpy's copy of a sliding view": cutting["multiple_of_copying"],
        "the network's share of the time of scoring one window": scoring["network_share_of_score"],
        "scoring one window through the ensemble on one core, ms": scoring["one_window_ms"],
        "assets scored in a second in one call, on one core": scoring["assets_per_second"],
        "a batch of 256 windows, as a share of one core's matrix rate": scoring["share_of_matrix_rate"],
    }
    body = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"| measured in one run | |\n| --- | ---: |\n{body}\n\nFrom `reports/bench.json`.\n"


def bench_twin(report: dict[str, Any]) -> str:
    """Speed of the living twin: shares of what the bare parts do in the same run."""
    ingest, mqtt, watch, what_if = (report[part] for part in ("ingest", "mqtt", "watch", "what_if"))
    rows = {
        "1,000 readings in an Arrow body, as a share of SQLite's bare `executemany`": ingest["arrow_of_executemany"],
        "the same as JSON": ingest["json_of_executemany"],
        "Arrow body, as a share of PostgreSQL's bare `COPY`": ingest["arrow_of_copy"],
        "the same as JSON ": ingest["json_of_copy"],
        "messages of one reading decoded and stored in a second, 500 in a transaction (SQLite)": ingest[
            "messages_per_second"
        ],
        "MQTT to committed row, messages a second": mqtt["messages_per_second"],
        "the broker alone, publisher to subscriber, messages a second": mqtt["broker_messages_per_second"],
        "MQTT to committed row at 200 messages a second, median / p99, ms": f"{mqtt['median_ms']} / {mqtt['p99_ms']}",
        "scoring 10,000 assets that have one new reading each, as a share of the bare network": watch[
            "steady_share_of_bare"
        ],
        "the same from a cold start": watch["cold_share_of_bare"],
        "a what-if question of four options, ms": what_if["four_options_ms"],
    }
    body = "\n".join(f"| {name.strip()} | {value} |" for name, value in rows.items())
    return f"| measured in one run | |\n| --- | ---: |\n{body}\n\nFrom `reports/bench_twin.json`.\n"


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
    return _table([f"{pumps} pumps", *reports], lines) + f"\nFrom {files}.\n"


REPORTS = {
    "first-run": first_run,
    "bench": bench,
    "bench-twin": bench_twin,
    "ablation": ablation,
}


def main(check: bool, root: Path = Path()) -> None:
    """Render every page, or only compare."""
    for name in PAGES:
        page = root / name
        old = page.read_text(encoding="utf-8")
        new = render(old, root)
        if check and new != old:
            raise ForetwinError(f"{page}: differs from the files it reports; run `make docs`")
        if not check:
            with fresh_file(page) as out:
                out.write_text(new, encoding="utf-8")
    for name, picture in PICTURES.items():
        if not check and (root / picture).exists():
            shutil.copy(root / picture, root / "docs" / "pictures" / name)


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


if __name__ == "__main__":
    with exit_on_error():
        main(check="--check" in sys.argv[1:])
