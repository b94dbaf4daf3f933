"""Holds: assets whose records never age out."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select, update

from foretwin.errors import Conflict
from foretwin.serving.access.bounds import Bounds
from foretwin.twin.store.archive_tables import holds
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.casework import audit
from foretwin.twin.store.tables import assets
from foretwin.twin.store.visibility import visible_assets


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


def release_hold(connection: Connection, asset: Asset, why: str | None, actor: str, now: datetime) -> None:
    """Let the asset's records age out again, on record, with `why` where it was said; Conflict where it is not held."""
    there = find_hold(connection, asset.id)
    if there is None:
        raise Conflict("asset", f"{asset.name} is not held")
    connection.execute(update(holds).where(holds.c.asset == asset.id).values(released_at=now))
    told = {"because": there.because, **({"released_because": why} if why else {})}
    audit.record(connection, actor, "hold.released", told, now, asset=asset.id)


def find_hold(connection: Connection, asset_id: int) -> Hold | None:
    """Return the hold of an asset; None where it is not held."""
    columns = (holds.c.asset, holds.c.because, holds.c.actor, holds.c.at)
    query = select(*columns).where(holds.c.asset == asset_id, holds.c.released_at.is_(None))
    row = connection.execute(query).first()
    return None if row is None else Hold(*row)


def list_holds(connection: Connection, bounds: Bounds, most: int) -> list[dict[str, Any]]:
    """Return at most so many holds of assets within the bounds, the newest first, each with its asset and twin."""
    columns = (assets.c.name.label("asset"), assets.c.twin, holds.c.because, holds.c.actor, holds.c.at)
    query = select(*columns).join(assets, assets.c.id == holds.c.asset).where(holds.c.released_at.is_(None))
    query = query.where(visible_assets(connection, bounds)).order_by(holds.c.at.desc(), holds.c.asset).limit(most)
    return [dict(row) for row in connection.execute(query).mappings()]


def held_assets() -> Select[tuple[int]]:
    """Return the query for the numbers of the held assets."""
    return select(holds.c.asset).where(holds.c.released_at.is_(None))


def released_assets(connection: Connection) -> list[int]:
    """Return the assets that were released, and of which what the hold spared is still there."""
    return list(connection.execute(select(holds.c.asset).where(holds.c.released_at.is_not(None))).scalars())


def forget_released(connection: Connection, asset_id: int) -> None:
    """Delete a hold that was released."""
    connection.execute(delete(holds).where(holds.c.asset == asset_id, holds.c.released_at.is_not(None)))
