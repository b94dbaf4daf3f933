"""SHA-256 of texts, JSON, files and folders, as 64 hexadecimal digits."""

import hashlib
import json
from pathlib import Path
from typing import Any


def text_digest(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def json_digest(content: Any) -> str:
    """Return the SHA-256 of a value as JSON with sorted keys, however its file is laid out."""
    return text_digest(json.dumps(content, sort_keys=True))


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, which may be larger than the memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file under a folder, by its path in there, in the order of the paths."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in files}


def path_digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of all files under a folder with their paths in it."""
    if path.is_file():
        return file_digest(path)
    return text_digest("\n".join(f"{place} {digest}" for place, digest in file_digests(path).items()))
