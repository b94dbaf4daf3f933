"""Files of arrays (MATLAB's .mat, HDF5, NumPy's .npy) as lines of text: one column per array, by SciPy and h5py."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from foretwin.errors import SourceError
from foretwin.sources.files.text import csv_line

MATLAB, HDF5, NUMPY = b"MATLAB", b"\x89HDF\r\n\x1a\n", b"\x93NUMPY"
NEWER = b"MATLAB 7.3"  # such a file is HDF5 after a header, and keeps its arrays turned


def holds_arrays(head: bytes) -> bool:
    """Return whether these first bytes are those of a .mat, HDF5 or .npy file."""
    return head.startswith((MATLAB, HDF5, NUMPY))


def read_arrays(path: Path, shown: str, head: bytes) -> dict[str, "np.ndarray[Any, Any]"]:
    """Return arrays (N,) and single values () by name: fields of structures, columns of a matrix by number from 1."""
    if head.startswith(NUMPY):
        return _numpy(path, shown)
    return _hdf5(path, shown, head.startswith(NEWER)) if head.startswith((HDF5, NEWER)) else _matlab(path, shown)


def array_lines(path: Path, shown: str, head: bytes, variable: str | None) -> Iterator[str]:
    """Yield a header and one line per element of the arrays: of one variable, or of all with the commonest length."""
    found = {name: values for name, values in read_arrays(path, shown, head).items() if values.ndim}
    if variable is not None:
        chosen = {name: values for name, values in found.items() if _is_within(name, variable)}
        if not chosen:
            held = ", ".join(map(repr, islice(found, 12)))
            raise SourceError(f"{shown}: variable {variable!r} is missing; it has {held}: correct source.sheet")
        found = chosen
    lengths = Counter(len(values) for values in found.values())
    if not lengths:
        raise SourceError(f"{shown}: holds no arrays of numbers or text; export them as columns")
    length = max(lengths, key=lambda size: (lengths[size], size))
    columns = {name: values for name, values in found.items() if len(values) == length}
    for row in [list(columns), *zip(*(values.tolist() for values in columns.values()), strict=True)]:
        yield csv_line(cell.decode("utf-8", "replace") if isinstance(cell, bytes) else cell for cell in row)


def _is_within(name: str, variable: str) -> bool:
    """Return whether a column is the variable, one of its fields, or one of its own columns."""
    return name == variable or name.startswith((f"{variable}.", f"{variable}/", f"{variable}_"))


def _matlab(path: Path, shown: str) -> dict[str, "np.ndarray[Any, Any]"]:
    from scipy.io import loadmat

    try:
        content = loadmat(path, simplify_cells=True)
    except (ValueError, TypeError, OSError, NotImplementedError) as error:
        raise SourceError(f"{shown}: damaged .mat file ({error}); save it again") from None
    return _columns({name: value for name, value in content.items() if not name.startswith("__")}, ".")


def _numpy(path: Path, shown: str) -> dict[str, "np.ndarray[Any, Any]"]:
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise SourceError(f"{shown}: damaged .npy file, or one of objects ({error}); save it again") from None
    return _columns({"column": values}, ".")


def _hdf5(path: Path, shown: str, turned: bool) -> dict[str, "np.ndarray[Any, Any]"]:
    try:
        import h5py
    except ImportError:
        raise SourceError(f"{shown}: is HDF5, which needs h5py; pip install 'foretwin[hdf5]'") from None
    found: dict[str, Any] = {}

    def keep(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("#"):
            values = item[()]
            found[name] = values.T if turned and np.ndim(values) > 1 else values

    try:
        with h5py.File(path) as file:
            file.visititems(keep)
    except OSError as error:
        raise SourceError(f"{shown}: damaged HDF5 file ({error}); save it again") from None
    return _columns(found, "/")


def _columns(content: Mapping[str, Any], joint: str) -> dict[str, "np.ndarray[Any, Any]"]:
    """Return arrays of at most one dimension: fields of structures by name, columns of a matrix by number from 1."""
    columns: dict[str, np.ndarray[Any, Any]] = {}
    for name, value in content.items():
        if isinstance(value, Mapping):
            columns |= {f"{name}{joint}{inner}": found for inner, found in _columns(value, joint).items()}
            continue
        values = np.squeeze(np.asarray(value))
        if values.dtype.names:
            columns |= {f"{name}{joint}{field}": values[field] for field in values.dtype.names}
        elif values.dtype.kind in "biufSU" and values.ndim <= 1:
            columns[name] = values
        elif values.dtype.kind in "biuf" and values.ndim == 2:
            columns |= {f"{name}_{number + 1}": values[:, number] for number in range(values.shape[1])}
    return columns
