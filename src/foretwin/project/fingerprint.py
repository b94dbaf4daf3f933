"""Whether files are as they were when they were last read: by size, time and inode, without opening them.

It imports the standard library alone: a look before every build should not wait for pandas.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from foretwin.project.files import fresh_file

CODE = Path(__file__).parents[1]  # the package `foretwin`
VARIABLE = "FORETWIN_DATASETS"
State = dict[str, list[int] | None]


def file_state(files: Iterable[Path]) -> State:
    """Path -> size (bytes), time of the last change (ns) and inode of each file; None where there is none."""
    return {str(path): _state(path) for path in files}


def write_fingerprint(record: Path, sources: State, folders: Iterable[Path]) -> None:
    """Keep the state of the sources as it was before they were read, and that of all files in the folders now."""
    content = {"settings": _settings(), "sources": sources, "folders": {str(path): _inside(path) for path in folders}}
    with fresh_file(record) as out:
        out.write_text(json.dumps(content), encoding="utf-8")


def is_unchanged(record: Path) -> bool:
    """Whether sources, folders, code and settings are as the record has them; False where there is no record."""
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
    """The state of every file in a folder; None where there is no such folder."""
    return file_state(sorted(path for path in folder.rglob("*") if path.is_file())) if folder.is_dir() else None


def _settings() -> dict[str, object]:
    """What else decides what a fetch brings: the code, and where official archives are looked for."""
    code = {path: state for path, state in file_state(sorted(CODE.rglob("*.py"))).items() if state}
    newest = max(state[1] for state in code.values() if state)
    return {"code": [str(CODE), len(code), sum(state[0] for state in code.values() if state), newest]} | {
        VARIABLE: os.environ.get(VARIABLE)
    }
