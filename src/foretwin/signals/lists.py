"""Snapshots as lists in the cells of Arrow tables, which are stacked to blocks."""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import types


def is_list(kind: pa.DataType) -> bool:
    """Return whether cells of this type are lists of numbers."""
    if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
        return False
    return bool(types.is_floating(kind.value_type) or types.is_integer(kind.value_type))


def stacked(lists: Mapping[str, pa.Array]) -> Iterator[tuple[NDArray[np.int64], dict[str, NDArray[np.float32]]]]:
    """Yield rows (N,) in turn whose lists have equal lengths, and the block (N, samples) float32 of each waveform.

    A missing list has no samples, and a missing sample is NaN.
    """
    parts = {name: _parts(cells) for name, cells in lists.items()}
    sizes = np.stack([np.diff(ends) for _, ends in parts.values()], axis=1)
    changes = np.flatnonzero((sizes[1:] != sizes[:-1]).any(axis=1)) + 1
    for rows in np.split(np.arange(len(sizes)), changes):
        if len(rows):
            yield (
                rows,
                {
                    name: values[ends[rows][:, None] + np.arange(size)]
                    for (name, (values, ends)), size in zip(parts.items(), sizes[rows[0]].tolist(), strict=True)
                },
            )


def _parts(cells: pa.Array) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the samples of all lists in turn, and where each list begins, and the last ends (N + 1,)."""
    sizes = cells.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    values = cells.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    return values, np.concatenate([[0], np.cumsum(sizes)])
