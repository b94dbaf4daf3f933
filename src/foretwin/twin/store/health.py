"""Health of assets in the five words of NAMUR NE 107, and the counts of a whole fleet by them.

failure               a case is urgent: the machine is expected to end before the part can be there
maintenance_required  a case is open: the part can still be there in time
check_function        nothing can be said: it is silent, or has never been scored in its present run
off_specification     the newest score warns that it saw what no machine of the training showed
good                  none of these
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, String, and_, case, cast, false, func, or_, select

from foretwin.serving.access.bounds import Bounds
from foretwin.twin.store.summaries import unscored
from foretwin.twin.store.tables import assets, cases, scores
from foretwin.twin.store.visibility import visible_assets, visible_cases

WORDS = ("failure", "maintenance_required", "check_function", "off_specification", "good")  # the first that holds
OUTSIDE = "out_of_training_range"  # how a score warns of it
Silences = Mapping[str, datetime]  # twin -> the moment before which a last reading is too old


def health(silent_since: Silences) -> ColumnElement[str]:
    """Return the word of an asset as a column of a query over `assets`."""
    urgent, planned = (_has_case(severity) for severity in ("urgent", "planned"))
    newest = select(cast(scores.c.warnings, String)).where(scores.c.asset == assets.c.id, scores.c.run == assets.c.run)
    warnings = newest.order_by(scores.c.time.desc(), scores.c.scored_at.desc()).limit(1).correlate(assets)
    # Looked up once: by comparison with each word, the newest score would be looked for as often.
    is_outside = warnings.scalar_subquery().contains(OUTSIDE, autoescape=True)
    of_score = case({True: WORDS[3], False: WORDS[4]}, value=is_outside, else_=WORDS[2])
    return case((urgent, WORDS[0]), (planned, WORDS[1]), (is_silent(silent_since), WORDS[2]), else_=of_score)


def is_silent(silent_since: Silences) -> ColumnElement[bool]:
    """Return the condition that an asset has sent something, but not lately, or has left since."""
    return or_(false(), assets.c.is_silent, *(_older(twin, moment) for twin, moment in silent_since.items()))


def health_of(connection: Connection, asset_id: int, silent_since: Silences) -> str:
    """Return the word of one asset."""
    query = select(health(silent_since)).where(assets.c.id == asset_id)
    return str(connection.execute(query).scalar_one())


def count_health(connection: Connection, silent_since: Silences, bounds: Bounds) -> list[dict[str, Any]]:
    """Return per twin and word: `assets`, how many of them are `silent`, and `unheard` of so far."""
    word = health(silent_since).label("health")
    query = select(
        assets.c.twin,
        word,
        func.count().label("assets"),
        func.count().filter(is_silent(silent_since)).label("silent"),
        func.count().filter(assets.c.received_at.is_(None)).label("unheard"),
    )
    query = query.where(visible_assets(connection, bounds)).group_by(assets.c.twin, word).order_by(assets.c.twin)
    return [dict(row) for row in connection.execute(query).mappings()]


def count_open_cases(connection: Connection, bounds: Bounds) -> list[dict[str, Any]]:
    """Return per severity and state of open and acknowledged cases: `cases`."""
    query = select(cases.c.severity, cases.c.state, func.count().label("cases"))
    query = query.outerjoin(assets, assets.c.id == cases.c.asset)
    query = query.where(cases.c.state != "closed", visible_cases(connection, bounds))
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
    """Return when the newest reading of any asset came."""
    query = select(func.max(assets.c.received_at)).where(visible_assets(connection, bounds))
    newest: datetime | None = connection.execute(query).scalar_one()
    return newest


def _has_case(severity: str) -> ColumnElement[bool]:
    mine = (cases.c.asset == assets.c.id, cases.c.state != "closed", cases.c.severity == severity)
    return select(cases.c.id).where(*mine).correlate(assets).exists()


def _older(twin: str, moment: datetime) -> ColumnElement[bool]:
    return and_(assets.c.twin == twin, assets.c.received_at.is_not(None), assets.c.received_at < moment)
