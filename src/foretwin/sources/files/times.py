"""Times as they are written: numbers, epochs, dates in any order, durations, and clocks that change twice a year."""

import logging
import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.parts import zone_of
from foretwin.contract.source import TableSource
from foretwin.errors import SourceError

LOG = logging.getLogger(__name__)
EPOCHS = {"epoch_s": 1.0, "epoch_ms": 1e3, "epoch_us": 1e6, "epoch_ns": 1e9}  # units in a second
NANOSECOND, LAST_EPOCH = 1e9, 9.2e9  # per second; seconds since 1970 that 64 bits of nanoseconds hold
OFFSET = r"(?:Z|GMT|UTC|[+-]\d{2}:?\d{2})$"
DATE = re.compile(  # two numbers in either order, or a day and the name of a month; then a year and a clock
    r"(?:[^\W\d_]{2,10}[.,]{0,2} )?(?P<one>\d{1,2})[./ -]{1,2}(?P<two>\d{1,2}|[^\W\d_]{3,9})[./ -]{1,2}"
    r"(?P<year>\d{4}|\d{2})"
    r"(?:[ T,]+(?P<hour>\d{1,2})[:.h](?P<minute>\d{2})(?:[:.](?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?"
    r" ?(?P<half>[AaPp])?\.?(?:[Mm]\.?)?)? ?(?P<offset>Z|GMT|UTC|[+-]\d{2}:?\d{2})?",
)
MONTHS = {
    name: number
    for number, names in enumerate(
        ["jan", "feb", "mar mär mrz", "apr", "may mai", "jun", "jul", "aug", "sep", "oct okt", "nov", "dec dez"], 1
    )
    for name in names.split()
}
CENTURY = 69  # of two digits, those below are years of 2000, as for strptime


def iso_instants(text: "pd.Series[str]") -> "pd.Series[Any]":
    """Parse ISO 8601 to UTC (N,), NaT where a text is none; a time without an offset counts as UTC."""
    return pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce")


def epoch_instants(numbers: NDArray[np.float64], unit: str) -> "pd.Series[Any]":
    """Convert numbers since 1970 in s, ms, us or ns (`epoch_s`, ...) to UTC (N,), NaT outside of 1678 to 2262."""
    seconds = numbers / EPOCHS[unit]
    valid = np.abs(seconds) < LAST_EPOCH
    whole = np.where(valid, numbers, 0)
    # Whole numbers are scaled as such: a float has no room for nanoseconds since 1970.
    scaled = whole.astype("int64") * int(NANOSECOND / EPOCHS[unit])
    scaled += np.round((whole - np.trunc(whole)) * (NANOSECOND / EPOCHS[unit])).astype("int64")
    return pd.Series(pd.to_datetime(scaled, unit="ns", utc=True)).where(pd.Series(valid))


def date_instants(text: "pd.Series[str]", day_first: bool) -> "pd.Series[Any]":
    """Parse dates such as 31/05/2024 8:15 PM to UTC (N,), NaT where a text is none; no offset counts as UTC."""
    parts = text.str.extract(f"^{DATE.pattern}$")
    one, two = (pd.to_numeric(parts[name], errors="coerce") for name in ("one", "two"))
    named = parts["two"].str[:3].str.lower().map(MONTHS)
    month = named.fillna(two if day_first else one)
    day = one if day_first else two.where(named.isna(), one)
    year = pd.to_numeric(parts["year"], errors="coerce")
    year = year.mask(parts["year"].str.len() == 2, year + np.where(year < CENTURY, 2000, 1900))
    clock = {name: pd.to_numeric(parts[name], errors="coerce").fillna(0) for name in ("hour", "minute", "second")}
    half = parts["half"].str.lower()
    twelve = half.isna() | clock["hour"].between(1, 12)
    hour = clock["hour"].mask(half.notna(), clock["hour"] % 12 + 12 * (half == "p"))
    frame = pd.DataFrame({"year": year, "month": month, "day": day, "hour": hour} | {
        name: clock[name] for name in ("minute", "second")
    })  # fmt: skip
    valid = frame.notna().all(axis=1) & twelve & (hour < 24) & (clock["minute"] < 60) & (clock["second"] < 60)
    found = pd.to_datetime(frame.where(valid), errors="coerce", utc=True)
    found += pd.to_timedelta(pd.to_numeric("0." + parts["part"].fillna("0")), unit="s")
    return found - _offsets(parts["offset"])


def _offsets(text: "pd.Series[str]") -> "pd.Series[Any]":
    """Return how far local clocks with these offsets (N,) are ahead of UTC; none counts as 0."""
    digits = text.fillna("Z").str.replace("Z|GMT|UTC", "+0000", regex=True).str.replace(":", "")
    minutes = digits.str[1:3].astype("int64") * 60 + digits.str[3:5].astype("int64")
    return pd.to_timedelta(minutes.where(digits.str[0] == "+", -minutes), unit="min")


