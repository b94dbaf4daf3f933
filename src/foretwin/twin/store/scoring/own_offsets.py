"""What is kept of each machine's own baseline: one row of its present run, whatever its age."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from foretwin.twin.store.scoring.newest import in_parts
from foretwin.twin.store.summaries import own_offsets


@dataclass(frozen=True)
class StoredOffsets:
    """A row of the table; a channel's mean in its own unit, so that it outlives a champion."""

    run: int
    windows: int
    until: float | None
    channels: dict[str, tuple[float, int]]  # name -> mean, readings


def offsets_of(connection: Connection, asset_ids: Iterable[int]) -> dict[int, StoredOffsets]:
    """Return what is kept of these assets, by their numbers."""
    found = {}
    for part in in_parts(asset_ids):
        for row in connection.execute(select(own_offsets).where(own_offsets.c.asset.in_(part))):
            channels = {name: (mean, rows) for name, (mean, rows) in row.channels.items()}
            found[row.asset] = StoredOffsets(row.run, row.windows, row.until, channels)
    return found


def keep_offsets(connection: Connection, found: Mapping[int, StoredOffsets]) -> None:
    """Store what is known of these assets."""
    if not found:
        return
    into = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(own_offsets)
    new = {name: into.excluded[name] for name in ("run", "windows", "until", "channels")}
    statement = into.on_conflict_do_update(index_elements=["asset"], set_=new)
    connection.execute(statement, [{"asset": asset, **asdict(one)} for asset, one in sorted(found.items())])


def forget_channel(connection: Connection, asset_id: int, channel: str, time: float | None) -> None:
    """Forget what a sensor told that was replaced or recalibrated at that time; the others' offsets stay.

    The machine needs as many whole windows from then on as a new one.
    """
    kept = offsets_of(connection, [asset_id]).get(asset_id)
    if kept is not None:
        others = {name: one for name, one in kept.channels.items() if name != channel}
        until = time if kept.until is None or (time is not None and time > kept.until) else kept.until
        keep_offsets(connection, {asset_id: replace(kept, windows=0, until=until, channels=others)})
