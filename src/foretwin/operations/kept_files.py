"""Which files of a project go with its store into a backup: contracts, champions, challengers, ledgers, certificates.

What the stages can make again, and what lies in version control or DVC's remote, does not.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from foretwin.champion.champion import kept_by_one
from foretwin.operations.backup_file import PROJECT_FILES
from foretwin.project.paths import Paths

PLAIN = ("params.yaml", "data/*/twin.yaml", "erasures/*.json")
OF_MODELS = ("ledger.jsonl", "signatures", "candidate", "champion")  # in models/<twin>/
WHOLE = ("candidate", "champion")  # folders that are replaced as a whole


@contextmanager
def copied_files(root: Path) -> Iterator[Mapping[str, Path]]:
    """Yield name in a backup -> a file; those of models are copies, taken while nobody replaces the champion."""
    with tempfile.TemporaryDirectory(prefix="foretwin-backup-") as folder:
        found = {path.relative_to(root).as_posix(): path for pattern in PLAIN for path in root.glob(pattern)}
        for models in sorted((root / "models").glob("*/")):
            copy = Path(folder) / models.name
            copy.mkdir()
            with kept_by_one(Paths(root, models.name)):
                for name in OF_MODELS:
                    _copy_if_there(models / name, copy / name)
            found |= {
                f"models/{models.name}/{path.relative_to(copy).as_posix()}": path
                for path in sorted(copy.rglob("*"))
                if path.is_file()
            }
        yield {f"{PROJECT_FILES}/{name}": path for name, path in sorted(found.items())}


def _copy_if_there(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.is_file():
        shutil.copyfile(source, target)