def durations(text: "pd.Series[str]") -> NDArray[np.float64]:
    """Parse durations such as `1 day 02:00:00` or PT2H to seconds (N,), NaN where a text is none."""
    hours = text.str.extract(r"^(\d+):(\d{2})(?::(\d{2}(?:\.\d+)?))?$").astype("float64")
    clock = hours[0] * 3600 + hours[1] * 60 + hours[2].fillna(0)  # an hour meter may pass 24:00
    named = text.where(clock.isna() & text.str.contains(r"\d ?[A-Za-z]|:", regex=True))  # never a bare number
    rest = pd.to_timedelta(named, errors="coerce").dt.total_seconds()
    return clock.fillna(rest).to_numpy(dtype=np.float64)


def localised(
    shown: str,
    found: "pd.Series[Any]",
    text: "pd.Series[str] | None",
    zone: str,
    groups: NDArray[np.int64],
    last: NDArray[np.datetime64],
) -> tuple["pd.Series[Any]", NDArray[np.bool_]]:
    """Shift wall-clock times (N,), so far counted as UTC, to what they are in the zone; and mark those that never were.

    The hour that a clock shows twice is resolved by the order of the rows of a group (machine, tag), and told; `last`
    (G,) is the time in UTC of each group's row before these, NaT where there is none. Texts that have an offset of
    their own are kept.
    """
    own = text.str.contains(OFFSET, regex=True).to_numpy() if text is not None else np.zeros(len(found), dtype=bool)
    local, never, twice = local_instants(found, own, zone_of(zone), groups, last)
    if len(twice):
        LOG.warning(
            "%s: %d times in an hour that clocks of %s show twice, such as %s: resolved by the order of the rows",
            *(shown, len(twice), zone, found.dt.tz_localize(None).iat[int(twice[0])]),
        )
    return local, never


def local_instants(
    found: "pd.Series[Any]",
    own: NDArray[np.bool_],
    tz: Any,
    groups: NDArray[np.int64],
    last: NDArray[np.datetime64] | None = None,
) -> tuple["pd.Series[Any]", NDArray[np.bool_], NDArray[np.int64]]:
    """Return UTC of wall-clock times (N,), which of them never were, and the rows in a doubled hour; see `localised`.

    Rows in `own` are UTC already.
    """
    wall = found.dt.tz_localize(None)
    early, late = (
        wall.dt.tz_localize(tz, ambiguous=np.full(len(wall), summer), nonexistent="NaT").dt.tz_convert("UTC")
        for summer in (True, False)
    )
    twice = np.flatnonzero((early != late).to_numpy() & early.notna().to_numpy() & ~own)
    local = early.where(~own, found)
    if len(twice):
        never = np.full(groups.max(initial=-1) + 1, np.datetime64("NaT", "ns"))
        local = _in_order(local, late, twice, groups, never if last is None else last)
    return local, (local.isna() & found.notna()).to_numpy(), twice


def _in_order(
    early: "pd.Series[Any]",
    late: "pd.Series[Any]",
    twice: NDArray[np.int64],
    groups: NDArray[np.int64],
    last: NDArray[np.datetime64],
) -> "pd.Series[Any]":
    """Take the later instant of a doubled hour where the earlier one would not be after the group's previous row."""
    stamps, later = early.to_numpy(dtype="datetime64[ns]").copy(), late.to_numpy(dtype="datetime64[ns]")
    order = np.argsort(groups, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    for row in twice[np.argsort(place[twice])]:
        before = order[place[row] - 1] if place[row] else row
        first = before == row or groups[before] != groups[row]
        if stamps[row] <= (last[groups[row]] if first else stamps[before]):
            stamps[row] = later[row]
    return pd.Series(stamps).dt.tz_localize("UTC")


def strptime_instants(text: "pd.Series[str]", form: str) -> "pd.Series[Any]":
    """Parse by a format with %, to UTC (N,), NaT where a text does not fit; SourceError for an invalid format."""
    try:
        return pd.to_datetime(text, format=form, utc=True, errors="coerce")
    except (ValueError, re.error) as error:
        raise SourceError(f"source.time_format: {form!r} is no format ({error}); correct it") from None


def parse_moments(text: "pd.Series[str]", source: TableSource) -> "pd.Series[Any]":
    """Parse single moments, of no machine's clock, to UTC (N,): in the source's form, or else in ISO; NaT for others.

    In the hour that clocks show twice a moment is its first pass.
    """
    form = source.time_format
    if form in EPOCHS:
        found = epoch_instants(np.asarray(pd.to_numeric(text, errors="coerce"), np.float64), form)
    elif form in ("day_first", "month_first"):
        found = date_instants(text, form == "day_first")
    else:
        found = strptime_instants(text, form) if form and "%" in form else iso_instants(text)
    found = found.fillna(iso_instants(text))
    if source.time_zone is None:
        return found
    own = text.str.contains(OFFSET, regex=True).to_numpy()
    groups = np.arange(len(text))
    return local_instants(found, own, zone_of(source.time_zone), groups)[0]
