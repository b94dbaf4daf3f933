"""Folders and files that appear whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def fresh(folder: Path) -> Iterator[Path]:
    """An empty temporary folder beside `folder` that takes its place when all went well.

    When the body raises, what was at `folder` before stays as it was. It is moved aside before it is removed, since
    removing many files takes long enough to be interrupted halfway.
    """
    temporary, previous = (folder.with_name(f".{folder.name}.{name}") for name in ("partial", "previous"))
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if folder.exists():
            shutil.rmtree(previous, ignore_errors=True)
            folder.rename(previous)
        temporary.rename(folder)
    finally:
        if previous.exists() and not folder.exists():
            previous.rename(folder)
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(previous, ignore_errors=True)


@contextmanager
def fresh_file(path: Path) -> Iterator[Path]:
    """As `fresh`, for a single file."""
    temporary = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
