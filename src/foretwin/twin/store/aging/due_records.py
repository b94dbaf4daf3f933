"""Records that are due besides readings: scores, events with their deliveries, quarantine, audit, machines' events."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, delete, exists, func, or_, select, tuple_

from foretwin.twin.store.aging.due_readings import last_number_before
from foretwin.twin.store.aging.holds import held_assets
from foretwin.twin.store.casework.audit_chain import delete_entries
from foretwin.twin.store.scoring.probabilities import unpacked
from foretwin.twin.store.scoring.urgency import note_urgency
from foretwin.twin.store.summaries import machine_events
from foretwin.twin.store.tables import assets, audit, deliveries, events, models, quarantine, scores, shadow_scores

KEYS_AT_ONCE = 1_000
NEVER_DROPPED = ("asset.erased", "hold.placed", "hold.released")  # actions of the audit


@dataclass(frozen=True)
class Due:
    """A question for old records: of which twin, made before when, how many at most.

    `strays` says whether to take those of no twin of the project too: undecodable messages, entries about no asset.
    """

    twin: str
    before: datetime
    most: int
    strays: bool = False
    others: tuple[str, ...] = ()  # the project's other twins


@dataclass(frozen=True)
class RecordKind:
    """A table whose rows age: its name, the column of their moment, and the query for those that are due."""

    table: Table
    moment: str
    query: Callable[[Connection, Due], Select[Any]]

    @property
    def name(self) -> str:
        """Return the table's name."""
        return str(self.table.name)


def due_records(connection: Connection, kind: RecordKind, due: Due) -> list[dict[str, Any]]:
    """Return rows that are due, at most so many; probabilities by name, and with an event its deliveries."""
    rows = connection.execute(kind.query(connection, due)).mappings().all()
    if kind.table is scores:
        return unpacked(connection, rows)
    plain = [{str(name): value for name, value in row.items()} for row in rows]
    return _with_deliveries(connection, plain) if kind.table is events else plain


def drop_records(connection: Connection, kind: RecordKind, rows: Sequence[Mapping[str, Any]]) -> int:
    """Drop rows that an archive holds, but not those of held assets; return how many that were.

    Of an event the deliveries go with it; one that is to be delivered again meanwhile stays.
    """
    names = [str(column.name) for column in kind.table.primary_key.columns]
    keys = [tuple(row[name] for name in names) for row in rows]
    dropped = 0
    if kind.table is scores:
        note_urgency(connection, (row["asset"] for row in rows))
    for begin in range(0, len(keys), KEYS_AT_ONCE):
        some = keys[begin : begin + KEYS_AT_ONCE]
        if kind.table is events:
            some = [(one,) for one in _settled(connection, [key[0] for key in some])]
            connection.execute(delete(deliveries).where(deliveries.c.event.in_([key[0] for key in some])))
        mine = tuple_(*kind.table.primary_key.columns).in_(some)
        if kind.table is audit:
            dropped += delete_entries(connection, and_(mine, _free(kind)), "archived")
            continue
        dropped += connection.execute(delete(kind.table).where(mine, _free(kind))).rowcount
    return dropped


def _free(kind: RecordKind) -> ColumnElement[bool]:
    """Whether a row is about no held asset."""
    column = kind.table.c.asset
    held: Any = held_assets()
    if kind.table is quarantine:  # there it is a name
        held = select(assets.c.name).where(assets.c.id.in_(held))
    return or_(column.is_(None), column.not_in(held))


def _scores_due(connection: Connection, due: Due) -> Select[Any]:  # noqa: ARG001 - as the others
    """Of each asset the scores before that moment, except its newest; by the index of asset and moment."""
    later = scores.alias("later")
    newer = exists().where(later.c.asset == scores.c.asset, later.c.scored_at > scores.c.scored_at)
    query = select(scores).select_from(assets.join(scores, scores.c.asset == assets.c.id))
    query = query.where(assets.c.twin == due.twin, scores.c.scored_at < due.before, scores.c.kept, newer)
    return query.where(_free(SCORES)).order_by(assets.c.id, scores.c.scored_at).limit(due.most)


