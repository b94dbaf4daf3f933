"""Atomic writes of folders and files."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def fresh(folder: Path) -> Iterator[Path]:
    """Open an empty temporary folder that replaces `folder` when the body succeeds.

    When the body raises, the previous `folder` is kept. It is renamed before it is removed, since removing many files
    can be interrupted halfway.
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
    """Open a temporary file path that replaces `path` when the body succeeds."""
    temporary = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
