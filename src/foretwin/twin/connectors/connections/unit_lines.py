"""Units as people write them, and the straight line from one to another, by pint."""

import re
from functools import cache
from typing import Any

POWERS = re.compile(r"(?<=[a-zA-Z])(-?\d+)")  # m3/h is m**3/h
SPELLINGS = {"psia": "psi", "psig": "psi", "bara": "bar", "barg": "bar", "%": "percent"}
LONGEST = 60  # characters of a unit


def unit_line(source: str, target: str) -> tuple[float, float]:
    """Return factor and shift: value in `target` = factor * value in `source` + shift; ValueError where there is none.

    >>> unit_line("degF", "degC")
    (0.5555555555555556, -17.77777777777777)
    """
    if source == target:
        return 1.0, 0.0
    units = _registry()
    ends = [_unit(units, text) for text in (source, target)]
    try:
        zero, one = (float(units.Quantity(value, ends[0]).to(ends[1]).magnitude) for value in (0.0, 1.0))
    except Exception as error:
        raise ValueError(f"{source} is no measure of what {target} measures: {_one_line(error)}") from None
    return one - zero, zero


def is_unit(text: str) -> bool:
    """Whether a text is a unit that can be converted."""
    try:
        _unit(_registry(), text)
    except ValueError:
        return False
    return True


def _unit(units: Any, text: str) -> Any:
    try:
        if len(text) > LONGEST:
            raise ValueError("it is too long")
        return units.parse_units(POWERS.sub(r"**\1", SPELLINGS.get(text, text)))
    except Exception as error:  # of many kinds, pint's and those of Python's tokenizer
        raise ValueError(f"{text[:LONGEST]} is no unit that is known: {_one_line(error)}") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


@cache
def _registry() -> Any:
    """Return pint's registry; it takes a fifth of a second to make, which only those pay who convert."""
    import pint

    return pint.UnitRegistry()
