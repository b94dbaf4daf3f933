"""Layouts of packed readings: the channels of each, and decoding of mixed layouts."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from foretwin.twin.store.tables import layouts
from foretwin.twin.store.telemetry.packing import unpack_channels

Layouts = Mapping[int, tuple[str, ...]]  # number -> the channels that it holds


def layouts_of(connection: Connection, twin: str) -> dict[int, tuple[str, ...]]:
    """Return every layout of the twin's readings, in order."""
    query = select(layouts.c.id, layouts.c.channels).where(layouts.c.twin == twin).order_by(layouts.c.id)
    return {row.id: tuple(row.channels.split(",")) for row in connection.execute(query)}


def decode_layouts(
    layout: Sequence[int], packed: Sequence[bytes], held: Layouts, wanted: Sequence[str]
) -> NDArray[np.float32]:
    """Decode the bytes of N readings by their layouts to (N, len(wanted)); NaN for a channel that a reading lacks."""
    layout_of = np.array(layout, np.int64)
    values = np.empty((len(packed), len(wanted)), np.float32)
    for number in np.unique(layout_of).tolist():
        chosen = np.flatnonzero(layout_of == number)
        here = packed if len(chosen) == len(packed) else [packed[i] for i in chosen.tolist()]
        values[chosen] = unpack_channels(here, held[number], wanted)
    return values
