"""Format a report's figures for people: a row of text per period, and the total in the last."""

from collections.abc import Callable
from typing import Any

Figures = dict[str, Any]


def columns(report: dict[str, Any]) -> dict[str, Callable[[Figures], str]]:
    """Return heading -> formatter of a period's figures."""
    currency = report["costs"]["currency"] if report["costs"] else ""
    return {
        "failures": lambda one: str(one["failures"]["count"]),
        "foreseen": lambda one: str(one["failures"]["foreseen"]),
        "missed": lambda one: str(one["failures"]["missed"]),
        "avoided": lambda one: str(one["avoided"]),
        f"lead time ({report['unit']})": lambda one: _quartiles(one["lead_time"]),
        "part in time": lambda one: share(one["lead_time"]["in_time"]),
        "false alarms": lambda one: share(one["false_alarms"]),
        "open": lambda one: str(one["cases"]["open"]),
        "availability": lambda one: percent(one["availability"]["assumed"]),
        "measured": lambda one: percent(one["availability"]["measured"]),
        f"saved ({currency})" if currency else "saved": lambda one: _range(one["cost"] and one["cost"]["saved"]),
    }


def rows(report: dict[str, Any]) -> list[list[str]]:
    """Return a row for each period, its name first, and a total where there are several."""
    shown = columns(report)
    parts = [(one["name"] + ("" if one["is_over"] else " (so far)"), one) for one in report["periods"]]
    whole = [("all", report["total"])] if len(parts) > 1 else []
    return [[name, *(tell(figures) for tell in shown.values())] for name, figures in (*parts, *whole)]


def share(one: Figures) -> str:
    """Format a share with its total; without any, name what there was none of."""
    return f"{percent(one['share'])} ({one['count']} of {one['of']})" if one["of"] else ""


def percent(value: float | None) -> str:
    """Format a percentage with the decimals of its value."""
    return "" if value is None else f"{round(100 * value, 1):g}%"


def amount(value: float) -> str:
    """Format an amount with separated thousands."""
    return f"{value:,}".replace(",", " ")


def _quartiles(one: Figures) -> str:
    return f"{one['median']} ({one['lower_quartile']} to {one['upper_quartile']})" if one["count"] else ""


def _range(one: Figures | None) -> str:
    return "" if one is None else f"{amount(one['value'])} ({amount(one['low'])} to {amount(one['high'])})"
