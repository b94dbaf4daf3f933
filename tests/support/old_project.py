"""The project of an earlier release that lies in tests/system/upgrade/, as a folder that works."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

OLD = Path(__file__).parents[1] / "system" / "upgrade" / "project"


MADE_IN = "/tmp/old-project"  # noqa: S108 - where its registry says that artifacts lie


def old_project(root: Path, moved: bool = True) -> Path:
    """Copy it to `root`, which is not there yet, and make its two databases.

    `moved`: its registry still names the folder in which it was made.
    """
    shutil.copytree(OLD, root)
    for name in ("mlflow", "twins"):
        with closing(sqlite3.connect(root / f"{name}.db")) as connection:
            script = (root / f"{name}.sql").read_text()
            connection.executescript(script if moved else script.replace(MADE_IN, str(root)))
    for name in ("keys.json", "twins.db"):
        (root / name).chmod(0o600)  # git keeps no such rights
    return root
