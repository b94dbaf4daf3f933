"""Render a monitoring report as one HTML page: broken limits first, then what was compared, with inline SVG."""

from collections.abc import Mapping
from typing import Any

from foretwin.project.pages import render_page


def render(report: Mapping[str, Any], title: str) -> str:
    """Render the page of a report as `monitor` returns it."""
    return render_page("foretwin.twin.monitoring", "monitor.html", **report_values(report, title))


def report_values(report: Mapping[str, Any], title: str) -> dict[str, Any]:
    """Return what the template shows."""
    return {"r": report, "title": title, "n": _number, "share": _share}


def _number(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
