"""The project of an earlier release that lies in tests/system/upgrade/, as a folder that works."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

OLD = Path(__file__).parents[1] / "system" / "upgrade" / "project"


def old_project(root: Path) -> Path:
    """Copy it to `root`, which is not there yet, and make its two databases."""
    shutil.copytree(OLD, root)
    for name in ("mlflow", "twins"):
        with closing(sqlite3.connect(root / f"{name}.db")) as connection:
            connection.executescript((root / f"{name}.sql").read_text())
    return root
