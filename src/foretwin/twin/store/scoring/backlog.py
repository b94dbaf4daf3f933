"""Backlog of the scoring: how many assets have readings that no score has seen, and how old the oldest of these is."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import array

from foretwin.twin.store.ownership.partitioning import read_partitioning
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


def partition_backlogs(connection: Connection, twins: Iterable[str]) -> dict[int, datetime | None]:
    """Return by partition when the oldest reading of these twins came that no score has seen; None where all are seen.

    Of a store with one partition it says nothing, since the backlogs of its twins do. However many partitions there
    are, the assets that wait are gone through once. In each partition the readings of three of them are looked at: of
    those that were scored last and longest ago, and of one that never was; besides, the newest reading of the asset
    that has been silent longest is as old as its receipt. So the age is a lower bound, as that of a twin is.
    """
    count = read_partitioning(connection).count
    if count == 1:
        return {}
    number, scored = (assets.c.slot % count).label("number"), assets.c.scored_batch > 0
    by_batch = array([assets.c.scored_batch, assets.c.id])
    behind = unscored.join(assets, assets.c.id == unscored.c.asset)
    query = select(
        number,
        func.min(assets.c.received_at),
        func.max(by_batch).filter(scored),
        func.min(by_batch).filter(scored),
        func.min(assets.c.id).filter(~scored),
    ).select_from(behind)
    query = query.where(unscored.c.twin.in_(list(twins)), assets.c.batch > assets.c.scored_batch).group_by(number)
    oldest: dict[int, datetime | None] = dict.fromkeys(range(count))
    chosen: dict[int, int] = {}  # asset -> partition
    for partition, received_at, last, first, never in connection.execute(query):
        oldest[partition] = received_at
        of_it = (*(pair[1] for pair in (last, first) if pair), *([] if never is None else [never]))
        chosen |= dict.fromkeys(of_it, partition)
    for asset, received_at in _first_receipts(connection, chosen):
        oldest[chosen[asset]] = min(oldest[chosen[asset]] or received_at, received_at)
    return oldest


def _first_receipts(connection: Connection, chosen: Iterable[int]) -> Iterable[tuple[int, datetime]]:
    """Return each asset with the receipt of the first of its newest readings that no score has seen."""
    newest = select(readings.c.batch).where(readings.c.asset == assets.c.id, readings.c.run == assets.c.run)
    looked_at = newest.order_by(readings.c.time.desc()).limit(READ).correlate(assets).lateral()
    first = select(func.min(looked_at.c.batch)).where(looked_at.c.batch > assets.c.scored_batch).scalar_subquery()
    query = select(assets.c.id, batches.c.received_at).select_from(assets).join(batches, batches.c.id == first)
    return [(asset, at) for asset, at in connection.execute(query.where(assets.c.id.in_(list(chosen))))]
