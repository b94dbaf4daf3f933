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
BLOCK = re.compile(r"(<!-- figures: (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def render(text: str, root: Path) -> str:
    """The page with each block made anew from its files."""
    return BLOCK.sub(lambda found: found.group(1) + block(found["name"], root) + found.group(3), text)


def block(name: str, root: Path) -> str:
    """The Markdown of one block: `bench`, `first-run`, or the name of a twin."""
    if name == "first-run":
        return first_run(_read(root / "reports" / "first_run.json"))
    if name == "bench":
        return bench(_read(root / "reports" / "bench.json"))
    paths = Paths(root, name)
    return results(_read(paths.models / "metrics.json"), paths.load_contract())


def results(metrics: dict[str, Any], contract: Twin) -> str:
    """The figures of the network and the baselines as a table."""
    table = figures_table(metrics, contract)
    lines = [table[0], ["---", *["---:"] * (len(table[0]) - 1)], *table[1:]]
    body = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    count = f"{metrics['cuts']} predictions for {metrics['assets']} held-out assets"
    return f"{body}\n\n{count}; from `models/{contract.name}/metrics.json`.\n"


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
    }
    body = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"| measured in one run | |\n| --- | ---: |\n{body}\n\nFrom `reports/bench.json`.\n"


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
    picture = Paths(root, "pump").models / "plots" / "one_asset.png"
    if not check and picture.exists():
        shutil.copy(picture, root / "docs" / "pictures" / "pump.png")


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


if __name__ == "__main__":
    with exit_on_error():
        main(check="--check" in sys.argv[1:])
