"""Where the clock of each run begins, so that the files of a machine are one line of time, however they are cut."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from foretwin.twin.store.summaries import run_clocks

AT_ONCE = 10_000  # assets in one statement


@dataclass(frozen=True)
class RunClock:
    """The clock of one run: the position at which its time is 0, and that of its newest row.

    Positions are microseconds since 1970 where `is_calendar`, else numbers in the contract's unit. `ended` is that of
    the failure which ended the run, `label` what its source calls it; `carried` has `time` and `values` of its newest
    row, where the next one depends on it.
    """

    asset: int
    run: int
    is_calendar: bool
    zero: float
    last: float
    ended: float | None
    label: str | None
    carried: dict[str, Any] | None = None


_COLUMNS = select(*(run_clocks.c[name] for name in RunClock.__dataclass_fields__))


def clocks_of(connection: Connection, assets: Sequence[int]) -> dict[int, list[RunClock]]:
    """Return asset -> the clocks of its runs that are known, in order."""
    found: dict[int, list[RunClock]] = {}
    for begin in range(0, len(assets), AT_ONCE):
        some = run_clocks.c.asset.in_(assets[begin : begin + AT_ONCE])
        for row in connection.execute(_COLUMNS.where(some).order_by(run_clocks.c.asset, run_clocks.c.run)):
            found.setdefault(row.asset, []).append(RunClock(*row))
    return found


def keep_clocks(connection: Connection, clocks: Iterable[RunClock]) -> None:
    """Write clocks of new runs, and over those that are known."""
    rows = [asdict(one) for one in clocks]
    if not rows:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    into = dialect.insert(run_clocks)
    changed = {name: into.excluded[name] for name in ("is_calendar", "zero", "last", "ended", "label", "carried")}
    connection.execute(into.on_conflict_do_update(index_elements=["asset", "run"], set_=changed), rows)


def began_at(connection: Connection, asset: int, run: int) -> float | None:
    """Return when the run began, in seconds since 1970; None where nobody has said so."""
    query = select(run_clocks.c.zero).where(run_clocks.c.asset == asset, run_clocks.c.run == run)
    zero: float | None = connection.execute(query.where(run_clocks.c.is_calendar)).scalar_one_or_none()
    return None if zero is None else zero / 1e6
