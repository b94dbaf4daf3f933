"""Readings as a sender wrote them, column by column, parted into good ones and rejected ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.wire.asset_names import is_name
from foretwin.wire.values import LARGEST_RUN, PRESENT_RUN, Cells, cell_of, matrix, runs, shown, to_json


@dataclass(frozen=True)
class Readings:
    """N readings of one twin, in the order in which they arrived; every number is finite.

    `asset` (N,) object; `run` (N,) int64, -1 for the asset's present run; `time` (N,) float64 in the clock's unit;
    `values` (N, C) float32 in the contract's order and units.
    """

    twin: str
    asset: NDArray[np.object_]
    run: NDArray[np.int64]
    time: NDArray[np.float64]
    values: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True)
class Rejected:
    """A reading, or a whole message, that is not stored; `reason` is a word of the quarantine, `content` what came."""

    twin: str | None
    asset: str | None
    field: str
    reason: str
    detail: str
    content: str


@dataclass(frozen=True)
class Decoded:
    """What one body held."""

    readings: Readings | None
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True)
class Written:
    """N readings of one twin as they were written; all columns have the same length.

    `asset` is a name for all of them, or a column; `units` what the sender says of `time` and of channels; with `texts`
    a text may be a number.
    """

    contract: Twin
    asset: str | Cells
    run: Cells | None
    time: Cells
    channels: Mapping[str, Cells]
    units: Mapping[str, Any]
    texts: bool = False

    def decoded(self) -> Decoded:
        """Every row, either as a reading or as rejected."""
        count = len(self.time)
        wrong = self._wrong_everywhere()
        if wrong:
            return Decoded(None, tuple(self._rejected(row, *wrong) for row in range(count)))
        columns = [self.time, *(self.channels[name] for name in self.contract.channel_names)]
        cells = matrix(columns, self.texts)
        run = np.full(count, float(PRESENT_RUN)) if self.run is None else runs(self.run, self.texts)
        names, named = self._names(count)
        good = np.isfinite(cells).all(axis=0) & (run >= PRESENT_RUN) & named
        if good.all():
            return Decoded(self._readings(slice(None), names, run, cells))
        bad = np.flatnonzero(~good).tolist()
        rejected = tuple(self._rejected(row, *self._wrong(row, named[row], run[row], cells[:, row])) for row in bad)
        return Decoded(self._readings(good, names, run, cells) if good.any() else None, rejected)

    def _readings(
        self, rows: Any, names: NDArray[np.object_], run: NDArray[np.float64], cells: NDArray[np.float64]
    ) -> Readings:
        values = np.ascontiguousarray(cells[1:, rows].T, np.float32)
        return Readings(self.contract.name, names[rows], run[rows].astype(np.int64), cells[0, rows], values)

    def _names(self, count: int) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
        """(N,) names, and where they are some."""
        if isinstance(self.asset, str):
            return np.full(count, self.asset, object), np.ones(count, dtype=bool)
        cells = self.asset.to_pylist() if isinstance(self.asset, pa.ChunkedArray) else list(self.asset)
        right = {name for name in set(cells) if is_name(name)}
        return np.array(cells, object), np.array([name in right for name in cells], dtype=bool)

    def _wrong_everywhere(self) -> tuple[str, str, str] | None:
        """Field, reason and detail of what makes every reading wrong: its units, or which channels there are."""
        known = {"time": self.contract.clock.unit} | {name: c.unit for name, c in self.contract.channels.items()}
        for name, unit in self.units.items():
            if known.get(name) != unit:
                detail = f"is {shown(unit)}, " + (f"{known[name]} is needed" if name in known else "but of no channel")
                return f"units.{name}", "unit", detail
        for name in self.channels:
            if name not in self.contract.channels:
                return f"channels.{name}", "type", f"is unknown; there is {', '.join(self.contract.channel_names)}"
        for name in self.contract.channel_names:
            if name not in self.channels:
                return f"channels.{name}", "type", "is missing"
        return None

    def _wrong(self, row: int, named: bool, run: float, cells: NDArray[np.float64]) -> tuple[str, str, str]:
        """Field, reason and detail of the first thing that is wrong with one reading."""
        if not named:
            return "asset", "unknown", "is no name of an asset: a text of 1 to 200 characters without /, + and #"
        if not run >= PRESENT_RUN and self.run is not None:
            found = shown(cell_of(self.run, row))
            return "run", "order" if run < 0 else "type", f"is {found}, a whole number to {LARGEST_RUN} is needed"
        place = int(np.flatnonzero(np.isnan(cells))[0])
        channel = self.contract.channel_names[place - 1] if place else "time"
        found = shown(cell_of(self.channels[channel] if place else self.time, row))
        return f"channels.{channel}" if place else "time", "type", f"is {found}, a finite number is needed"

    def _rejected(self, row: int, field: str, reason: str, detail: str) -> Rejected:
        asset = self.asset if isinstance(self.asset, str) else cell_of(self.asset, row)
        content = {"twin": self.contract.name, "asset": asset}
        content |= {} if self.run is None else {"run": cell_of(self.run, row)}
        content |= {"time": cell_of(self.time, row)}
        content |= {"channels": {name: cell_of(cells, row) for name, cells in self.channels.items()}}
        content |= {"units": self.units} if self.units else {}
        name = asset if isinstance(asset, str) else None
        return Rejected(self.contract.name, name, field, reason, detail, to_json(content))
