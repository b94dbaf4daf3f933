"""Guess of a text's encoding, where neither UTF-8 nor a byte order mark tells it."""

import unicodedata
from pathlib import Path

from foretwin.errors import SourceError
from foretwin.sources.files.text import marked_encoding, open_unpacked

HEAD = 1 << 18  # bytes of which the guess is made
WESTERN = (
    "cp1252",
    "latin_1",
    "iso8859",
    "cp125",
    "cp437",
    "cp85",
    "mac",
    "cp500",
    "cp037",
    "hp_roman",
    "cp775",
    "cp86",
)
SIGNS = set("°µ²³±·×÷§€%‰–—’‘“”„…¼½¾´`«»©®¤¹ºª\u00a0\u00ad")


def guess_encoding(path: Path, shown: str) -> tuple[str | None, str]:
    """Return the encoding to be named (None for UTF-8 and what a mark tells), with a remark for the user.

    SourceError where it is no text in any encoding.
    """
    with open_unpacked(path) as file:
        head = file.read(HEAD)
    if marked_encoding(head) or _is_utf8(head):
        return (
            marked_encoding(head) if (marked_encoding(head) or "").startswith("utf-16-") else None
        ), "no mark tells it"
    if b"\0" in head:
        raise SourceError(f"{shown}: neither CSV, Parquet, workbook, .mat nor HDF5; export it as one of these")
    from charset_normalizer import from_bytes

    best = from_bytes(head).best()
    found = best.encoding if best is not None else "cp1252"
    if found.startswith(WESTERN) and _is_plausible(head):
        found = "cp1252"
    sign = next((char for char in head.decode(found, "replace") if ord(char) > 127), "")
    return found, f"it is not UTF-8; it has {sign!r}, for example"


def _is_utf8(head: bytes) -> bool:
    """Return whether the bytes are UTF-8, but for a last character that may be cut."""
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 and len(head) == HEAD
    return b"\0" not in head


def _is_plausible(head: bytes) -> bool:
    """Return whether the text in cp1252 has no other signs beyond ASCII than letters and those of measurements."""
    try:
        text = head.decode("cp1252")
    except UnicodeDecodeError:
        return False
    return all(char in SIGNS or unicodedata.category(char) in ("Ll", "Lu") for char in set(text) if ord(char) > 127)
