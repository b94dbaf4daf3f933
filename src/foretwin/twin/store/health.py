"""Health of assets in the five words of NAMUR NE 107, and the counts of a whole fleet by them.

failure               a case is urgent: the machine is expected to end before the part can be there
maintenance_required  a case is open: the part can still be there in time
check_function        nothing can be said: it is silent, never scored in its present run, or a sensor of it fails
off_specification     the newest score warns that it saw what no machine of the training showed, or settings of none
good                  none of these
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, false, func, or_, select

from foretwin.serving.access.bounds import Bounds
from foretwin.twin.store.assets import quarter_of
from foretwin.twin.store.scoring.fleet_counts import fleet_states
from foretwin.twin.store.scoring.urgency import NO_CASE
from foretwin.twin.store.summaries import unscored, urgencies
from foretwin.twin.store.tables import IS_HEARD, assets, batches, cases
from foretwin.twin.store.visibility import visible_assets, visible_cases

WORDS = ("failure", "maintenance_required", "check_function", "off_specification", "good")  # the first that holds
OPEN_STATES = ("open", "acknowledged", "planned", "waiting_for_part")  # of cases, but for closed
NEWEST_BATCHES = 100  # of which one came last: their numbers are in the order of their commits, nearly
Silences = Mapping[str, datetime]  # twin -> the moment before which a last reading is too old


def health(silent_since: Silences) -> ColumnElement[str]:
    """Return the word of an asset as a column of a query over `assets` with their `urgencies`."""
    cases_of = [(urgencies.c.severity == place, WORDS[place]) for place in range(NO_CASE)]
    return case(
        *cases_of,
        (or_(is_silent(silent_since), urgencies.c.word.is_(None)), WORDS[2]),
        else_=urgencies.c.word,
    )


def is_silent(silent_since: Silences) -> ColumnElement[bool]:
    """Return the condition that an asset has sent something, but not lately, or has left since."""
    return or_(false(), assets.c.is_silent, *(_older(twin, moment) for twin, moment in silent_since.items()))


def health_of(connection: Connection, asset_id: int, silent_since: Silences) -> str:
    """Return the word of one asset."""
    query = select(health(silent_since)).join(urgencies, urgencies.c.asset == assets.c.id)
    return str(connection.execute(query.where(assets.c.id == asset_id)).scalar_one())


def count_health(connection: Connection, silent_since: Silences, bounds: Bounds) -> list[dict[str, Any]]:
    """Return per twin and word: `assets`, how many of them are `silent`, and `unheard` of so far.

    Of whole twins by what is kept of them, whatever the size of the fleet; within other bounds by looking at each.
    """
    if not bounds.are_of_twins:
        return _count_each(connection, silent_since, bounds)
    found: dict[tuple[str, str], Counter[str]] = {}
    for state, count in fleet_states(connection, bounds).items():
        tally = found.setdefault((state.twin, _word_of(state.severity, state.word, state.is_silent)), Counter())
        tally.update(assets=count, silent=count * state.is_silent, unheard=count * (not state.is_heard))
    for twin, severity, word, count in _newly_silent(connection, silent_since, bounds):
        before, after = (_word_of(severity, word, is_silent) for is_silent in (False, True))
        found.setdefault((twin, before), Counter()).subtract({"assets": count})
        found.setdefault((twin, after), Counter()).update(assets=count, silent=count)
    kinds = ("assets", "silent", "unheard")
    rows = [{"twin": key[0], "health": key[1], **{kind: found[key][kind] for kind in kinds}} for key in sorted(found)]
    return [row for row in rows if row["assets"]]


def _word_of(severity: int, word: str | None, is_silent: bool) -> str:
    """Return the word of a state, as `health` does in SQL."""
    return WORDS[severity] if severity < NO_CASE else WORDS[2] if is_silent or word is None else word


def _newly_silent(
    connection: Connection, silent_since: Silences, bounds: Bounds
) -> Iterator[tuple[str, int, str | None, int]]:
    """Yield twin, severity, word and number of those whose silence nobody was told of yet, by an index."""
    for twin, moment in silent_since.items():
        if not bounds.admit_twin(twin):
            continue
        query = select(urgencies.c.severity, urgencies.c.word, func.count())
        query = query.join(assets, assets.c.id == urgencies.c.asset).where(assets.c.twin == twin, IS_HEARD)
        query = query.where(assets.c.heard_in <= quarter_of(moment), assets.c.received_at < moment)
        for severity, word, count in connection.execute(query.group_by(urgencies.c.severity, urgencies.c.word)):
            yield twin, severity, word, count


def _count_each(connection: Connection, silent_since: Silences, bounds: Bounds) -> list[dict[str, Any]]:
    word = health(silent_since).label("health")
    query = select(
        assets.c.twin,
        word,
        func.count().label("assets"),
        func.count().filter(is_silent(silent_since)).label("silent"),
        func.count().filter(assets.c.received_at.is_(None)).label("unheard"),
    )
    query = query.select_from(assets.join(urgencies, urgencies.c.asset == assets.c.id))
    query = query.where(visible_assets(connection, bounds)).group_by(assets.c.twin, word).order_by(assets.c.twin)
    return [dict(row) for row in connection.execute(query).mappings()]


def count_open_cases(connection: Connection, bounds: Bounds) -> list[dict[str, Any]]:
    """Return per severity and state of open and acknowledged cases: `cases`."""
    query = select(cases.c.severity, cases.c.state, func.count().label("cases"))
    if bounds:
        query = query.outerjoin(assets, assets.c.id == cases.c.asset).where(visible_cases(connection, bounds))
    query = query.where(cases.c.state.in_(OPEN_STATES))  # by their index
    found = connection.execute(query.group_by(cases.c.severity, cases.c.state).order_by(cases.c.severity))
    return [dict(row) for row in found.mappings()]


def scoring_backlog(connection: Connection, before: datetime, bounds: Bounds) -> dict[str, Any]:
    """Return how many assets have readings from before that moment that no score has seen, and `since` when."""
    query = select(func.count().label("assets"), func.min(assets.c.received_at).label("since"))
    query = query.join(unscored, (unscored.c.twin == assets.c.twin) & (unscored.c.asset == assets.c.id))
    query = query.where(assets.c.received_at < before, visible_assets(connection, bounds))
    row = connection.execute(query).mappings().one()
    return dict(row)


def newest_receipt(connection: Connection, bounds: Bounds) -> datetime | None:
    """Return when the newest reading of any asset came; without bounds, as the newest batches say."""
    if not bounds:
        last = select(batches.c.received_at).order_by(batches.c.id.desc()).limit(NEWEST_BATCHES).subquery()
        found: datetime | None = connection.execute(select(func.max(last.c.received_at))).scalar_one()
        return found
    query = select(func.max(assets.c.received_at)).where(visible_assets(connection, bounds))
    newest: datetime | None = connection.execute(query).scalar_one()
    return newest


def _older(twin: str, moment: datetime) -> ColumnElement[bool]:
    return and_(assets.c.twin == twin, assets.c.received_at.is_not(None), assets.c.received_at < moment)
