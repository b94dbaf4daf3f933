"""Single values, each with a time and perhaps a quality of its own, as devices and historians send them.

    {"time": "2026-11-21T12:00:00Z", "channel": "flow", "value": 1.2, "quality": "good"}

Each field may be a list, and a table may have them as columns. A time is ISO 8601 with an offset; a number from 9e8 on,
since 1970, in s, ms, us or ns by its size; or a smaller number, since the run began, in the clock's unit.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from foretwin.contract.categories import category_code
from foretwin.contract.channels import Channel
from foretwin.contract.parts import zone_of
from foretwin.contract.source import TableSource
from foretwin.contract.twin import Twin
from foretwin.wire.asset_names import is_name, wrong_name
from foretwin.wire.plain_values import SINCE_1970, SIZES, decode_plain
from foretwin.wire.readings import Rejected, SingleValues
from foretwin.wire.values import LARGEST, Cells, is_missing_cell, shown, to_json, wrong_number, wrong_word

FIELDS = ("time", "channel", "value", "quality")
GOOD = ("good", "ok", "192")  # qualities that count, where the contract's source names none
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class ValueColumns(NamedTuple):
    """N single values as they were written; `asset` is a name for all, or a column.

    With `texts` a text may be a number.
    """

    contract: Twin
    asset: str | Sequence[Any]
    fields: Mapping[str, Sequence[Any]]
    texts: bool = False

    def decode(self) -> tuple[SingleValues, tuple[Rejected, ...]]:
        """Return the good values, and each other one with what is wrong; one without a good value is left out."""
        plain = decode_plain(self.contract, self.asset, self.fields)
        if plain is not None:
            return plain, ()
        place = {name: i for i, name in enumerate(self.contract.channel_names)}
        times, good = _Times(self.contract, self.texts), _good_words(self.contract)
        names: dict[str, int] = {}
        found: list[tuple[int, float, bool, int, float]] = []
        wrong = []
        quality = self.fields.get("quality")
        for row, (time, channel, value) in enumerate(zip(*(self.fields[f] for f in FIELDS[:3]), strict=True)):
            asset = self.asset if isinstance(self.asset, str) else self.asset[row]
            one = self.contract.channels.get(channel) if isinstance(channel, str) else None
            moment, number = times.read(time), _value(value, one, self.texts)
            is_good = quality is None or is_missing_cell(quality[row]) or _word(quality[row]) in good
            fault = _fault(asset, one, moment, number, (time, channel, value), is_good)
            if fault is not None:
                content = {"twin": self.contract.name, "asset": asset, "time": time, "channel": channel, "value": value}
                name = asset if isinstance(asset, str) else None
                wrong.append(Rejected(self.contract.name, name, *fault, to_json(content)))
            elif is_good and number is not None and not isinstance(moment, str):
                owner = names.setdefault(asset, len(names))
                found.append((owner, *moment, place[channel], number))
        owners, moments, dated, channels, values = zip(*found, strict=True) if found else ((), (), (), (), ())
        decoded = SingleValues(
            self.contract.name,
            self.contract.channel_names,
            np.array(owners, np.int64),
            np.array(moments, np.float64),
            np.array(dated, bool),
            np.array(channels, np.int64),
            np.array(values, np.float64),
            tuple(names),
        )
        return decoded, tuple(wrong)


def cells_of(value: Any) -> Sequence[Any]:
    """Return the cells of a field: a list, the rows of a column, or one value as a list."""
    if isinstance(value, pa.ChunkedArray):
        cells: Sequence[Any] = value.to_pylist()
        return cells
    return value if type(value) is list else [value]


def wrong_length(fields: Mapping[str, Cells]) -> tuple[str, str] | None:
    """Return the first field with another number of cells than `time`, and what is wrong with it."""
    count = len(fields["time"])
    for name, cells in fields.items():
        if len(cells) != count:
            return name, f"has {len(cells)} values, but time has {count}"
    return None


class _Times:
    """Times as they are written, read by the contract's clock and the zone of its source."""

    def __init__(self, contract: Twin, texts: bool) -> None:
        zone = contract.source.time_zone if isinstance(contract.source, TableSource) else None
        self.zone = zone_of(zone) if zone else None
        self.unit, self.has_moments, self.texts = contract.clock.unit, contract.clock.seconds is not None, texts

    def read(self, cell: Any) -> tuple[float, bool] | str:
        """Return the time, and whether it is a moment; or what is wrong with it."""
        if isinstance(cell, str) and self.texts and (number := _number(cell, texts=True)) is not None:
            cell = number
        if isinstance(cell, (str, datetime)):
            return self._moment(cell)
        if type(cell) not in (int, float) or not abs(cell) <= LARGEST:
            return wrong_number(cell)
        if cell < SINCE_1970 or not self.has_moments:
            return float(cell), False
        size = next((size for limit, size in SIZES if cell < limit), None)
        return float(int(cell) // 1000 if size is None else round(cell * size)), True

    def _moment(self, cell: str | datetime) -> tuple[float, bool] | str:
        if not self.has_moments:
            return f"is {shown(str(cell))}, but the clock counts {self.unit}: send the count"
        try:
            moment = datetime.fromisoformat(cell) if isinstance(cell, str) else cell
        except ValueError:
            return f"is {shown(cell)}; a moment such as 2026-11-21T12:00:00Z is needed"
        moment = moment.replace(tzinfo=self.zone) if moment.tzinfo is None and self.zone else moment
        if moment.tzinfo is None:
            return f"is {shown(str(cell))}, without an offset: write it, or set source.time_zone"
        return float((moment - EPOCH) // MICROSECOND), True


def _fault(
    asset: Any,
    channel: Channel | None,
    moment: tuple[float, bool] | str,
    number: float | None,
    sent: tuple[Any, ...],
    good: bool,
) -> tuple[str, str, str] | None:
    """Return field, reason and detail of what is wrong with a value; of bad quality its number is of no account."""
    if not is_name(asset):
        return "asset", "unknown", wrong_name(asset)
    if isinstance(moment, str):
        return "time", "type", moment
    if channel is None:
        return "channel", "unknown", f"is {shown(sent[1])}, which is no channel"
    has_words = channel.categories is not None
    if number is None and good and not is_missing_cell(sent[2]) and not (has_words and sent[2] == ""):
        return "value", "type", wrong_word(sent[2]) if has_words else wrong_number(sent[2])
    return None


def _good_words(contract: Twin) -> set[str]:
    own = contract.source.good_quality if isinstance(contract.source, TableSource) else None
    return {word.casefold() for word in own or GOOD}


def _word(quality: Any) -> str:
    whole = type(quality) is float and quality.is_integer()
    return str(int(quality) if whole else quality).strip().casefold()


def _number(cell: Any, texts: bool) -> float | None:
    """Return a finite number of single precision; None where there is none."""
    if texts and isinstance(cell, str):
        try:
            cell = float(cell)
        except ValueError:
            return None
    if type(cell) not in (int, float) or math.isnan(cell) or not abs(cell) <= LARGEST:
        return None
    return float(cell)


def _value(cell: Any, channel: Channel | None, texts: bool) -> float | None:
    """Return a finite number, or that of a category's word; None where there is neither."""
    if channel is None or channel.categories is None:
        return _number(cell, texts)
    try:
        return category_code(cell, channel.categories)
    except TypeError:
        return None
