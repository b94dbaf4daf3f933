"""Write docs/worked-examples.md from docs/examples/ and what the examples gave, in reports/examples.json.

python -m benchmarks.render.examples            write
python -m benchmarks.render.examples --check    fail where the page and its files disagree
"""

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.render.pages import write_or_compare
from benchmarks.render.speed import table
from benchmarks.worked_examples import Example, load_examples
from foretwin.project.entrypoint import exit_on_error

PAGE = "docs/worked-examples.md"
HEAD = """# Worked examples: published files, as they lie

Each of these becomes a twin by `foretwin new` on the official files and an edit of at most ten lines in its contract.
`$FORETWIN_DATASETS` is a folder with the files under their official names; the edits are in [examples/](examples/), and
`patch` puts them in. All but the wind farm, whose tables tell nothing about each other, go through training to the
gate's verdict: those with labels learn them, those without learn what is normal. [data/README.md](../data/README.md)
has every field.

```sh
foretwin init plant && cd plant      # a project of one's own
```

A refusal by the gate is a result: it says what the twin is not better than. The examples are made with small budgets
(one trial, two folds, 10,000 windows), so that `make examples` runs each in minutes: they show that the way goes
through, not how good a twin can be. Figures are of the parts that were held out, which are few in most of these sets.
What twins of some of them are worth when each machine is left out in turn, beside floors: [sets/](sets/).
"""
BESIDE = "it would not replace the candidate"  # the end of a sentence about a rival that is no better
FOOT = "\nThis page is made from `docs/examples/` and `reports/examples.json` by `make docs`.\n"


def render_examples(root: Path) -> str:
    """The page."""
    report = root / "reports" / "examples.json"
    found = json.loads(report.read_text(encoding="utf-8"))["examples"] if report.exists() else {}
    examples = load_examples()
    rows = [
        [f"[{one.title}](#{_anchor(one.title)})", str(one.edited_lines), *_in_short(found.get(name))]
        for name, one in examples.items()
    ]
    head = ["example", "edited lines", "verdict", "held-out figures", "held out", "minutes"]
    parts = [_one(example, found.get(name)) for name, example in examples.items()]
    return f"{HEAD}\n{table(head, rows)}\n" + "\n".join(parts) + FOOT


def _anchor(title: str) -> str:
    return "".join(char for char in title.lower().replace(" ", "-") if char.isalnum() or char == "-")


def _one(example: Example, found: dict[str, Any] | None) -> str:
    lines = [command for step, command in example.commands().items() if step != "edit"]
    if example.patch:
        lines.insert(1, f"patch -p1 < examples/{example.patch.name}")
    text = f"## {example.title}\n\n{example.source}: {example.shows}.\n\n```sh\n" + "\n".join(lines) + "\n```\n"
    if example.patch:
        text += f"\n```diff\n{example.patch.read_text(encoding='utf-8').strip()}\n```\n"
    return f"{text}\n{_outcome(example, found)}\n"


def _in_short(found: dict[str, Any] | None) -> tuple[str, str, str, str]:
    """The verdict, the figures, how many parts were held out, and how long it took."""
    if found is None:
        return "not measured yet", "", "", ""
    verdict = found.get("verdict")
    word = "prepared" if verdict is None else "promoted" if verdict["promoted"] else "refused"
    return word, _figures(found), f"{found['held_out']:,}", f"{sum(found['seconds'].values()) / 60:.1f}"


def _figures(found: dict[str, Any]) -> str:
    """The figures of an outcome, such as `RMSE (cycle) 12.3`; empty where nothing was measured."""
    return ", ".join(f"{name} {_number(figure)}" for name, figure in found.get("figures", {}).items())


def _number(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"


def _outcome(example: Example, found: dict[str, Any] | None) -> str:
    """The verdict with the reasons that decided: all of a refusal; of a promotion not whom else it was held against."""
    if found is None:
        return f"Not measured yet: the commands go up to `{example.to}`."
    counts = f"{found['development']:,} parts to learn from, {found['held_out']:,} held out."
    verdict = found.get("verdict")
    if verdict is None:
        return f"Prepared: {counts}"
    reasons = [reason for reason in verdict["reasons"] if not reason.endswith(BESIDE)]
    told = "".join(f"\n* {reason}" for reason in reasons)
    return f"{'Promoted' if verdict['promoted'] else 'Refused'}; {counts}\n{told}"


def main(check: bool, root: Path = Path()) -> None:
    """Write the page, or only compare."""
    write_or_compare(root / PAGE, render_examples(root), "the files that it is made of", check)


if __name__ == "__main__":
    with exit_on_error():
        main("--check" in sys.argv[1:])
