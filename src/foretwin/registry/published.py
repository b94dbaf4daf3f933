"""Check whether a local store still shows what DVC holds, without MLflow where nothing changed since the last check.

MLflow takes two seconds to import and pydantic half of one: a look after every `dvc repro` should not wait for them.
So a complete store is noted in .foretwin/<twin>/tracking_store.json: digests of the files of models/<twin>/, inode,
size and modification time of the store's file, and the required artifacts. On any difference, MLflow is asked.
"""

import json
from pathlib import Path
from typing import Any

from foretwin.project.digests import path_digest
from foretwin.project.files import fresh_file
from foretwin.project.json import strict_json
from foretwin.registry.locations import local_database, run_files

NOTE = "tracking_store.json"


def lacking(root: Path, twin: str) -> list[str] | None:
    """Return what a SQLite store lacks of models/<twin>/, as names for people; None for another store.

    RegistryError where the store cannot be read.
    """
    database = local_database(root)
    if database is None:
        return None
    if not database.exists() or not database.stat().st_size:
        return [f"its store, {database.name}"]
    note, state = root / ".foretwin" / twin / NOTE, _state(root, twin, database)
    if _noted(note, state):
        return []
    from foretwin.registry.restore import examine

    gone, places = examine(root, twin)
    if not gone:
        with fresh_file(note) as out:
            out.write_text(strict_json({"state": state, "places": places}, indent=1) + "\n", encoding="utf-8")
    return gone


def _state(root: Path, twin: str, database: Path) -> dict[str, Any]:
    """Return digests of what must be shown, and the state of the store's file."""
    models = root / "models" / twin
    files = [*run_files(root, twin), models / "promotion.json", models / "champion" / "identity.json"]
    stamps = []
    for path in (database, database.with_name(f"{database.name}-wal")):
        status = path.stat() if path.exists() else None
        stamps.append(status and [status.st_ino, status.st_size, status.st_mtime_ns])
    digests = {str(path.relative_to(root)): path_digest(path) for path in files if path.exists()}
    return {"store": str(database.resolve()), "stamps": stamps, "files": digests}


def _noted(note: Path, state: dict[str, Any]) -> bool:
    """Whether this state was complete at the last check, and the artifacts still exist."""
    try:
        content = json.loads(note.read_text(encoding="utf-8"))
        return bool(content["state"] == state) and all(Path(place).exists() for place in content["places"])
    except (OSError, ValueError, KeyError, TypeError):  # absent, or not ours: MLflow is asked
        return False
