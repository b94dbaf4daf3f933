"""Reporting periods: whole days in UTC, grouped into months, weeks, days or one."""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Literal, get_args

from foretwin.errors import BadInput

Length = Literal["month", "week", "day", "all"]
LENGTHS: tuple[str, ...] = get_args(Length)
MOST = 1000  # periods of one report
FIRST, LAST = date(1970, 1, 1), date(9998, 12, 31)
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class PeriodRequest:
    """The requested periods. Both days are included; None: from the first asset on, up to today."""

    length: Length = "month"
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True)
class Period:
    """Days from `since` to `until`, both included."""

    name: str
    since: date
    until: date


@dataclass(frozen=True)
class Periods:
    """Consecutive periods without gaps, the oldest first."""

    all: tuple[Period, ...]

    @cached_property
    def _starts(self) -> list[date]:
        return [period.since for period in self.all]

    def at(self, day: date) -> int | None:
        """Return the index of the period that contains the day; None for a day outside all of them."""
        found = bisect_right(self._starts, day) - 1
        return found if found >= 0 and day <= self.all[found].until else None

    def shares(self, begin: datetime, end: datetime) -> dict[int, float]:
        """Return index -> share of the time between two moments that lies in that period.

        No time at all, or the end before the beginning, lies where its beginning is.
        """
        if end <= begin:
            found = self.at(day_of(begin))
            return {} if found is None else {found: 1.0}
        whole, shares = (end - begin).total_seconds(), {}
        first = max(bisect_right(self._starts, day_of(begin)) - 1, 0)
        for i in range(first, len(self.all)):
            opens, closes = midnight(self.all[i].since), midnight(self.all[i].until + ONE_DAY)
            if opens >= end:
                break
            inside = (min(end, closes) - max(begin, opens)).total_seconds()
            if inside > 0:
                shares[i] = inside / whole
        return shares


def split(asked: PeriodRequest, first: date, today: date) -> Periods:
    """Split from `asked.since`, else `first`, to `asked.until`, else `today`; the outer periods may be cut off.

    BadInput where they end before they begin, or are too many.
    """
    until = asked.until or today
    since = asked.since or min(first, until)
    if since > until:
        raise BadInput("since", f"is {since}, after {until}")
    periods: list[Period] = []
    begin = since
    while begin <= until:
        end = min(_last_day(begin, asked.length), until)
        periods.append(Period(_name(begin, end, asked.length), begin, end))
        if len(periods) > MOST:
            raise BadInput("period", f"{asked.length} makes more than {MOST} of {since} to {until}: take a longer one")
        begin = end + ONE_DAY
    return Periods(tuple(periods))


def read_day(name: str, text: str) -> date:
    """Parse a day such as 2026-11-21; BadInput names the parameter otherwise."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise BadInput(name, f'is "{text[:60]}"; a day such as 2026-11-21 is needed') from None
    if not FIRST <= day <= LAST:
        raise BadInput(name, f"is {day}; a day from {FIRST} to {LAST} is needed")
    return day


def day_of(moment: datetime) -> date:
    """Return the UTC day of a moment."""
    return moment.astimezone(UTC).date()


def midnight(day: date) -> datetime:
    """Return the moment at which a day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _last_day(day: date, length: Length) -> date:
    if length == "all":
        return LAST
    if length == "month":
        return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - ONE_DAY
    return day if length == "day" else day + timedelta(days=6 - day.weekday())


def _name(begin: date, end: date, length: Length) -> str:
    if length == "all":
        return f"{begin} to {end}"
    if length == "week":
        year, week, _ = begin.isocalendar()
        return f"{year}-W{week:02d}"
    return f"{begin:%Y-%m}" if length == "month" else begin.isoformat()
