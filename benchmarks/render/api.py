"""Write docs/api.md from the docstrings of what `import foretwin` offers.

python -m benchmarks.render.api            write
python -m benchmarks.render.api --check    fail where the page and the docstrings disagree
"""

import ast
import inspect
import sys
import textwrap
from pathlib import Path
from typing import Any

import foretwin
from benchmarks.render.pages import write_or_compare
from foretwin import errors
from foretwin.project.entrypoint import exit_on_error

PAGE = "docs/api.md"
HEAD = """# The Python API

`import foretwin` is light: each name is loaded when it is first used. Every path may be a string, every time is in
the unit of the contract's clock, and every error that Foretwin raises on purpose is a class of `foretwin.errors`. The
examples run in the project's folder, as part of the test suite. [first_machine.ipynb](notebooks/first_machine.ipynb) is
a notebook that goes from a data set to a scored machine.

This page is made from the docstrings by `make docs`.
"""
ASKED = (  # of the services, in the order in which they are described
    "score",
    "models",
    "send",
    "assets",
    "asset",
    "describe",
    "readings",
    "scores",
    "explain",
    "what_if",
    "cases",
    "case",
    "service_request",
    "acknowledge",
    "give_verdict",
    "record_maintenance",
    "key_figures",
    "export",
)
SECTIONS: dict[str, tuple[str, ...]] = {  # what is described, in the order in which it is needed
    "Contracts and data": ("load_contract", "load_dataset", "hold_out"),
    "Training and evaluation": ("train", "evaluate", "score_run"),
    "Models": ("load_bundle", "load_champion", "Bundle", "Bundle.score"),
    "The store": ("open_store",),
    "Clients": ("Client", *(f"Client.{name}" for name in ASKED), "AsyncClient"),
}
RETURNED = ("Twin", "Champion", "Store")  # what the functions return; their modules describe them


def render() -> str:
    """The page."""
    parts = [HEAD]
    for title, names in SECTIONS.items():
        parts += [f"## {title}\n", *(_entry(name) for name in names)]
    homes = [f"`foretwin.{name}` (`{getattr(foretwin, name).__module__}`)" for name in RETURNED]
    parts.append(f"## Types\n\nFor annotations, besides `Bundle`: {', '.join(homes)}.\n")
    tree = inspect.cleandoc(errors.__doc__ or "").partition("\n\n")
    parts.append(f"## Errors\n\n`foretwin.errors`: {tree[0][0].lower()}{tree[0][1:]}\n\n```\n{tree[2]}\n```\n")
    return "\n".join(parts)


def _entry(name: str) -> str:
    """Heading, signature, description and example of a function, a class or a method."""
    found: Any = foretwin
    for part in name.split("."):
        found = getattr(found, part)
    text, _, example = inspect.cleandoc(found.__doc__ or "").partition("\n\n>>> ")
    lines = [f"### {name}", ""]
    if not inspect.isclass(found):
        lines += ["```python", _signature(found), "```", ""]
    lines += [text]
    if example:
        lines += ["", "```python", f">>> {example}", "```"]
    return "\n".join(lines) + "\n"


def _signature(function: Any) -> str:
    """The head of a function as the source has it, without `def` and `self`."""
    source = textwrap.dedent(inspect.getsource(function))
    (node,) = ast.parse(source).body
    if not isinstance(node, ast.FunctionDef):
        raise TypeError(f"{function} is not a function")
    head = "\n".join(source.splitlines()[: node.body[0].lineno - 1])
    return head.removeprefix("def ").removesuffix(":").replace("(self, ", "(").replace("(self)", "()")


def main(check: bool, root: Path = Path()) -> None:
    """Write the page, or only compare."""
    write_or_compare(root / PAGE, render(), "the docstrings", check)


if __name__ == "__main__":
    with exit_on_error():
        main(check="--check" in sys.argv[1:])
