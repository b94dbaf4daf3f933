"""Store and read the monitor's last report of a twin."""

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from foretwin.project.files import fresh_file
from foretwin.twin.monitoring.page import render
from foretwin.twin.monitoring.prometheus import exposition
from foretwin.twin.store.holdings import quoted


def folder_of(root: Path, twin: str) -> Path:
    """Return the folder of report.html, report.json and metrics.prom."""
    return root / "reports" / "monitor" / twin


def report_of(root: Path, twin: str) -> Path:
    """Return the path of the last report as JSON."""
    return folder_of(root, twin) / "report.json"


def forget(root: Path, twin: str, name: str) -> None:
    """Remove the last report if it names the asset; the next run writes it anew."""
    report = report_of(root, twin)
    if report.exists() and any(form in report.read_text(encoding="utf-8") for form in quoted(name)):
        shutil.rmtree(report.parent)


def write(root: Path, report: Mapping[str, Any], title: str) -> None:
    """Replace the last report, file by file, each whole."""
    folder = folder_of(root, report["twin"])
    contents = {
        "report.html": render(report, title).encode(),
        "metrics.prom": exposition([report]),
        "report.json": json.dumps(report, indent=1, allow_nan=False).encode() + b"\n",
    }
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):  # two looks may end together
        for name, content in contents.items():
            with fresh_file(folder / name) as out:
                out.write_bytes(content)


def read_report(root: Path, twin: str) -> dict[str, Any] | None:
    """Read the last report; None where there is none, or where the file is damaged."""
    try:
        report = json.loads(report_of(root, twin).read_bytes())
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) else None


def read_all(root: Path, twins: Iterable[str]) -> list[dict[str, Any]]:
    """Read the reports of these twins, as far as there are any."""
    return [report for twin in twins if (report := read_report(root, twin)) is not None]
