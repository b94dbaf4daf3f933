"""Single values that wait to become readings: one row per asset, however many they are."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from foretwin.twin.store.ownership.partitioning import WHOLE, Partition, is_within
from foretwin.twin.store.summaries import IS_PENDING, pending_samples
from foretwin.twin.store.tables import assets

AT_ONCE = 1_000  # assets in one statement
EVER = datetime(1970, 1, 1, tzinfo=UTC)


def find_pending(connection: Connection, asset_ids: Sequence[int]) -> dict[int, bytes]:
    """Return asset -> what waits of it."""
    found: dict[int, bytes] = {}
    for begin in range(0, len(asset_ids), AT_ONCE):
        query = select(pending_samples.c.asset, pending_samples.c.content).order_by(pending_samples.c.asset)
        query = query.where(pending_samples.c.asset.in_(list(asset_ids[begin : begin + AT_ONCE])))
        found |= {row.asset: row.content for row in connection.execute(query)}
    return found


def keep_pending(connection: Connection, twin: str, kept: Mapping[int, tuple[bytes, int]], heard_at: datetime) -> None:
    """Replace what waits of these assets, from when on: asset -> its bytes, and how many values they are."""
    if not kept:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    new = dialect.insert(pending_samples)
    names = ("twin", "heard_at", "waiting", "content")
    put = new.on_conflict_do_update(index_elements=["asset"], set_={name: new.excluded[name] for name in names})
    rows = [
        {"asset": asset, "twin": twin, "heard_at": heard_at, "waiting": waiting, "content": content}
        for asset, (content, waiting) in sorted(kept.items())
    ]
    connection.execute(put, rows)


def due_slots(
    connection: Connection, twin: str, before: datetime, most: int, partition: Partition = WHOLE
) -> dict[int, int]:
    """Return asset -> its slot, of those of which values wait and none has come since that moment."""
    table = pending_samples.c
    query = select(table.asset, assets.c.slot).join(assets, assets.c.id == table.asset)
    query = query.where(table.twin == twin, IS_PENDING, table.heard_at <= before, is_within(partition))
    return {row.asset: row.slot for row in connection.execute(query.order_by(table.asset).limit(most))}


def find_due(
    connection: Connection, asset_ids: Iterable[int], before: datetime, after: datetime = EVER
) -> dict[int, bytes]:
    """Return asset -> what waits of it, of those of these of which it is still due; locked for this transaction."""
    table = pending_samples.c
    query = select(table.asset, table.content).where(table.asset.in_(list(asset_ids)), IS_PENDING)
    query = query.where(table.heard_at > after, table.heard_at <= before)
    rows = connection.execute(query.order_by(table.asset).with_for_update())
    return {row.asset: row.content for row in rows}
