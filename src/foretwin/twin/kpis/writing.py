"""Write a report to a file: HTML for people, JSON and CSV for programs."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from foretwin.errors import BadInput
from foretwin.project.files import fresh_file
from foretwin.twin.kpis.page import page_of

Reports = Sequence[dict[str, Any]]


def check_form(path: Path) -> None:
    """Raise BadInput where the name's ending is no supported format."""
    if path.suffix not in FORMS:
        raise BadInput("--out", f"{path} ends in none of {', '.join(FORMS)}")


def write_reports(reports: Reports, path: Path) -> None:
    """Write the reports in the format of the name's ending, whole or not at all."""
    check_form(path)
    with fresh_file(path) as out:
        out.write_text(FORMS[path.suffix](reports), encoding="utf-8", newline="")


def _as_json(reports: Reports) -> str:
    return json.dumps({"twins": list(reports)}, indent=1, ensure_ascii=False) + "\n"


def _as_csv(reports: Reports) -> str:
    """Return a row per twin and period, without totals, so that a column can be summed."""
    lines = [
        {"twin": report["twin"], "unit": report["unit"], "currency": (report["costs"] or {}).get("currency")}
        | dict(_flat("", one))
        for report in reports
        for one in report["periods"]
    ]
    names = list(dict.fromkeys(name for line in lines for name in line))
    out = io.StringIO()
    writer = csv.DictWriter(out, names)
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Flatten keys to `failures.foreseen` and so on; None is an empty cell."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _flat(f"{prefix}.{name}" if prefix else name, part)
    else:
        yield prefix, value


FORMS: dict[str, Callable[[Reports], str]] = {".html": page_of, ".json": _as_json, ".csv": _as_csv}
