"""Verdicts of technicians, at most one for each case."""

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from foretwin.twin.store.tables import cases, verdicts
from foretwin.twin.store.telemetry.spans import mark_changed


@dataclass(frozen=True)
class GivenVerdict:
    """A row of the table. `fault` is what was found, `<axis>.<class>`, and None where that has no name."""

    case: int
    asset: int
    run: int
    time: float
    at: datetime
    verdict: str
    fault: str | None
    note: str | None
    actor: str


def add_verdict(connection: Connection, given: GivenVerdict) -> None:
    """Store a verdict."""
    connection.execute(insert(verdicts).values(asdict(given)))
    mark_changed(connection, given.asset)


def verdict_of_case(connection: Connection, case_id: int) -> GivenVerdict | None:
    """Return the verdict of a case; concurrent transactions wait for this one's end."""
    connection.execute(select(cases.c.id).where(cases.c.id == case_id).with_for_update())
    columns = [verdicts.c[name] for name in GivenVerdict.__dataclass_fields__]
    row = connection.execute(select(*columns).where(verdicts.c.case == case_id)).mappings().first()
    return None if row is None else GivenVerdict(**row)
