"""The best figures of a table in bold, of cells such as `16.12 / 16.21`: mean of the seeds / their ensemble."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from foretwin.evaluation.report import NOT_SURE

MEANING = "**Bold**: the best ensemble as shown, which need not be surely better."
COMPARED = "\\* Not surely worse than the best, where paired resamples of the machines compared the ensembles."


def bold_columns(lines: list[list[str]], least: Iterable[int] = (), most: Iterable[int] = ()) -> list[list[str]]:
    """The lines with the least figure of some columns in bold, and the greatest of others."""
    marked = [list(line) for line in lines]
    for place in least:
        _mark([(line, place) for line in marked], -1.0)
    for place in most:
        _mark([(line, place) for line in marked], 1.0)
    return marked


def star_equals(lines: list[list[str]], names: Sequence[str], place: int, compared: Mapping[str, Any]) -> None:
    """Put a star behind the figures of a column that are not surely worse than the best, which is bold already.

    `compared` is the question's comparison of `compare_models`; `names` are the models of the lines as it has them.
    """
    for line, name in zip(lines, names, strict=True):
        if compared["chances"].get(name, 0.0) >= NOT_SURE and not line[place].startswith("**"):
            line[place] += "\\*"


def bold_rows(lines: list[list[str]], least: range, most: Iterable[range] = ()) -> list[list[str]]:
    """The lines with the best figure of each in bold, among columns of which less is better, and among others."""
    marked = [list(line) for line in lines]
    for line in marked:
        _mark([(line, place) for place in least], -1.0)
        for places in most:
            _mark([(line, place) for place in places], 1.0)
    return marked


def _mark(cells: list[tuple[list[str], int]], sign: float) -> None:
    """Put the best of these cells in bold, and those that show the same; `sign` -1 where less is better."""
    worth = [sign * float(line[place].rsplit("/", 1)[-1].rstrip("%")) if line[place] else None for line, place in cells]
    best = max((one for one in worth if one is not None), default=None)
    for (line, place), one in zip(cells, worth, strict=True):
        if one is not None and one == best:
            line[place] = f"**{line[place]}**"
