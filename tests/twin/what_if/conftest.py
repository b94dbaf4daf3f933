"""The pump's degradation model, which both files of tests ask."""

from collections.abc import Callable
from pathlib import Path

import pytest

from support.pump_lives import learnt, project


@pytest.fixture(scope="session")
def learnt_project(shared: Callable[..., Path]) -> Path:
    """A project's folder with the degradation model of a small fleet; whoever changes it makes a copy."""

    def make(folder: Path) -> None:
        project(folder / "project", learnt(folder / "learning"))

    return shared("what-if", make) / "project"
