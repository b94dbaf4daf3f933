"""What a check has found, and what it looks at."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class DoctorFinding:
    """One line: `fail` keeps the installation from working, or from being safe; `warn` will do so one day."""

    level: Level
    check: str
    text: str


@dataclass(frozen=True)
class Installation:
    """What is looked at: the project's folder, the settings as the processes have them, and their file."""

    root: Path
    environ: Mapping[str, str]
    env_file: Path | None = None
    broker: str = ""  # URL; empty: none
