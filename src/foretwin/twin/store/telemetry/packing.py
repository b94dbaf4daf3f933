"""Pack the channels of a reading into bytes: float32, little-endian, in the order of a layout."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PACKED = np.dtype("<f4")


def pack(values: NDArray[np.float32]) -> list[bytes]:
    """Pack (N, C) into N times the bytes of C numbers."""
    rows = np.ascontiguousarray(values, PACKED)
    size = rows.shape[1] * PACKED.itemsize
    together = rows.tobytes()
    return [together[begin : begin + size] for begin in range(0, len(together), size)]


def unpack_channels(packed: Sequence[bytes], channels: Sequence[str], wanted: Sequence[str]) -> NDArray[np.float32]:
    """Unpack N readings of one layout to (N, len(wanted)); NaN for a channel that the layout lacks."""
    held = np.frombuffer(b"".join(packed), PACKED).reshape(len(packed), len(channels))
    if tuple(channels) == tuple(wanted):
        return held.astype(np.float32, copy=False)
    values = np.full((len(packed), len(wanted)), np.nan, np.float32)
    place = {name: i for i, name in enumerate(channels)}
    for i, name in enumerate(wanted):
        if name in place:
            values[:, i] = held[:, place[name]]
    return values
