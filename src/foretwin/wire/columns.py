"""Check a sender's columns against the contract: readings, and the faults of the others.

The scoring service and ingestion both read by these rules. The service refuses a call for its first fault; ingestion
rejects each reading that has one.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from foretwin.contract.channels import Channel
from foretwin.contract.twin import Twin
from foretwin.errors import BadInput
from foretwin.wire.asset_names import is_name, wrong_name
from foretwin.wire.readings import Decoded, Invalid, Readings, Rejected
from foretwin.wire.values import (
    LARGEST,
    PRESENT_RUN,
    Cells,
    cell_of,
    clipped,
    code_cells,
    empty_cells,
    is_missing_cell,
    parse_numbers,
    runs,
    shown,
    to_json,
    wrong_number,
    wrong_run,
    wrong_word,
)


class Columns(NamedTuple):
    """N readings of one twin as they were written; lists may differ in length.

    `asset` is a name for all of them, or a column of text; `run` a value for all, None for the present run, or a
    column; `units` what the sender says of `time` and of channels. With `texts` a text may be a number. A channel that
    may be missing has empty cells (null, NaN) where it is, or no column.
    """

    contract: Twin
    asset: str | pa.ChunkedArray
    run: Any
    time: Cells
    channels: Mapping[str, Cells]
    units: Mapping[str, Any]
    texts: bool = False

    def decode(self) -> Decoded:
        """Return every row, as a reading or as rejected; lists of different lengths are rejected as one."""
        wrong = self._find_wrong_column()
        if wrong:
            if self._find_wrong_length():
                return Decoded(None, (self._rejected(None, wrong),))
            return Decoded(None, tuple(self._rejected(row, wrong) for row in range(len(self.time))))
        parsed = self._parse()
        if parsed.good is None:
            return Decoded(self._readings(parsed))
        rejected = tuple(self._rejected(row, self._fault(parsed, row)) for row in np.flatnonzero(~parsed.good).tolist())
        return Decoded(self._readings(parsed.only(parsed.good)) if parsed.good.any() else None, rejected)

    def decode_all(self) -> Readings | Invalid:
        """Return all rows as readings, or the fault of the first invalid one."""
        wrong = self._find_wrong_column()
        if wrong:
            return wrong
        parsed = self._parse()
        if parsed.good is None:
            return self._readings(parsed)
        return self._fault(parsed, int(parsed.good.argmin()))

    def _parse(self) -> "_Parsed":
        channels = [
            self._numbers(name, one) if name in self.channels else [None] * len(self.time)
            for name, one in self.contract.channels.items()
        ]
        time, values, good = parse_numbers(self.time, channels, self.texts)
        if good is not None and self.contract.may_be_missing:
            good = self._good_where_missing(channels, time, values)
        run = runs(self.run, self.texts)
        if isinstance(run, np.ndarray) or not run >= PRESENT_RUN:
            good = _and(good, np.broadcast_to(run >= PRESENT_RUN, len(time)))
        if isinstance(self.asset, str):
            return _Parsed(np.zeros(len(time), np.int64), (self.asset,), run, time, values, good)
        asset, names = _numbered(self.asset)
        named = np.array([is_name(name) for name in names], dtype=bool)
        return _Parsed(asset, names, run, time, values, _and(good, named[asset]))

    def _numbers(self, name: str, channel: Channel) -> Cells:
        """Return the cells of a channel; of a category its numbers, None where empty, False where no word."""
        cells = self.channels[name]
        return cells if channel.categories is None else code_cells(cells, channel.categories)

    def _good_where_missing(
        self, channels: list[Cells], time: NDArray[np.float64], values: NDArray[np.float32]
    ) -> NDArray[np.bool_] | None:
        """Return whether rows (N,) are good although cells of channels that may be missing are empty; None for all."""
        known = np.isfinite(values)
        fine = known.copy()
        for position in self.contract.may_be_missing:
            fine[:, position] |= empty_cells(channels[position])
        whole = np.asarray(fine.all(axis=1) & known.any(axis=1), dtype=bool)
        return _and(np.abs(time) <= LARGEST, whole)

    def _readings(self, parsed: "_Parsed") -> Readings:
        """Return all rows."""
        run = np.empty(len(parsed.time), np.int64)
        run[:] = parsed.run
        return Readings(self.contract.name, self.contract.channel_names, parsed.asset, run, *parsed[3:5], parsed.names)

    def _find_wrong_column(self) -> Invalid | None:
        """Return the fault that makes every reading invalid: units, channels, or lengths."""
        wrong = find_wrong_unit(self.units, self.contract)
        if wrong:
            return Invalid(None, f"units.{wrong[0]}", "unit", wrong[1])
        wrong = _find_wrong_channel(self.channels, self.contract) or self._find_wrong_length()
        return Invalid(None, f"channels.{wrong[0]}", "type", wrong[1]) if wrong else None

    def _find_wrong_length(self) -> tuple[str, str] | None:
        count = len(self.time)
        for name, cells in self.channels.items():
            if len(cells) != count:
                return name, f"has {len(cells)} values, but time has {count}"
        return None

    def _fault(self, parsed: "_Parsed", row: int) -> Invalid:
        """Return the first fault of an invalid reading."""
        if not is_name(parsed.names[parsed.asset[row]]):
            return Invalid(row, "asset", "unknown", wrong_name(parsed.names[parsed.asset[row]]))
        run = parsed.run[row] if isinstance(parsed.run, np.ndarray) else parsed.run
        if not run >= PRESENT_RUN:
            reason = "order" if run < 0 else "type"
            return Invalid(row, "run", reason, wrong_run(_same_or_cell(self.run, row)))
        if not abs(parsed.time[row]) <= LARGEST:
            return Invalid(row, "time", "type", wrong_number(cell_of(self.time, row)))
        lost = ~np.isfinite(parsed.values[row])
        if lost.all() and len(self.contract.may_be_missing) == len(lost):
            return Invalid(row, "channels", "type", "hold no value: a reading has one at least")
        for position in self.contract.may_be_missing:
            name = self.contract.channel_names[position]
            lost[position] &= not self._is_missing(name, row)
        channel = self.contract.channel_names[int(lost.argmax())]
        cell = cell_of(self.channels[channel], row)
        needed = wrong_word(cell) if self.contract.channels[channel].categories else wrong_number(cell)
        return Invalid(row, f"channels.{channel}", "type", needed)

    def _is_missing(self, name: str, row: int) -> bool:
        cell = cell_of(self.channels[name], row) if name in self.channels else None
        return is_missing_cell(cell) or (cell == "" and self.contract.channels[name].categories is not None)

    def _rejected(self, row: int | None, fault: Invalid) -> Rejected:
        """Return one rejected reading, or all of them without a row, with their content."""
        asset, run = _same_or_cell(self.asset, row), _same_or_cell(self.run, row)
        channels = {name: cell_of(cells, row) for name, cells in self.channels.items()}
        content = {"twin": self.contract.name, "asset": asset}
        content |= {} if self.run is None else {"run": run}
        content |= {"time": cell_of(self.time, row), "channels": channels}
        content |= {"units": self.units} if self.units else {}
        name = asset if isinstance(asset, str) else None
        return Rejected(self.contract.name, name, fault.field, fault.reason, fault.detail, to_json(content))


class _Parsed(NamedTuple):
    """Each of N readings in arrays (N,), `values` (N, C): `asset` its place in `names`, `good` whether it is one.

    `run` is a number where it is the same of all, `good` None where all are good.
    """

    asset: NDArray[np.int64]
    names: tuple[Any, ...]
    run: NDArray[np.float64] | float
    time: NDArray[np.float64]
    values: NDArray[np.float32]
    good: NDArray[np.bool_] | None

    def only(self, rows: NDArray[np.bool_]) -> "_Parsed":
        asset, names = _only_used(self.asset[rows], self.names)
        run = self.run[rows] if isinstance(self.run, np.ndarray) else self.run
        return _Parsed(asset, names, run, self.time[rows], self.values[rows], None)


def columns_of(table: pa.Table) -> tuple[dict[str, pa.ChunkedArray], dict[str, str]]:
    """Return the columns of a table by name, and the units in their metadata."""
    units = {field.name: (field.metadata or {}).get(b"unit") for field in table.schema}
    told = {name: unit.decode("utf-8", "replace") for name, unit in units.items() if unit is not None}
    return dict(zip(table.column_names, table.columns, strict=True)), told


def check_text_column(field: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the column; BadInput where it holds anything but text."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        raise BadInput(field, f"holds {kind}, text is needed")
    return column


def find_wrong_unit(units: Mapping[str, Any], contract: Twin) -> tuple[str, str] | None:
    """Return the first of time and channels whose unit differs from the contract's, and how."""
    if not units:
        return None
    known = {"time": contract.clock.unit} | {name: channel.unit for name, channel in contract.channels.items()}
    known |= {name: waveform.unit for name, waveform in contract.waveforms.items()}
    for name, unit in units.items():
        if known.get(name) != unit:
            needed = f"{known[name]} is needed" if name in known else f"but there is no such channel in {contract.name}"
            return clipped(name), f"is {shown(unit)}, {needed}"
    return None


