"""Backlog of the scoring: how many assets have readings that no score has seen, and how old the oldest of these is."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from foretwin.twin.store.summaries import unscored
from foretwin.twin.store.tables import assets, batches, readings

EACH = 5  # assets of each kind whose readings are looked at: exact for them, a lower bound for a large fleet
READ = 500  # newest readings of one asset that are looked at


@dataclass(frozen=True)
class Backlog:
    """Assets of one twin that wait for a score; `since` is when the oldest reading that none has seen came."""

    assets: int
    since: datetime | None


def scoring_backlogs(connection: Connection, twins: Iterable[str]) -> dict[str, Backlog]:
    """Return the backlog of each twin.

    An asset's newest receipt would say nothing: of one that sends each second it is always young. So the unscored
    readings themselves are looked at, of some assets: those scored last, who show when scoring stopped, those scored
    longest ago, those who have been silent longest, and those never scored.
    """
    return {twin: _backlog(connection, twin) for twin in twins}


def _backlog(connection: Connection, twin: str) -> Backlog:
    behind = unscored.join(assets, assets.c.id == unscored.c.asset)
    waiting = unscored.c.twin == twin, assets.c.batch > assets.c.scored_batch
    count = connection.execute(select(func.count()).select_from(behind).where(*waiting)).scalar_one()
    if not count:
        return Backlog(0, None)
    chosen: dict[int, tuple[int, int]] = {}
    scored = assets.c.scored_batch > 0
    for condition, order in (
        (scored, assets.c.scored_batch.desc()),
        (scored, assets.c.scored_batch),
        (scored, assets.c.received_at),
        (~scored, assets.c.received_at),
    ):
        query = select(assets.c.id, assets.c.run, assets.c.scored_batch).select_from(behind).where(*waiting, condition)
        for asset, run, upto in connection.execute(query.order_by(order).limit(EACH)):
            chosen[asset] = run, upto
    found = [_first_unscored(connection, asset, *state) for asset, state in chosen.items()]
    oldest = min((batch for batch in found if batch is not None), default=None)
    if oldest is None:
        return Backlog(count, None)
    return Backlog(count, connection.execute(select(batches.c.received_at).where(batches.c.id == oldest)).scalar())


def _first_unscored(connection: Connection, asset: int, run: int, upto: int) -> int | None:
    """Return the first batch after `upto` among the asset's newest readings."""
    newest = select(readings.c.batch).where(readings.c.asset == asset, readings.c.run == run)
    looked_at = newest.order_by(readings.c.time.desc()).limit(READ).subquery()
    query = select(func.min(looked_at.c.batch)).where(looked_at.c.batch > upto)
    first: int | None = connection.execute(query).scalar_one()
    return first
