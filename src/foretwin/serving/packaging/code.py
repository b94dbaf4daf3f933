"""Collect the files of Foretwin that the scoring service imports, laid out as in a Bento."""

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

LIBRARY = Path(__file__).parents[2]
SERVICE = "serving/service.py"  # what BentoML loads
CONTAINER = "serving/Dockerfile.template"  # what `bentoml containerize` builds from
COMMAND = LIBRARY / "serving" / "__main__.py"  # what `python -m foretwin.serving` runs


def served_files(root: Path) -> Iterator[Path]:
    """Yield the service's two entry points and every module of Foretwin that they import, directly or indirectly."""
    waiting, seen = [root / SERVICE, COMMAND], set[Path]()
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            yield path
            waiting.extend(_imported(path))


def copy_served_files(root: Path, context: Path) -> None:
    """Copy the served files and the container's template to an empty folder."""
    for path in (*served_files(root), root / CONTAINER):
        base = LIBRARY.parent if path.is_relative_to(LIBRARY) else root
        place = context / path.relative_to(base)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)


def _imported(path: Path) -> Iterator[Path]:
    """Yield the files of the library's modules that one file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):  # a name may be a module or something in one: what is no file is dropped
            names = [f"{node.module}.{name}" for name in names]
        for name in names:
            parts = name.split(".")
            if parts[0] != LIBRARY.name:
                continue
            for end in range(1, len(parts) + 1):
                place = LIBRARY.joinpath(*parts[1:end])
                yield from (file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file())
