"""Makes the project that test_upgrade.py opens: as commit 3a26dd3 of this repository leaves one, in small.

    git clone . /tmp/old && git -C /tmp/old checkout 3a26dd3
    PYTHONPATH=/tmp/old/src:/tmp/old/tests python tests/system/upgrade/make_project.py /tmp/old /tmp/old-project OUT

It has two versions in the registry, of which the second is champion; readings of two machines that were scored; a key.
Databases are written as SQL; of each logged model, the package's code is left out.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import yaml
from foretwin.identity import ModelIdentity
from foretwin.rows import write_rows
from registry_project import PARAMS, TWIN, Project
from tiny_bundle import random_rows

from foretwin import registry
from foretwin.champion import keep_champion

MACHINES = {"P-1": 8, "P-2": 6}


def main(old: Path, root: Path, out: Path) -> None:
    """Make the project in `root` with the code of `old`, and its copy as files in `out`."""
    for name in ("MLFLOW_TRACKING_URI", "FORETWIN_ARTIFACTS"):
        os.environ.pop(name, None)
    root.mkdir(parents=True)
    project = Project(root)
    for seed, error in ((1, 10), (2, 8)):
        project.train(seed, error)
        project.promote()
        best = registry.champion(root, "pump")
        identity = ModelIdentity(best.name, best.version, best.run, best.digest)
        keep_champion(project.paths, best.folder, identity)
    (root / "params.yaml").write_text(yaml.safe_dump(PARAMS.model_dump(mode="json")))
    lock = yaml.safe_load((old / "dvc.lock").read_text())
    lock["stages"] = {name: stage for name, stage in lock["stages"].items() if name.endswith("@pump")}
    (root / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False))
    write_rows(random_rows(TWIN, MACHINES), TWIN, root / "readings.parquet")
    foretwin(root, "ingest readings.parquet --twin pump")
    (root / "key.txt").write_text(foretwin(root, "keys new planning --scope score"))
    as_files(root, out)


def foretwin(root: Path, arguments: str) -> str:
    command = [sys.executable, "-m", "foretwin.cli", *arguments.split()]
    return subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout


def as_files(root: Path, out: Path) -> None:
    names = ["*.db", "*.db-*", "code", "pyfunc.py", ".foretwin", "readings.parquet", ".keys*"]
    left_out = shutil.ignore_patterns(*names)
    shutil.copytree(root, out, ignore=left_out)
    for name in ("mlflow", "twins"):
        with closing(sqlite3.connect(root / f"{name}.db")) as connection:
            (out / f"{name}.sql").write_text("\n".join(connection.iterdump()) + "\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
