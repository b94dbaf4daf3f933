"""What people say of a case, and how cases like it ended."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from foretwin.serving.access.bounds import Bounds
from foretwin.twin.store.casework.cases import Case
from foretwin.twin.store.listing import Row
from foretwin.twin.store.summaries import case_comments
from foretwin.twin.store.tables import assets, cases, verdicts
from foretwin.twin.store.visibility import visible_cases


def insert_comment(connection: Connection, case: Case, text: str, actor: str, now: datetime) -> dict[str, Any]:
    """Store a comment and return its row; the case counts as changed."""
    values = {"case": case.id, "asset": case.asset, "at": now, "actor": actor, "text": text}
    row = connection.execute(insert(case_comments).values(values).returning(case_comments)).mappings().one()
    connection.execute(update(cases).where(cases.c.id == case.id).values(updated_at=now))
    return {str(name): value for name, value in row.items()}


def count_comments(connection: Connection, case_id: int) -> int:
    """Count the comments on a case."""
    query = select(func.count()).select_from(case_comments).where(case_comments.c.case == case_id)
    return int(connection.execute(query).scalar_one())


def comments_on(connection: Connection, case_id: int) -> list[Row]:
    """Return the comments on a case, the oldest first."""
    query = select(case_comments).where(case_comments.c.case == case_id).order_by(case_comments.c.id)
    return [{str(name): value for name, value in row.items()} for row in connection.execute(query).mappings()]


def ended_like(connection: Connection, case: Case, bounds: Bounds, most: int) -> list[Row]:
    """Return the newest closed cases of that twin and fault with a verdict, but for the case itself.

    Each with `asset_name`, what was found, and `lasted`: from its opening to the verdict, in the clock's unit.
    """
    columns = (cases.c.id, cases.c.run, cases.c.severity, cases.c.opened_at, cases.c.closed_at, cases.c.opened_time)
    said = (verdicts.c.verdict, verdicts.c.fault, verdicts.c.note, verdicts.c.time.label("ended_time"))
    query = select(*columns, *said, assets.c.name.label("asset_name"))
    query = query.join(verdicts, verdicts.c.case == cases.c.id).join(assets, assets.c.id == cases.c.asset)
    mine = (cases.c.twin == case.twin, cases.c.fault == case.fault, cases.c.state == "closed", cases.c.id != case.id)
    query = query.where(*mine, visible_cases(connection, bounds)).order_by(cases.c.id.desc()).limit(most)
    found = []
    for row in connection.execute(query).mappings():
        lasted = None if row["opened_time"] is None else row["ended_time"] - row["opened_time"]
        found.append({**{str(name): value for name, value in row.items()}, "lasted": lasted})
    return found
