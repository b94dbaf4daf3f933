"""Cases: queries, and each change of state with its audit entry and its event, in one transaction.

A case is open, acknowledged, planned or waiting for its part until it is closed, and never opens again. That an asset
has one open case of a fault, and a twin one of its fleet and kind, is the database's to keep (`tables.py`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, exists, func, or_, select, text, true, update
from sqlalchemy.dialects import postgresql, sqlite

from foretwin.errors import Conflict, NotFound
from foretwin.twin.store import assets
from foretwin.twin.store.casework import audit
from foretwin.twin.store.casework.outbox import emit
from foretwin.twin.store.scoring.thinning import keep_score
from foretwin.twin.store.scoring.urgency import note_urgency
from foretwin.twin.store.tables import assets as asset_table
from foretwin.twin.store.tables import cases, verdicts
from foretwin.twin.store.telemetry.spans import mark_changed

MOST_NAMES = 10_000  # parameters of one statement; PostgreSQL takes 65,535 and SQLite 32,766
LOCK = 7084  # of PostgreSQL's advisory locks: the openings of one twin, one transaction at a time
# As text, so that SQLite sees that the partial indexes of open cases serve.
IS_OPEN, IS_OF_FLEET = text("state <> 'closed' AND asset IS NOT NULL"), text("state <> 'closed' AND asset IS NULL")


@dataclass(frozen=True)
class Numbers:
    """A score's figures for a case's fault; times in the contract's clock unit.

    `latest_safe_date` is that of the lower end of the RUL; `undated` says why there is none where there should be one.
    """

    time: float
    scored_at: datetime
    model: int
    rul: float | None
    rul_low: float | None
    rul_high: float | None
    probability: float | None
    latest_safe_date: datetime | None = None
    undated: str | None = None


@dataclass(frozen=True)
class NewCase:
    """A case to be opened; for a whole fleet `asset`, `run` and `numbers` are None."""

    twin: str
    asset: int | None
    run: int | None
    fault: str
    severity: str
    numbers: Numbers | None
    evidence: dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A row of the table; the numbers from `time` on are of the newest score."""

    id: int
    twin: str
    asset: int | None
    run: int | None
    fault: str
    state: str
    severity: str
    opened_at: datetime
    opened_time: float | None
    updated_at: datetime
    acknowledged_at: datetime | None
    assignee: str | None
    planned_for: datetime | None
    snoozed_until: datetime | None
    snoozed_because: str | None
    closed_at: datetime | None
    closed_because: str | None
    merged_into: int | None
    time: float | None
    scored_at: datetime | None
    model: int | None
    rul: float | None
    rul_low: float | None
    rul_high: float | None
    probability: float | None
    latest_safe_date: datetime | None
    undated: str | None
    evidence: dict[str, Any]


def find_case(connection: Connection, case_id: int) -> Case:
    """Return the case of that number; NotFound where there is none."""
    found = _all(connection, select(cases).where(cases.c.id == case_id))
    if not found:
        raise NotFound("case", f"{case_id} is not there; list the cases for their numbers")
    return found[0]


def open_of(connection: Connection, asset_ids: Iterable[int]) -> dict[int, list[Case]]:
    """Return the open and acknowledged cases of each of these assets that has any, the oldest first."""
    ids = list(asset_ids)
    found: dict[int, list[Case]] = {}
    for begin in range(0, len(ids), MOST_NAMES):
        some = cases.c.asset.in_(ids[begin : begin + MOST_NAMES])
        for case in _all(connection, select(cases).where(some, IS_OPEN).order_by(cases.c.id)):
            if case.asset is not None:
                found.setdefault(case.asset, []).append(case)
    return found


def answered(connection: Connection, asset_ids: Iterable[int]) -> dict[tuple[int, int, str], float]:
    """Return asset, run and fault of cases closed by a verdict -> time in the run of the last verdict."""
    ids = list(asset_ids)
    found: dict[tuple[int, int, str], float] = {}
    for begin in range(0, len(ids), MOST_NAMES):
        some = cases.c.asset.in_(ids[begin : begin + MOST_NAMES])
        given = select(cases.c.asset, cases.c.run, cases.c.fault, func.max(verdicts.c.time))
        query = given.join(verdicts, verdicts.c.case == cases.c.id).where(some, cases.c.closed_because == "verdict")
        rows = connection.execute(query.group_by(cases.c.asset, cases.c.run, cases.c.fault))
        found |= {(asset, run, fault): time for asset, run, fault, time in rows}
    return found


def open_of_fleet(connection: Connection, twin: str, fault: str) -> Case | None:
    """Return the open case of the twin's whole fleet of that kind: its digest, its drift."""
    mine = (cases.c.twin == twin, cases.c.fault == fault, IS_OF_FLEET)
    return next(iter(_all(connection, select(cases).where(*mine))), None)


def count_opened(connection: Connection, twin: str, since: datetime, length: float | None) -> int:
    """Count the cases of the twin's assets opened after that moment, whatever became of them.

    Left out are those whose asset has since gone on by `length` of its own clock, as in a replay (None: that clock is
    no calendar), and those in which another case of the asset went on: a merge opens nothing.
    """
    mine = [cases.c.twin == twin, cases.c.asset.is_not(None), cases.c.opened_at > since]
    if length is not None:
        same, later = asset_table.c.run == cases.c.run, asset_table.c.run > cases.c.run
        in_run = and_(same, asset_table.c.time >= cases.c.opened_time + length)
        mine.append(func.coalesce(~or_(in_run, and_(later, asset_table.c.time >= length)), true()))
    before = cases.alias()
    merged = exists().where(before.c.asset == cases.c.asset, before.c.merged_into == cases.c.id)
    opened = select(func.count()).select_from(cases).join(asset_table, asset_table.c.id == cases.c.asset)
    return connection.execute(opened.where(*mine, ~merged)).scalar_one()


