"""Limits of one call."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from foretwin.errors import ParamsError


@dataclass(frozen=True)
class Limits:
    """Limits of one call."""

    body_bytes: int = 8 * 1024 * 1024
    rows: int = 100_000

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read FORETWIN_MAX_BODY_BYTES and FORETWIN_MAX_ROWS where set; ParamsError unless positive integers."""
        return cls(
            positive_setting(environ, "FORETWIN_MAX_BODY_BYTES", cls.body_bytes),
            positive_setting(environ, "FORETWIN_MAX_ROWS", cls.rows),
        )


def positive_setting(environ: Mapping[str, str], name: str, default: int) -> int:
    """Read a variable of the environment; ParamsError unless it is a positive integer."""
    text = environ.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 18 or int(text) < 1:
        raise ParamsError(f'{name}: is "{text[:60]}", a positive integer is needed')
    return int(text)
