"""Paths of data files: their natural order, and the columns that a pattern or a partition reads from them."""

import re
from pathlib import Path

from foretwin.contract.source import TableSource
from foretwin.errors import SourceError

PARTITION = re.compile(r"([^/=]+)=([^/=]+)")


def data_files(folder: Path) -> list[str]:
    """Return the relative names of all files below a folder but hidden ones, `run2` before `run10`."""
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return sorted((name for name in names if not is_hidden(name)), key=natural)


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts numbers within names by value."""
    parts = re.split(r"(\d+)", name)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]


def shown_path(path: str) -> str:
    """Return a path or URL as messages show it: without user, password and parameters."""
    return re.sub(r"//[^/@]*@", "//", path.partition("?")[0]) if "://" in path else path


def matches(pattern: str, name: str) -> dict[str, str] | None:
    """Return the words of a pattern such as {asset}/{run:d}.csv in the end of a path; None where it does not fit."""
    expression, seen = "", set()
    for text, named in re.findall(r"([^{}]*)(?:{(\w*(?::d)?)})?", pattern):
        expression += re.escape(text).replace(r"\*", "[^/]*")
        word, digits = named.removesuffix(":d"), named.endswith(":d")
        if word in seen:
            expression += f"(?P={word})"
        elif word:
            expression += rf"(?P<{word}>\d+)" if digits else f"(?P<{word}>[^/]+?)"
            seen.add(word)
    found = re.search(f"(?:^|/){expression}$", name)
    return found.groupdict() if found else None


def path_parts(source: TableSource, name: str) -> dict[str, str]:
    """Return the columns that the path of a file gives: its name, words of the pattern, partitions (year=2024)."""
    given = {FILE: Path(name).name.split(".")[0]} | dict(PARTITION.findall(Path(name).parent.as_posix()))
    if source.single_asset is not None:
        given[SINGLE] = source.single_asset
    if source.pattern is None:
        return given
    found = matches(source.pattern, name)
    if found is None:
        raise SourceError(f"{name}: its path does not end as {source.pattern}; rename it, or correct source.pattern")
    return given | found


FILE = "file name"  # the column of the files' names, without their endings
SINGLE = "single asset"  # the column of the only machine's name; with a space, as no word of a pattern has


def is_hidden(name: str) -> bool:
    """Return whether a part of a relative path begins as hidden files and marks of other programs do."""
    return any(part.startswith((".", "_")) and "=" not in part for part in name.split("/"))
