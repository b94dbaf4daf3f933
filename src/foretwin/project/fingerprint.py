"""Detect changed files by size, time and inode, without opening them.

It imports the standard library alone: a look before every build should not wait for pandas.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from foretwin.project.files import fresh_file
from foretwin.project.settings import read_setting

CODE = Path(__file__).parents[1]  # the package `foretwin`
VARIABLE = "FORETWIN_DATASETS"
State = dict[str, list[int] | None]


def file_state(files: Iterable[Path]) -> State:
    """Return path -> size (bytes), modification time (ns) and inode of each file; None for a missing one."""
    return {str(path): _state(path) for path in files}


def write_fingerprint(record: Path, sources: State, folders: Iterable[Path]) -> None:
    """Record the state of the sources before they were read, and that of all files in the folders now."""
    content = {"settings": _settings(), "sources": sources, "folders": {str(path): _inside(path) for path in folders}}
    with fresh_file(record) as out:
        out.write_text(json.dumps(content), encoding="utf-8")


def is_unchanged(record: Path) -> bool:
    """Whether sources, folders, code and settings equal the record; False where there is no record."""
    try:
        known = json.loads(record.read_bytes())
        sources = file_state(map(Path, known["sources"]))
        folders = {path: _inside(Path(path)) for path in known["folders"]}
        return {"settings": _settings(), "sources": sources, "folders": folders} == dict(known)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False


def _state(path: Path) -> list[int] | None:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return [found.st_size, found.st_mtime_ns, found.st_ino]


def _inside(folder: Path) -> State | None:
    """Return the state of every file in a folder; None where there is no such folder."""
    return file_state(sorted(path for path in folder.rglob("*") if path.is_file())) if folder.is_dir() else None


def _settings() -> dict[str, object]:
    """Return what else decides a fetch: the code, and the folder of official archives."""
    code = {path: state for path, state in file_state(sorted(CODE.rglob("*.py"))).items() if state}
    newest = max(state[1] for state in code.values() if state)
    return {"code": [str(CODE), len(code), sum(state[0] for state in code.values() if state), newest]} | {
        VARIABLE: read_setting(VARIABLE)
    }
