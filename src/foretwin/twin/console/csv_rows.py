"""Rows of an answer as CSV: flat, for a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

CSV_TYPE = "text/csv; charset=utf-8"
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # with which a spreadsheet begins to calculate


def write_csv(items: Iterable[Mapping[str, Any]]) -> bytes:
    """Write a line per item; objects become columns `name.part`, lists JSON.

    Before a text that a spreadsheet would take for a formula stands an apostrophe.
    """
    rows = [dict(_flat("", item)) for item in items]
    names = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, names, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, part in value.items():
            yield from _flat(f"{prefix}.{name}" if prefix else str(name), part)
    else:
        yield prefix, _cell(value)


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, int | float):
        return "" if value is None else str(value).lower() if isinstance(value, bool) else value
    text = value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_UTC_Z).decode().strip('"')
    return f"'{text}" if text.startswith(FORMULA) else text
