"""Faults that wait for cases of their own: what the fleet's digest lists, a row each.

A row whose run has ended no longer waits, whether or not it is deleted yet.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from foretwin.twin.store.summaries import waiting_faults
from foretwin.twin.store.tables import assets

AT_ONCE = 10_000  # assets in one statement
MOST_SHOWN = 1000


@dataclass(frozen=True)
class WaitingFault:
    """A fault of an asset that waits since that moment."""

    asset: int
    run: int
    fault: str
    severity: str
    since: datetime


_COLUMNS = [waiting_faults.c[name] for name in WaitingFault.__dataclass_fields__]


def waiting_of(connection: Connection, asset_ids: Iterable[int]) -> list[WaitingFault]:
    """Return what waits of these assets, the longest waiting first."""
    ids, found = list(asset_ids), list[WaitingFault]()
    for begin in range(0, len(ids), AT_ONCE):
        some = waiting_faults.c.asset.in_(ids[begin : begin + AT_ONCE])
        found += [WaitingFault(*row) for row in connection.execute(select(*_COLUMNS).where(some))]
    return sorted(found, key=lambda one: (one.since, one.asset, one.fault))


def replace_waiting(
    connection: Connection, twin: str, before: Sequence[WaitingFault], after: Sequence[WaitingFault]
) -> bool:
    """Write what differs between two lists of the same assets; return whether anything does."""
    held = {(one.asset, one.fault): one for one in before}
    kept = {(one.asset, one.fault): one for one in after}
    for asset, fault in held.keys() - kept.keys():
        connection.execute(
            delete(waiting_faults).where(waiting_faults.c.asset == asset, waiting_faults.c.fault == fault)
        )
    changed = [{"twin": twin, **asdict(one)} for key, one in kept.items() if held.get(key) != one]
    if changed:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        into = dialect.insert(waiting_faults)
        values = {name: into.excluded[name] for name in ("run", "severity", "since")}
        connection.execute(into.on_conflict_do_update(index_elements=["asset", "fault"], set_=values), changed)
    return bool(changed) or held.keys() != kept.keys()


def does_wait(connection: Connection, twin: str, severity: str | None = None) -> bool:
    """Whether anything of the twin waits, or anything of that severity."""
    query = _of_twin(select(waiting_faults.c.asset), twin).limit(1)
    if severity is not None:
        query = query.where(waiting_faults.c.severity == severity)
    return connection.execute(query).first() is not None


def count_waiting(connection: Connection, twin: str) -> int:
    """Count what waits of the twin."""
    found: int = connection.execute(_of_twin(select(func.count()), twin)).scalar_one()
    return found


def list_waiting(connection: Connection, twin: str) -> list[dict[str, Any]]:
    """List at most MOST_SHOWN of the faults with the asset's `name`, urgent ones first, the longest waiting first."""
    table = waiting_faults.c
    query = _of_twin(select(assets.c.name, *_COLUMNS), twin)
    rows = connection.execute(query.order_by(table.severity.desc(), table.since, table.asset).limit(MOST_SHOWN))
    return [dict(row) for row in rows.mappings()]


def _of_twin(query: Select[Any], twin: str) -> Select[Any]:
    joined = query.select_from(waiting_faults).join(assets, assets.c.id == waiting_faults.c.asset)
    return joined.where(waiting_faults.c.twin == twin, waiting_faults.c.run >= assets.c.run)
