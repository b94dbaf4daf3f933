"""Tables with one tag per row, as historians export them, to tables with one column per tag."""

import logging
from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.source import TableSource
from foretwin.errors import SourceError
from foretwin.sources.files.reading import Reading, counted
from foretwin.sources.tabular import texts

LOG = logging.getLogger(__name__)
MOST_NAMED = 12


def spread_tags(
    reading: Reading, source: TableSource, keys: list[str], numbers: Sequence[str], labels: Sequence[str]
) -> Reading:
    """Return one row per machine, run and time (`keys`), in order of time, with a column per tag.

    Tags of numbers are parsed, those of labels are text; a tag without a value at a time is missing there, and
    a time without any value is no row. Values of a quality that is not good are missing; of two values at one time the
    later row counts: both are told. SourceError where a tag is not there, or its time falls.
    """
    frame, wanted = reading.frame, [*numbers, *labels]
    tags = texts(frame[source.tag or ""])
    _check_present(reading, source, tags, wanted)
    code = tags.map({tag: number for number, tag in enumerate(wanted)}).fillna(-1).astype("int64")
    used = (code >= 0).to_numpy(copy=True)
    used &= ~_late(reading, source, keys, code.where(used).astype("float64"))
    good = used & _good(reading, source, used)

    number = frame.groupby(keys, sort=True, dropna=False).ngroup().to_numpy(dtype=np.int64)
    rows, first = np.unique(number[used], return_index=True)
    origin = np.flatnonzero(used)[first]
    cell = np.searchsorted(rows, number[good]).astype(np.int64), np.asarray(code, dtype=np.int64)[good]
    _tell_doubles(reading, cell)
    is_number = good & (code < len(numbers)).to_numpy()
    text = texts(frame[source.value or ""])
    found = reading.numbers(text.where(is_number, ""), source.value or "")
    values, words = np.full((len(rows), len(wanted)), np.nan), np.full((len(rows), len(wanted)), "", dtype=object)
    values[cell], words[cell] = found[good], text[good]
    columns = {tag: values[:, at] if at < len(numbers) else words[:, at] for at, tag in enumerate(wanted)}
    told = ~np.isnan(values).all(axis=1) | (words[:, len(numbers) :] != "").any(
        axis=1
    )  # of a time without a value nothing is known
    origin, columns = origin[told], {tag: cells[told] for tag, cells in columns.items()}
    kept = frame.drop(columns=[name for name in (source.tag, source.value, source.quality) if name])
    wide = kept.iloc[origin].reset_index(drop=True).assign(**columns)
    return reading.with_frame(wide, origin)


def _check_present(reading: Reading, source: TableSource, tags: "pd.Series[str]", wanted: Sequence[str]) -> None:
    held = list(tags.unique())
    absent = [name for name in wanted if name not in held]
    if absent:
        near = get_close_matches(absent[0], held, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]!r}" if near else f"it has {', '.join(map(repr, held[:MOST_NAMED]))}"
        raise SourceError(f"{reading.shown}: tag {absent[0]!r} is missing in column {source.tag!r}; {hint}")


def _good(reading: Reading, source: TableSource, used: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which rows (N,) are of a good quality; the others are told."""
    if source.quality is None:
        return np.ones(len(used), dtype=bool)
    quality = texts(reading.frame[source.quality])
    good = quality.isin(source.good_quality or ()).to_numpy(copy=True)
    bad = Counter(quality[used & ~good])
    if bad:
        LOG.warning("%s: column %r: taken as missing: %s", reading.shown, source.quality, counted(bad))
    return good


def _late(reading: Reading, source: TableSource, keys: list[str], code: "pd.Series[float]") -> NDArray[np.bool_]:
    """Return which rows (N,) are before an earlier row of their tag; SourceError unless the source says what to do."""
    *names, time = keys
    groups = [reading.frame[name].to_numpy() for name in names]
    times = pd.Series(
        reading.frame[time].astype("int64") if reading.frame[time].dtype != "float64" else reading.frame[time]
    )
    late = (times < times.groupby([*groups, code], sort=False).cummax()).to_numpy()
    if not late.any() or source.time_order == "sort":
        return np.zeros(len(late), dtype=bool)
    row, count = int(late.argmax()), int(late.sum())
    if source.time_order is None:
        reason = f"a tag's time falls ({count} rows); correct it, or set source.time_order"
        raise reading.wrong(row, source.time_column or time, reason)
    LOG.warning("%s: %d rows are before an earlier one of their tag: left out", reading.shown, count)
    return np.asarray(late)


def _tell_doubles(reading: Reading, cell: tuple[NDArray[np.int64], NDArray[np.int64]]) -> None:
    double = int(pd.DataFrame({"row": cell[0], "tag": cell[1]}).duplicated().sum())
    if double:
        LOG.warning("%s: %d times a tag has two values at one time: the later row counts", reading.shown, double)
