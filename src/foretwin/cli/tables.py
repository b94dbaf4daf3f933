"""Print lists and documents on the terminal."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

NO_EXPONENT = 1e4  # from here on four digits would need one


def show_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], more: str = "") -> None:
    """Print a table, numbers right-aligned; `more` is printed below it."""
    console = Console()
    cells = [[cell(value) for value in row] for row in rows]
    table, widths = fitting_table([columns, *cells], console.width)
    for i, name in enumerate(columns):
        numeric = any(isinstance(row[i], int | float) for row in rows) and not any(
            isinstance(row[i], str) for row in rows
        )
        table.add_column(name, justify="right" if numeric else "left", overflow="fold", width=widths[i])
    for shown in cells:
        table.add_row(*shown)
    console.print(table if rows else "none")
    if more:
        console.print(more, highlight=False, soft_wrap=True, markup=False)


def fitting_table(rows: Sequence[Sequence[str]], most: int, title: str = "") -> tuple[Table, Sequence[int | None]]:
    """Return an empty table for these rows and the widths of its columns, for `most` characters: no word is broken.

    It has no frame where words fit without one alone.
    """
    count = len(rows[0])
    framed, bare = _widths(rows, most - 3 * count - 1), _widths(rows, most - count + 1)
    if framed or not bare:
        return Table(title=title or None, title_justify="left"), framed or [None] * count
    return Table(title=title or None, title_justify="left", box=None, padding=(0, 1, 0, 0), pad_edge=False), bare


def _widths(rows: Sequence[Sequence[str]], room: int) -> list[int]:
    """Return how wide the columns are within `room` characters, or nothing where their longest words do not fit.

    What is left goes to those that lack least for a line each.
    """
    columns = list(zip(*rows, strict=True))
    words = [max(cell_len(word) for text in column for word in text.split() or [""]) for column in columns]
    lacking = [max(map(cell_len, column)) - word for column, word in zip(columns, words, strict=True)]
    room -= sum(words)
    if room < 0:
        return []
    for place in sorted(range(len(columns)), key=lambda place: lacking[place]):
        more = min(room, lacking[place])
        words[place] += more
        room -= more
    return words


def cell(value: Any) -> str:
    """Format a value for a cell; moments are UTC."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < NO_EXPONENT else f"{value:.0f}"
    return escape(str(value))


def life(value: float | None, low: float | None, high: float | None) -> str:
    """Format a remaining useful life with its interval."""
    return "" if value is None or low is None or high is None else f"{value:.0f} ({low:.0f} to {high:.0f})"


def age(seconds: float | None) -> str:
    """Format an age in a readable unit."""
    if seconds is None:
        return "never"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def diagnosis(answers: Mapping[str, str]) -> str:
    """Format the answer on each fault axis, with its name where there are several."""
    return ", ".join(name if len(answers) == 1 else f"{axis}: {name}" for axis, name in answers.items())


def entry(kind: str, said: Mapping[str, Any]) -> str:
    """Format an entry of a timeline in one line."""
    if kind == "readings":
        return f"{said['count']} of run {said['run']}, time {said['first_time']:g} to {said['last_time']:g}"
    if kind == "score":
        left = life(said["rul"], said["rul_low"], said["rul_high"])
        model = "{name} {version}".format(**said["model"])
        parts = (left and f"{left} left", diagnosis(said["diagnosis"]), f"run {said['run']} at {said['time']:g}", model)
        return "; ".join(part for part in (*parts, f"shown: {said['because']}") if part)
    return told(said)


def told(detail: Any) -> str:
    """Format an entry without its moment and kind, as `name: value` without empty values."""
    if isinstance(detail, dict):
        return ", ".join(f"{name}: {told(value)}" for name, value in detail.items() if value not in (None, {}, [], ""))
    if isinstance(detail, datetime):
        return cell(detail)
    return f"{detail:.4g}" if isinstance(detail, float) else str(detail)
