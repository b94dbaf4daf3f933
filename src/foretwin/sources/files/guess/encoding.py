"""Guess of a text's encoding, where neither UTF-8 nor a byte order mark tells it."""

from pathlib import Path

from foretwin.errors import SourceError
from foretwin.sources.files.text import marked_encoding, open_unpacked

HEAD = 1 << 18  # bytes of which the guess is made
# What measurements in Western Europe have beyond ASCII; a text with a few of these says too little for statistics.
SIGNS = set("°µ²³±·×÷§€%‰–—’‘“”„…¼½¾´«»©®¤¹ºª\u00a0\u00ad")
LETTERS = set("äöüÄÖÜßéèêëàâáçñîïíìôóòûùúåøæÉÈÊÀÂÁÇÑÎÔÓÛÚÅØÆ¿¡")


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
    found = "cp1252"
    if not _is_western(head):
        from charset_normalizer import from_bytes

        best = from_bytes(head).best()
        found = best.encoding if best is not None else found
    sign = next((char for char in head.decode(found, "replace") if ord(char) > 127), "")
    return found, f"it is not UTF-8; it has {sign!r}, for example"


def _is_utf8(head: bytes) -> bool:
    """Return whether the bytes are UTF-8, but for a last character that may be cut."""
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 and len(head) == HEAD
    return b"\0" not in head


def _is_western(head: bytes) -> bool:
    """Return whether the text in cp1252 has nothing beyond ASCII but usual letters and signs of measurements."""
    try:
        text = head.decode("cp1252")
    except UnicodeDecodeError:
        return False
    return {char for char in text if ord(char) > 127} <= SIGNS | LETTERS
