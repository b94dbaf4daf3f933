"""Limits of one call."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from foretwin.project.settings import SETTINGS, read_number


@dataclass(frozen=True)
class Limits:
    """Limits of one call."""

    body_bytes: int = int(SETTINGS["FORETWIN_MAX_BODY_BYTES"].default)
    rows: int = int(SETTINGS["FORETWIN_MAX_ROWS"].default)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read FORETWIN_MAX_BODY_BYTES and FORETWIN_MAX_ROWS where set; ParamsError unless positive integers."""
        return cls(read_number("FORETWIN_MAX_BODY_BYTES", environ), read_number("FORETWIN_MAX_ROWS", environ))
