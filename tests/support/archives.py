"""What tests read that not every machine has: the official archives, and a tree without uncommitted reports."""

import os
import re
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[2]


def leave_out(why: str) -> NoReturn:
    """Skip a test for what this machine lacks; fail it in CI with the archives, where every test has to run."""
    if os.environ.get("CI") and os.environ.get("FORETWIN_DATASETS"):
        pytest.fail(f"left out in CI: {why}", pytrace=False)
    pytest.skip(why)


def archives(*names: str) -> Path:
    """The folder of the official archives, in which these files, folders and members of archives lie."""
    folder = Path(os.environ.get("FORETWIN_DATASETS", ROOT.parent / "shared" / "datasets"))
    outside = [re.sub(r"(\.zip)/.*", r"\1", name) for name in names]
    if not all((folder / name).exists() for name in outside):
        leave_out("the official archives are not here: set FORETWIN_DATASETS to their folder")
    return folder
