"""Pages that are made of something else: written, or compared with what they should be."""

from pathlib import Path

from foretwin.errors import ForetwinError
from foretwin.project.files import fresh_file


def write_or_compare(page: Path, text: str, made_of: str, check: bool) -> None:
    """Write the page; with `check` only compare, and ForetwinError names what it is `made_of` where it differs."""
    if not check:
        with fresh_file(page) as out:
            out.write_text(text, encoding="utf-8")
    elif not page.exists() or page.read_text(encoding="utf-8") != text:
        raise ForetwinError(f"{page}: differs from {made_of}; run `make docs`")
