"""Holds: assets whose records never age out."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, delete, insert, select, update

from foretwin.errors import Conflict
from foretwin.twin.store.archive_tables import holds
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.casework import audit


@dataclass(frozen=True)
class Hold:
    """A hold of an asset, not released."""

    asset: int
    because: str
    actor: str
    at: datetime


def place_hold(connection: Connection, asset: Asset, because: str, actor: str, now: datetime) -> None:
    """Hold everything of the asset, on record; Conflict where it is held already."""
    there = find_hold(connection, asset.id)
    if there:
        raise Conflict("asset", f"{asset.name} is held already, by {there.actor}: {there.because}")
    connection.execute(delete(holds).where(holds.c.asset == asset.id))  # one that was released
    connection.execute(insert(holds).values(asset=asset.id, because=because, actor=actor, at=now))
    audit.record(connection, actor, "hold.placed", {"because": because}, now, asset=asset.id)


def release_hold(connection: Connection, asset: Asset, actor: str, now: datetime) -> None:
    """Let the asset's records age out again, on record; Conflict where it is not held."""
    there = find_hold(connection, asset.id)
    if there is None:
        raise Conflict("asset", f"{asset.name} is not held")
    connection.execute(update(holds).where(holds.c.asset == asset.id).values(released_at=now))
    audit.record(connection, actor, "hold.released", {"because": there.because}, now, asset=asset.id)


def find_hold(connection: Connection, asset_id: int) -> Hold | None:
    """Return the hold of an asset; None where it is not held."""
    columns = (holds.c.asset, holds.c.because, holds.c.actor, holds.c.at)
    query = select(*columns).where(holds.c.asset == asset_id, holds.c.released_at.is_(None))
    row = connection.execute(query).first()
    return None if row is None else Hold(*row)


def held_assets() -> Select[tuple[int]]:
    """Return the query for the numbers of the held assets."""
    return select(holds.c.asset).where(holds.c.released_at.is_(None))


def released_assets(connection: Connection) -> list[int]:
    """Return the assets that were released, and of which what the hold spared is still there."""
    return list(connection.execute(select(holds.c.asset).where(holds.c.released_at.is_not(None))).scalars())


def forget_released(connection: Connection, asset_id: int) -> None:
    """Delete a hold that was released."""
    connection.execute(delete(holds).where(holds.c.asset == asset_id, holds.c.released_at.is_not(None)))
