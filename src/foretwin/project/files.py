"""Atomic writes of folders and files, and files that are their owner's alone."""

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OWNER, GROUP, WRITING_GROUP, OTHERS = 0o600, 0o060, 0o020, 0o007  # rights

logger = logging.getLogger("foretwin.files")


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
def fresh_file(path: Path, private: bool = False) -> Iterator[Path]:
    """Open a temporary file path that replaces `path` when the body succeeds; `private`: its owner's alone."""
    temporary = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        if private:
            temporary.unlink(missing_ok=True)
            make_private(temporary)
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def make_private(path: Path) -> None:
    """Create a file that only its owner may read, or repair one that everybody may read.

    Rights of its group alone, and of one that may write to it, stay, since somebody meant that.
    """
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT, OWNER))
    mode = path.stat().st_mode
    if mode & OTHERS:
        try:
            path.chmod(OWNER | mode & GROUP if mode & WRITING_GROUP else OWNER)
        except PermissionError:
            logger.warning("%s: everybody on this machine may read it; let its owner `chmod 600 %s`", path, path)