def _find_wrong_channel(channels: Mapping[str, Cells], contract: Twin) -> tuple[str, str] | None:
    """Return the first unknown or missing channel, and which of both."""
    if channels.keys() == contract.channels.keys():
        return None
    optional = {contract.channel_names[i] for i in contract.may_be_missing}
    for name in channels:
        if name not in contract.channels:
            return clipped(name), f"is unknown; there is {', '.join(contract.channel_names)}"
    lacking = next((name for name in contract.channels if name not in channels and name not in optional), None)
    return None if lacking is None else (lacking, "is missing")


def _and(good: NDArray[np.bool_] | None, more: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """Return (N,) whether a reading is good by both; None, as in `_Parsed`, where all are."""
    both = more if good is None else good & more
    return None if both.all() else both


def _same_or_cell(value: Any, row: int | None) -> Any:
    """Return a cell of a column, or the value that is the same in every row."""
    return cell_of(value, row) if isinstance(value, pa.ChunkedArray) else value


def _numbered(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], tuple[Any, ...]]:
    """Return (N,) places in what follows: the different texts of a column, None where a cell is empty."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    array = column.unify_dictionaries().combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # one without any chunk
        return np.empty(0, np.int64), ()
    place: dict[Any, int] = {}  # a sender's dictionary may hold a text twice
    known = np.array([place.setdefault(name, len(place)) for name in [*array.dictionary.to_pylist(), None]], np.int64)
    asset = known[array.indices.cast(pa.int64()).fill_null(len(known) - 1).to_numpy(zero_copy_only=False)]
    return _only_used(asset, tuple(place))


def _only_used(asset: NDArray[np.int64], names: tuple[Any, ...]) -> tuple[NDArray[np.int64], tuple[Any, ...]]:
    """Return (N,) places in the names that follow, unused names dropped."""
    used = np.bincount(asset, minlength=len(names)) > 0
    if used.all():
        return asset, names
    return (np.cumsum(used) - 1)[asset], tuple(np.array(names, object)[used].tolist())
