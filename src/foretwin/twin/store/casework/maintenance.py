"""Maintenance of an asset, with a case or without one."""

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from foretwin.twin.store.tables import maintenance
from foretwin.twin.store.telemetry.spans import mark_changed


@dataclass(frozen=True)
class Maintenance:
    """A row of the table; `run` and `time` locate it in the asset's life."""

    asset: int
    run: int
    time: float
    at: datetime  # when it was told to us
    kind: str  # inspection, part_replaced, run_ended, sensor_replaced, sensor_recalibrated
    part: str | None
    serial_number: str | None
    note: str | None
    case: int | None
    actor: str
    channel: str | None = None  # whose sensor was changed


def add_maintenance(connection: Connection, done: Maintenance) -> None:
    """Store maintenance."""
    connection.execute(insert(maintenance).values(asdict(done)))
    mark_changed(connection, done.asset)


def maintenance_of_case(connection: Connection, case_id: int) -> Maintenance | None:
    """Return the maintenance of a case."""
    columns = [maintenance.c[name] for name in Maintenance.__dataclass_fields__]
    row = connection.execute(select(*columns).where(maintenance.c.case == case_id)).mappings().first()
    return None if row is None else Maintenance(**row)
