"""Read a file of settings as systemd and compose do: `NAME=value` lines, comments, quotes."""

import re
from pathlib import Path

from foretwin.errors import ParamsError

LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")


def read_env_file(path: Path) -> dict[str, str]:
    """Return name -> value; ParamsError for a file that cannot be read, or a line that is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is no text"
        raise ParamsError(f"{path}: {reason}; name the file of settings that the processes read") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith(("#", ";")):
            continue
        matched = LINE.fullmatch(text)
        if matched is None:
            raise ParamsError(f"{path}:{number}: is no NAME=value; correct it, or begin it with #")
        found[matched[1]] = _unquoted(matched[2])
    return found


def _unquoted(text: str) -> str:
    is_quoted = len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if is_quoted else text
