"""Guess of how times are written: the form of a column's texts, and the zone of a clock that changes twice a year."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.parts import zone_of
from foretwin.sources.files.numbers import MISSING_WORDS
from foretwin.sources.files.times import (
    OFFSET,
    date_instants,
    durations,
    iso_instants,
    local_instants,
    strptime_instants,
)

CLOCK = r"(?:[01]?\d|2[0-3])[:.h][0-5]\d(?:[:.][0-5]\d(?:[.,]\d{1,9})?)?(?: ?[AaPp]\.?[Mm]\.?)?"  # a time of day
OTHER_FORMS = ("%a %b %d %H:%M:%S %Y", "%B %d, %Y %H:%M", "%B %d, %Y %I:%M %p")  # of C, and of American English
READABLE = 0.95  # share of a column's texts that one form must fit
LATEST_ISO = 0.5
# One of each rule by which clocks change; rows tell the rule, not the country.
ZONES = ("Europe/Berlin", "Europe/London", "Europe/Athens", "America/New_York", "Australia/Sydney", "America/Santiago")
MOST_LATE = 0.01  # share of rows not later than one before that may be left out
DISORDER = 0.2  # share of steps back from which rows are in no order; a clock that restarts with each life has few


@dataclass(frozen=True)
class TimeForm:
    """A form of times: the contract's `time_format`, the times (N,) in UTC or seconds, and why it is a guess.

    `zoned` tells whether the texts have offsets, `likely` how to read them where the form is to be asked for, `clock`
    is the column of the time of day beside a date.
    """

    form: str | None
    times: "pd.Series[Any]"
    remark: str = ""
    zoned: bool = False
    likely: str | None = None
    clock: str | None = None


def with_clocks(forms: Mapping[str, TimeForm], cells: Mapping[str, "pd.Series[str]"]) -> dict[str, TimeForm]:
    """Return the forms (of columns of stripped texts) with a date and the time of day beside it as one time.

    They are one where a single column has dates alone, and a single one times of day alone; the latter is left out.
    """
    days = [name for name, form in forms.items() if form.form != "duration" and _are_days(form.times)]
    clocks = [name for name in cells if cells[name].str.fullmatch(CLOCK).mean() >= READABLE]
    if len(days) != 1 or len(clocks) != 1 or days == clocks:
        return dict(forms)
    both = guess_form(cells[days[0]] + " " + cells[clocks[0]])
    if both is None or _are_days(both.times):
        return dict(forms)
    others = {name: form for name, form in forms.items() if name != clocks[0]}
    return others | {days[0]: replace(both, clock=clocks[0])}


def _are_days(times: "pd.Series[Any]") -> bool:
    known = times.dropna()
    return bool(len(known) and (known == known.dt.normalize()).all() and known.duplicated().any())


def guess_form(text: "pd.Series[str]") -> TimeForm | None:
    """Guess the form of stripped texts (N,); None where they are no times. A form of None is ISO 8601."""
    full = ~text.str.lower().isin(MISSING_WORDS)
    if not full.any():
        return None
    zoned = bool(text[full].str.contains(OFFSET, regex=True).mean() > LATEST_ISO)
    iso = iso_instants(text.where(full))
    if iso[full].notna().mean() > LATEST_ISO:
        return TimeForm(None, iso, zoned=zoned)
    day, month = (date_instants(text.where(full, ""), day_first) for day_first in (True, False))
    fits = {"day_first": day[full].notna().mean(), "month_first": month[full].notna().mean()}
    if max(fits.values()) >= READABLE:
        return _ordered(text[full], fits, {"day_first": day, "month_first": month}, zoned)
    lengths = durations(text.where(full, ""))
    if np.isfinite(lengths[full.to_numpy()]).mean() >= READABLE:
        return TimeForm("duration", pd.Series(lengths), "spans such as 1 day 02:00:00")
    for form in OTHER_FORMS:
        found = strptime_instants(text.where(full, ""), form)
        if found[full].notna().mean() >= READABLE:
            return TimeForm(form, found, f"as in {text[full].iat[0]!r}")
    return None


def guess_zone(times: "pd.Series[Any]", groups: NDArray[np.int64]) -> str | None:
    """Return a zone by whose rule all times rise in each group (N,), where they do not as they are."""
    if _late(times, groups).sum() == 0:
        return None
    for name in ZONES:
        local, never, _ = local_instants(times, np.zeros(len(times), dtype=bool), zone_of(name), groups)
        if not never.any() and _late(local, groups).sum() == 0:
            return name
    return None


def guess_order(times: "pd.Series[Any]", groups: NDArray[np.int64]) -> tuple[str | None, int]:
    """Return what to do where times, instants or numbers, do not rise in each group (N,), and in how many rows.

    Rows in disorder are to be sorted, if they then rise; few late rows of a clock that tells dates are to be left out.
    """
    count = int(_late(times, groups).sum())
    stamps = _stamps(times)
    falls = int((stamps.groupby(groups).diff() < 0).sum())
    if falls > DISORDER * len(times) and not pd.DataFrame({"group": groups, "time": stamps}).duplicated().any():
        return "sort", count
    few = 0 < count <= MOST_LATE * len(times) and pd.api.types.is_datetime64_any_dtype(times)
    return ("leave_out" if few else None), count


def _ordered(
    text: "pd.Series[str]", fits: dict[str, float], read: dict[str, "pd.Series[Any]"], zoned: bool
) -> TimeForm:
    """Decide between day and month first; a question remains where both fit and differ, but with points."""
    form = max(fits, key=lambda name: fits[name])
    both = min(fits.values()) >= READABLE
    if not both or read["day_first"].equals(read["month_first"]):
        other = read["month_first" if form == "day_first" else "day_first"]
        telling = text[other[text.index].isna() & read[form][text.index].notna()]
        return TimeForm(form, read[form], f"as in {(telling if len(telling) else text).iat[0]!r}", zoned)
    if text.str.match(r"\d{1,2}\.\d{1,2}\.").mean() > LATEST_ISO:
        return TimeForm("day_first", read["day_first"], f"as is usual with points, in {text.iat[0]!r}", zoned)
    spans = {name: times.max() - times.min() for name, times in read.items()}
    shorter = min(spans, key=lambda name: spans[name])
    remark = f"day_first or month_first? {text.iat[0]!r} may be both; {shorter} makes the shorter record"
    return TimeForm("ask", read[shorter], remark, zoned, shorter)


def _late(times: "pd.Series[Any]", groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return the rows (N,) that are not later than all before in their group."""
    stamps = _stamps(times)
    before = stamps.groupby(groups).cummax().groupby(groups).shift()
    return np.asarray(stamps <= before)


def _stamps(times: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return instants as nanoseconds, and numbers as they are (N,), with an index from 0."""
    if pd.api.types.is_datetime64_any_dtype(times):
        return pd.Series(times.to_numpy(dtype="datetime64[ns]").astype("int64"))
    return pd.Series(times.to_numpy(dtype=np.float64))
