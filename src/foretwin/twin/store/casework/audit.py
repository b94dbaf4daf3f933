"""Audit trail: who did what to which asset or case, and when; entries are added, chained and never changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from foretwin.twin.store.casework.audit_chain import note_entry
from foretwin.twin.store.tables import audit


@dataclass(frozen=True)
class AuditEntry:
    """One audit entry. `asset` is a number that may belong to an asset erased since."""

    id: int
    at: datetime
    actor: str
    action: str
    asset: int | None
    case: int | None
    detail: dict[str, Any]


def record(  # noqa: PLR0913, PLR0917 - who, what, when, about whom
    connection: Connection,
    actor: str,
    action: str,
    detail: Mapping[str, Any],
    now: datetime,
    asset: int | None = None,
    case: int | None = None,
) -> None:
    """Add an entry in the caller's transaction; `action` is such as `case.opened`, `detail` is JSON."""
    new = insert(audit).values(at=now, actor=actor, action=action, asset=asset, case=case, detail=dict(detail))
    note_entry(connection, connection.execute(new.returning(audit.c.id)).scalar_one())


def of_asset(
    connection: Connection, asset_id: int, since: datetime | None, until: datetime | None, limit: int
) -> list[AuditEntry]:
    """Return the asset's newest `limit` entries from `since` up to and with `until`, the newest first."""
    entries = select(audit).where(audit.c.asset == asset_id)
    if since is not None:
        entries = entries.where(audit.c.at >= since)
    if until is not None:
        entries = entries.where(audit.c.at <= until)
    rows = connection.execute(entries.order_by(audit.c.at.desc(), audit.c.id.desc()).limit(limit))
    return [AuditEntry(**row) for row in rows.mappings()]
