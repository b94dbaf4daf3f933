"""Arrays that need not fit in memory: large ones lie in files, whose pages the system drops and reads again."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

SMALL = 64 * 1024 * 1024  # bytes, below which an array is in memory


def mapped_array(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return a new array of that shape, to be filled; a large one in a file that is deleted when the process ends.

    Processes to which joblib gives it read the same file.
    """
    kind = np.dtype(dtype)
    if kind.itemsize * int(np.prod(shape, dtype=np.int64)) < SMALL:
        return np.empty(shape, kind)
    with tempfile.NamedTemporaryFile(dir=_folder(), delete=False) as file:
        return np.memmap(file.name, kind, "w+", shape=shape)


def moved(array: NDArray[Any]) -> NDArray[Any]:
    """Return a large array as one that lies in a file, a small one as it is."""
    if array.nbytes < SMALL:
        return array
    there = mapped_array(array.shape, array.dtype)
    there[...] = array
    return there


@cache
def _folder() -> Path:
    """Return the folder of this process's files, in that of the system's temporary ones (TMPDIR)."""
    folder = Path(tempfile.mkdtemp(prefix="foretwin-arrays-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
