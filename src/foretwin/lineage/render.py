"""Print an answer as a tree on the terminal, with digests shortened."""

import re
import sys
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

SHA256 = re.compile(r"([0-9a-f]{16})[0-9a-f]{48}")
HEADS = ("model", "at", "path", "certificate")  # what names an entry of a list
WIDE = 400  # columns where there is no terminal whose width counts


def show(told: dict[str, Any]) -> None:
    """Print the answer."""
    rest = dict(told)
    tree = Tree(escape(f"{rest.pop('asked')}: taken for {rest.pop('taken_for')}"), highlight=False)
    _grow(tree, rest)
    Console(width=None if sys.stdout.isatty() else WIDE).print(tree, highlight=False)


def _grow(tree: Tree, content: dict[str, Any]) -> None:
    for name, value in content.items():
        if value in (None, "", [], {}):
            continue
        title = name if "/" in name or "." in name else name.replace("_", " ")
        if isinstance(value, dict):
            _grow(tree.add(escape(title)), value)
        elif isinstance(value, list):
            _list(tree.add(escape(title)), value)
        else:
            tree.add(escape(f"{title}: {_said(value)}"))


def _list(tree: Tree, entries: list[Any]) -> None:
    for entry in entries:
        if not isinstance(entry, dict):
            tree.add(escape(_said(entry)))
            continue
        head = next(name for name in HEADS if name in entry)
        _grow(tree.add(escape(_said(entry[head]))), {name: entry[name] for name in entry if name != head})


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return SHA256.sub(r"\1", str(value))
