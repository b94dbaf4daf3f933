"""Machines that may come to their end soon, by their newest scores."""

from sqlalchemy import Connection, and_, select

from foretwin.serving.access.bounds import Bounds
from foretwin.twin.store.listing import Row
from foretwin.twin.store.tables import assets, scores
from foretwin.twin.store.visibility import visible_assets

MOST = 10_000


def ends_before(connection: Connection, twin: str, horizon: float, cap: float, bounds: Bounds) -> list[Row]:
    """Return the newest score of each asset whose RUL may end within `horizon`, and is below `cap`; in clock units.

    Each with `name`, `tags` and `location` of its asset.
    """
    newest = select(scores.c.time).where(scores.c.asset == assets.c.id, scores.c.run == assets.c.run)
    last = newest.order_by(scores.c.time.desc()).limit(1).correlate(assets).scalar_subquery()
    mine = and_(scores.c.asset == assets.c.id, scores.c.run == assets.c.run, scores.c.time == last)
    names = ("asset", "scored_at", "age", "rul", "rul_low", "rul_high", "diagnosis")
    of_asset = (assets.c.name, assets.c.tags, assets.c.location)
    query = select(*(scores.c[name] for name in names), *of_asset).select_from(assets.join(scores, mine))
    query = query.where(assets.c.twin == twin, scores.c.rul_low <= horizon, scores.c.rul < cap)
    query = query.where(visible_assets(connection, bounds)).order_by(scores.c.rul_low).limit(MOST)
    found = {row["asset"]: row for row in connection.execute(query).mappings()}  # of several models one
    return [{str(name): value for name, value in row.items()} for row in found.values()]
