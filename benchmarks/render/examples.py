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
(one trial, two folds, 10,000 windows), so that `python -m benchmarks.worked_examples` runs each in minutes: they
show that the way goes through, not how good a twin can be.
"""
FOOT = "\nThis page is made from `docs/examples/` and `reports/examples.json` by `make docs`.\n"


def render_examples(root: Path) -> str:
    """The page."""
    report = root / "reports" / "examples.json"
    found = json.loads(report.read_text(encoding="utf-8"))["examples"] if report.exists() else {}
    examples = load_examples()
    rows = [
        [f"[{one.title}](#{_anchor(one.title)})", str(one.edited_lines), _outcome(one, found.get(name))]
        for name, one in examples.items()
    ]
    parts = [_one(example, found.get(name)) for name, example in examples.items()]
    return f"{HEAD}\n{table(['example', 'edited lines', 'outcome'], rows)}\n" + "\n".join(parts) + FOOT


def _anchor(title: str) -> str:
    return "".join(char for char in title.lower().replace(" ", "-") if char.isalnum() or char == "-")


def _one(example: Example, found: dict[str, Any] | None) -> str:
    lines = [command for step, command in example.commands().items() if step != "edit"]
    if example.patch:
        lines.insert(1, f"patch -p1 < examples/{example.patch.name}")
    text = f"## {example.title}\n\n{example.source}: {example.shows}.\n\n```sh\n" + "\n".join(lines) + "\n```\n"
    if example.patch:
        text += f"\n```diff\n{example.patch.read_text(encoding='utf-8').strip()}\n```\n"
    outcome = _outcome(example, found)
    return text + f"\n{outcome[0].upper()}{outcome[1:]}{_counts(found)}.\n"


def _counts(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    parts = f"{found['development']:,} parts to learn from, {found['held_out']:,} held out"
    return f": {parts}; {sum(found['seconds'].values()):.0f} s in all"


def _figures(found: dict[str, Any]) -> str:
    """The figures of an outcome, such as `cycles RMSE 12.3`; empty where nothing was measured."""
    return ", ".join(f"{name} {figure:.3g}" for name, figure in found.get("figures", {}).items())


def _outcome(example: Example, found: dict[str, Any] | None) -> str:
    if found is None:
        return f"not measured yet: the commands go up to `{example.to}`"
    verdict = found.get("verdict")
    if verdict is None:
        return "prepared"
    told = f"{'promoted' if verdict['promoted'] else 'refused'}: {'; '.join(verdict['reasons'])}"
    figures = _figures(found)
    return f"{told} ({figures})" if figures else told


def main(check: bool, root: Path = Path()) -> None:
    """Write the page, or only compare."""
    write_or_compare(root / PAGE, render_examples(root), "the files that it is made of", check)


if __name__ == "__main__":
    with exit_on_error():
        main("--check" in sys.argv[1:])