def _shadow_scores_due(connection: Connection, due: Due) -> Select[Any]:  # noqa: ARG001 - as the others
    of_twin = shadow_scores.c.model.in_(select(models.c.id).where(models.c.twin == due.twin))
    query = select(shadow_scores).where(of_twin, shadow_scores.c.scored_at < due.before, _free(SHADOW_SCORES))
    return query.order_by(shadow_scores.c.model, shadow_scores.c.scored_at).limit(due.most)


def _events_due(connection: Connection, due: Due) -> Select[Any]:
    """Of the events whose deliveries are settled.

    Their ids begin with their milliseconds: a range of the primary key.
    """
    stamp = f"{int(due.before.timestamp() * 1000):012x}"
    newest = connection.execute(select(func.max(events.c.id))).scalar()
    waiting = exists().where(deliveries.c.event == events.c.id, deliveries.c.state == "waiting")
    query = select(events).where(events.c.twin == due.twin, events.c.id < f"{stamp[:8]}-{stamp[8:]}", ~waiting)
    query = query.where(events.c.id != newest, _free(EVENTS))
    return query.order_by(events.c.id).limit(due.most)


def _quarantine_due(connection: Connection, due: Due) -> Select[Any]:
    upto = last_number_before(connection, quarantine, "received_at", due.before)
    query = select(quarantine).where(quarantine.c.id <= upto, _free(QUARANTINE))
    return query.where(_of(quarantine.c.twin, due)).order_by(quarantine.c.id).limit(due.most)


def _audit_due(connection: Connection, due: Due) -> Select[Any]:
    upto = last_number_before(connection, audit, "at", due.before)
    query = select(audit).outerjoin(assets, assets.c.id == audit.c.asset)
    query = query.where(audit.c.id <= upto, _free(AUDIT), audit.c.action.not_in(NEVER_DROPPED))
    return query.where(_of(assets.c.twin, due)).order_by(audit.c.id).limit(due.most)


def _machine_events_due(connection: Connection, due: Due) -> Select[Any]:  # noqa: ARG001 - as the others
    """Of runs that are over: those of the present one are what its next readings are made of."""
    query = select(machine_events).join(assets, assets.c.id == machine_events.c.asset)
    query = query.where(machine_events.c.received_at < due.before, machine_events.c.run < assets.c.run)
    return query.where(_of(assets.c.twin, due), _free(MACHINE_EVENTS)).order_by("received_at").limit(due.most)


def _of(column: ColumnElement[Any], due: Due) -> ColumnElement[bool]:
    """Whether a row is of the twin, or of none of the project's."""
    if not due.strays:
        return column == due.twin
    return or_(column.is_(None), column.not_in(list(due.others)))


def _settled(connection: Connection, ids: Sequence[str]) -> list[str]:
    """Return those of the events of which no delivery is waiting, and of no held asset."""
    waiting = exists().where(deliveries.c.event == events.c.id, deliveries.c.state == "waiting")
    query = select(events.c.id).where(events.c.id.in_(list(ids)), ~waiting, _free(EVENTS))
    return list(connection.execute(query).scalars())


def _with_deliveries(connection: Connection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return events, each with the list of its deliveries."""
    by_event: dict[str, list[dict[str, Any]]] = {}
    ids = [row["id"] for row in rows]
    for begin in range(0, len(ids), KEYS_AT_ONCE):
        query = select(deliveries).where(deliveries.c.event.in_(ids[begin : begin + KEYS_AT_ONCE]))
        for row in connection.execute(query.order_by(deliveries.c.target)).mappings():
            by_event.setdefault(row["event"], []).append({str(name): value for name, value in row.items()})
    return [{**row, "deliveries": by_event.get(row["id"], [])} for row in rows]


SCORES = RecordKind(scores, "scored_at", _scores_due)
SHADOW_SCORES = RecordKind(shadow_scores, "scored_at", _shadow_scores_due)
EVENTS = RecordKind(events, "at", _events_due)
QUARANTINE = RecordKind(quarantine, "received_at", _quarantine_due)
AUDIT = RecordKind(audit, "at", _audit_due)
MACHINE_EVENTS = RecordKind(machine_events, "received_at", _machine_events_due)
RECORD_KINDS = {kind.name: kind for kind in (SCORES, SHADOW_SCORES, EVENTS, QUARANTINE, AUDIT, MACHINE_EVENTS)}
