"""Pack a score's probabilities into bytes: float64, little-endian, in the order of a layout of axes and classes.

Chances of a failure stand among the axes as `p_failure`, which no axis is called, with the horizons as its classes.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import orjson
from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from foretwin.contract.twin import FAILURE
from foretwin.twin.store.tables import answer_layouts

Faults = dict[str, dict[str, float]]  # axis -> class -> probability
Axes = tuple[tuple[str, ...], ...]  # of each axis its name, then its classes
PACKED_NAMES = ("layout", "probabilities", "kept")  # columns of the table that no score shows


def layouts_for(connection: Connection, answers: Iterable[Faults]) -> dict[Axes, int]:
    """Return the numbers of the layouts of these answers; new ones are recorded."""
    return {axes: _number(connection, axes) for axes in set(map(_axes, answers))}


def with_chances(faults: Faults, p_failure: dict[str, float]) -> Faults:
    """Return what is packed together: the faults, and the chances of a failure where there are any."""
    return {**faults, FAILURE: p_failure} if p_failure else faults


def packed_faults(faults: Faults, layouts: Mapping[Axes, int]) -> tuple[int, bytes]:
    """Return the number of the layout, and the probabilities as bytes."""
    values = list(chain.from_iterable(classes.values() for classes in faults.values()))
    return layouts[_axes(faults)], struct.pack(f"<{len(values)}d", *values)


def unpack_values(packed: bytes) -> tuple[float, ...]:
    """Return the probabilities in the order of the layout."""
    return struct.unpack(f"<{len(packed) // 8}d", packed)


def unpacked(connection: Connection, rows: Sequence[Mapping[Any, Any]]) -> list[dict[str, Any]]:
    """Return whole rows of the table of scores with `faults` and `p_failure` in place of the packed columns."""
    held = _axes_of(connection, {row["layout"] for row in rows})
    plain = []
    for row in rows:
        values = iter(unpack_values(row["probabilities"]))
        faults = {axis: {name: next(values) for name in classes} for axis, classes in held[row["layout"]].items()}
        shown = {str(name): value for name, value in row.items() if name not in PACKED_NAMES}
        plain.append({**shown, FAILURE: faults.pop(FAILURE, {}), "faults": faults})
    return plain


def _axes(faults: Faults) -> Axes:
    return tuple((axis, *classes) for axis, classes in faults.items())


def _axes_of(connection: Connection, numbers: Iterable[int]) -> dict[int, dict[str, list[str]]]:
    rows = connection.execute(select(answer_layouts).where(answer_layouts.c.id.in_(list(numbers)))).all()
    return {row.id: orjson.loads(row.axes) for row in rows}


def _number(connection: Connection, axes: Axes) -> int:
    text = orjson.dumps({axis: classes for axis, *classes in axes}).decode()
    known = select(answer_layouts.c.id).where(answer_layouts.c.axes == text)
    found = connection.execute(known).scalar()
    if found is None:  # another process may record it now
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        connection.execute(dialect.insert(answer_layouts).values(axes=text).on_conflict_do_nothing())
        found = connection.execute(known).scalar_one()
    return int(found)