def lock(connection: Connection, twin: str) -> None:
    """Wait until no other transaction holds this twin's cases; SQLite has one writer at a time anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(LOCK, func.hashtext(twin))))


def insert(connection: Connection, new: NewCase, actor: str, now: datetime) -> Case | None:
    """Open a case; None, and nothing changes, where one of that asset and fault is open already."""
    values = {name: getattr(new, name) for name in ("twin", "asset", "run", "fault", "severity", "evidence")}
    values |= {"state": "open", "opened_at": now, "updated_at": now}
    if new.numbers is not None:
        values |= {**asdict(new.numbers), "opened_time": new.numbers.time}
    into = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = connection.execute(into(cases).values(values).on_conflict_do_nothing().returning(cases)).mappings().first()
    if row is None:
        return None
    case = Case(**row)
    note_urgency(connection, [case.asset])
    _count_again(connection, case.asset)
    _tell(connection, "case.opened", case, {}, actor, now)
    return case


def escalate(connection: Connection, case: Case, numbers: Numbers | None, actor: str, now: datetime) -> Case:
    """Make a case urgent, with the numbers of its score, and wake it; Conflict where it is closed."""
    values = {"severity": "urgent", "updated_at": now, "snoozed_until": None, "snoozed_because": None}
    changed = _change(connection, case, values | (asdict(numbers) if numbers else {}))
    _tell(connection, "case.escalated", changed, {}, actor, now)
    return changed


def mark_acknowledged(connection: Connection, case: Case, actor: str, now: datetime) -> None:
    """Mark an open case as acknowledged; one that is, or has gone on, stays. Conflict where it is closed."""
    if case.state in ("open", "closed"):
        values = {"state": "acknowledged", "acknowledged_at": now}
        change_case(connection, case, "acknowledged", values, actor, now)


def change_case(
    connection: Connection, case: Case, action: str, values: Mapping[str, Any], actor: str, now: datetime
) -> Case:
    """Change what people say of a case, with its audit entry and event, `case.<action>`; Conflict where it is closed.

    `values` are columns; the entry holds them.
    """
    changed = _change(connection, case, {**values, "updated_at": now})
    detail = {name: _written(value) for name, value in values.items() if name != "acknowledged_at"}
    _tell(connection, f"case.{action}", changed, detail, actor, now)
    return changed


def close(
    connection: Connection, case: Case, because: str, actor: str, now: datetime, merged_into: int | None = None
) -> None:
    """Close a case: verdict, recovered, merged, new_run, dissolved, new_champion; Conflict where it is closed."""
    values = {"state": "closed", "closed_at": now, "closed_because": because, "updated_at": now}
    changed = _change(connection, case, {**values, "merged_into": merged_into})
    _count_again(connection, case.asset)
    detail = {"because": because} | ({} if merged_into is None else {"into": merged_into})
    _tell(connection, "case.closed" if merged_into is None else "case.merged", changed, detail, actor, now)


def refresh(connection: Connection, numbers: Mapping[int, Numbers], now: datetime) -> None:
    """Update open cases, by their ids, with newer numbers; no audit entry, no event.

    A score of an earlier time than the one that spoke last changes nothing.
    """
    if not numbers:
        return
    rows = [{**asdict(one), "case_id": case_id, "scored_time": one.time} for case_id, one in numbers.items()]
    newer = or_(cases.c.time.is_(None), cases.c.time <= bindparam("scored_time"))
    query = update(cases).where(cases.c.id == bindparam("case_id"), cases.c.state != "closed", newer)
    given: dict[str, Any] = {name: bindparam(name) for name in Numbers.__dataclass_fields__}
    connection.execute(query.values(**given, updated_at=now), rows)


def keep_evidence(connection: Connection, case: Case, evidence: Mapping[str, Any], now: datetime) -> None:
    """Replace a case's evidence; no audit entry, no event. Conflict where it is closed."""
    _change(connection, case, {"evidence": dict(evidence), "updated_at": now})


def touch(connection: Connection, case: Case, now: datetime) -> None:
    """Note that what a case is about has changed; no audit entry, no event. Conflict where it is closed."""
    _change(connection, case, {"updated_at": now})


def _written(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _all(connection: Connection, query: Select[Any]) -> list[Case]:
    return [Case(**row) for row in connection.execute(query).mappings()]


def _count_again(connection: Connection, asset_id: int | None) -> None:
    """Note that the key figures count this asset otherwise."""
    if asset_id is not None:
        mark_changed(connection, asset_id)


def _change(connection: Connection, case: Case, values: Mapping[str, Any]) -> Case:
    """Update the case if it is not closed: another process may have closed it since it was read."""
    query = update(cases).where(cases.c.id == case.id, cases.c.state != "closed").values(values).returning(cases)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise Conflict("case", f"{case.id} is closed already")
    note_urgency(connection, [case.asset])
    return Case(**row)


def _tell(
    connection: Connection, action: str, case: Case, detail: Mapping[str, Any], actor: str, now: datetime
) -> None:
    asset = None if case.asset is None else assets.by_id(connection, [case.asset])[case.asset]
    if case.asset is not None and case.run is not None and case.time is not None:
        keep_score(connection, case.asset, case.run, case.time)
    known = {"fault": case.fault, "severity": case.severity, "run": case.run}
    audit.record(connection, actor, action, {**known, **detail}, now, asset=case.asset, case=case.id)
    data = {**asdict(case), "asset": asset.name if asset else None}
    emit(connection, action, case.twin, asset, f"cases/{case.id}", data, now)
