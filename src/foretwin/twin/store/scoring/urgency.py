"""How pressing each asset is, kept in the transaction that changes it: an index lists a fleet in that order.

Whoever changes a score, a case, a run or whether an asset is silent notes the asset; at the end of the transaction what
is noted is counted anew, and so is the fleet.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    String,
    any_,
    bindparam,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite

from foretwin.predictor.health.warning_kinds import CHECK_FUNCTION, OUTSIDE, UNKNOWN_REGIME
from foretwin.twin.store.column_types import Moment
from foretwin.twin.store.scoring.fleet_counts import AssetState, add_changes, counted_states
from foretwin.twin.store.summaries import urgencies
from foretwin.twin.store.tables import assets, cases, scores

NOTED = "foretwin.urgency"  # in a connection's notes: assets whose urgency its transaction changes
SEVERITIES = ("urgent", "planned")  # the most pressing first; their places are what the table has
NO_CASE = len(SEVERITIES)
NEVER = datetime(9999, 1, 1, tzinfo=UTC)  # instead of no date, and of no remaining life: an index has them last
UNKNOWN = 1e300
AT_ONCE = 10_000
# As text, so that SQLite sees that the partial index of open cases serves.
_OPEN = (cases.c.asset == assets.c.id, text("state <> 'closed' AND asset IS NOT NULL"))


def note_urgency(connection: Connection, asset_ids: Iterable[int | None]) -> None:
    """Remember assets whose score, case, run or silence this transaction changes; None is no asset."""
    noted: set[int] = connection.info.setdefault(NOTED, set())
    noted.update(one for one in asset_ids if one is not None)


def forget_urgencies(connection: Connection) -> None:
    """Forget what a transaction that was rolled back has left."""
    connection.info.pop(NOTED, None)


def begin_urgencies(connection: Connection, asset_ids: Iterable[int]) -> None:
    """Add the rows of new assets, which are counted at the end of the transaction."""
    fixed: dict[str, Any] = {"severity": NO_CASE, "due": NEVER, "rul_low": UNKNOWN, "open_cases": 0}
    into = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(urgencies)
    if rows := [{"asset": number, **fixed} for number in asset_ids]:
        connection.execute(into.on_conflict_do_nothing(), rows)
        note_urgency(connection, (row["asset"] for row in rows))


def keep_urgencies(connection: Connection) -> None:
    """Count the urgency of the noted assets anew.

    Their rows are locked first, in one order: what another transaction has just changed of them is then seen, too.
    """
    noted, changes = iter(sorted(connection.info.pop(NOTED, ()))), Counter[AssetState]()
    is_postgresql = connection.dialect.name == "postgresql"
    while some := list(islice(noted, AT_ONCE)):
        if is_postgresql:
            connection.execute(_LOCK, {"wanted": some})
        changes.subtract(counted_states(connection, some))
        connection.execute(_KEEP_POSTGRESQL if is_postgresql else _KEEP_SQLITE, {"wanted": some})
        changes.update(counted_states(connection, some))
    add_changes(connection, changes)


def _of_cases(value: Any) -> Any:
    return select(value).where(*_OPEN).correlate(assets).scalar_subquery()


def _of_newest(value: Any) -> Any:
    """Return a column of the score of each asset's newest reading in its present run."""
    mine = (scores.c.asset == assets.c.id, scores.c.run == assets.c.run)
    newest = select(value).where(*mine).order_by(scores.c.time.desc(), scores.c.scored_at.desc()).limit(1)
    return newest.correlate(assets).scalar_subquery()


def _word() -> Any:
    """Return the word of NAMUR NE 107 that a score says by its warnings alone, which are the text of a JSON list."""
    told = cast(scores.c.warnings, String)
    fails, outside, unknown = (
        told.contains(f'"{kind}: ', autoescape=True) for kind in (CHECK_FUNCTION, OUTSIDE, UNKNOWN_REGIME)
    )
    return case((fails, "check_function"), (or_(outside, unknown), "off_specification"), else_="good")


_NAMES = ("asset", "severity", "due", "rul_low", "open_cases", "word", "was_silent", "was_heard")
_PLACE = case({name: place for place, name in enumerate(SEVERITIES)}, value=cases.c.severity)
_LISTED: Any = bindparam("wanted", expanding=True)
_ARRAY: Any = any_(cast(bindparam("wanted"), postgresql.ARRAY(Integer)))  # one value, so that it is prepared once
_PRESENT = select(
    assets.c.id,
    func.coalesce(_of_cases(func.min(_PLACE)), NO_CASE),
    func.coalesce(_of_cases(func.min(cases.c.latest_safe_date)), literal(NEVER, Moment)),
    func.coalesce(_of_newest(scores.c.rul_low), UNKNOWN),
    _of_cases(func.count()),
    _of_newest(_word()),
    assets.c.is_silent,
    assets.c.received_at.is_not(None),
)
_LOCK = select(urgencies.c.asset).where(urgencies.c.asset == _ARRAY).order_by(urgencies.c.asset).with_for_update()


def _upsert(into: Any, wanted: ColumnElement[bool]) -> Any:
    adding = into.from_select(_NAMES, _PRESENT.where(wanted).order_by(assets.c.id))
    new: Any = adding.excluded
    changed: ColumnElement[bool] = or_(*(urgencies.c[name].is_distinct_from(new[name]) for name in _NAMES[1:]))
    values = {name: new[name] for name in _NAMES[1:]}
    return adding.on_conflict_do_update(index_elements=["asset"], set_=values, where=changed)


_KEEP_POSTGRESQL = _upsert(postgresql.insert(urgencies), assets.c.id == _ARRAY)
_KEEP_SQLITE = _upsert(sqlite.insert(urgencies), assets.c.id.in_(_LISTED))
