"""What people do with a case before its verdict: move it, give it to somebody, say something, let it rest.

The board's columns are the states open, acknowledged, planned and waiting_for_part; a verdict or a recovery ends all.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from foretwin.errors import BadInput, Conflict
from foretwin.twin.store import Store, assets
from foretwin.twin.store.casework import audit, cases, comments
from foretwin.twin.store.casework.cases import Case
from foretwin.twin.store.casework.outbox import emit
from foretwin.twin.store.health import OPEN_STATES

COLUMNS = OPEN_STATES
MOST_COMMENTS = 1000  # on one case
FIRST_YEAR, LAST_YEAR = 2000, 2200
PLAIN = r"^[^\x00]*\S[^\x00]*$"  # PostgreSQL has no NUL


def _read_moment(value: object) -> object:
    """Return the moment of an ISO 8601 text; without a zone it is UTC."""
    if not isinstance(value, str):
        return value
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f'is "{value[:60]}"; a moment such as 2026-11-21T12:00:00Z is needed') from None
    if not FIRST_YEAR <= read.year <= LAST_YEAR:
        raise ValueError(f"is no year from {FIRST_YEAR} to {LAST_YEAR}")
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)


When = Annotated[datetime, BeforeValidator(_read_moment)]
Person = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=PLAIN)]
Said = Annotated[str, StringConstraints(min_length=1, max_length=4000, pattern=PLAIN)]


class _Body(BaseModel):
    """Base of these bodies."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Move(_Body):
    """To which column of the board a case goes."""

    state: Literal["open", "acknowledged", "planned", "waiting_for_part"]
    planned_for: When | None = Field(default=None, description="when it is to be done; `planned` needs it")


class Assignment(_Body):
    """Who looks after a case; null: nobody."""

    person: Person | None


class Comment(_Body):
    """What somebody says of a case."""

    text: Said


class Rest(_Body):
    """Until when a case rests, and why; without both it wakes."""

    until: When | None = None
    reason: Said | None = None


def move_case(store: Store, case_id: int, move: Move, actor: str, now: datetime) -> None:
    """Move a case over the board; NotFound, Conflict for a closed case, BadInput where its date is missing."""
    if move.state == "planned" and move.planned_for is None:
        raise BadInput("planned_for", "is missing; say when it is to be done")
    with store.write() as connection:
        case = cases.find_case(connection, case_id)
        _check_planned(case, move)
        values = {"state": move.state, "planned_for": move.planned_for}
        if move.state != "open" and case.acknowledged_at is None:
            values["acknowledged_at"] = now
        cases.change_case(connection, case, "moved", values, actor, now)


def acknowledge_case(store: Store, case_id: int, actor: str, now: datetime) -> None:
    """Acknowledge a case; a second time, or of one that has gone on, changes nothing. Conflict for a closed case."""
    with store.write() as connection:
        cases.mark_acknowledged(connection, cases.find_case(connection, case_id), actor, now)


def assign_case(store: Store, case_id: int, given: Assignment, actor: str, now: datetime) -> None:
    """Give a case to a person, or to nobody; NotFound, or Conflict for a closed case."""
    with store.write() as connection:
        case = cases.find_case(connection, case_id)
        cases.change_case(connection, case, "assigned", {"assignee": given.person}, actor, now)


def rest_case(store: Store, case_id: int, rest: Rest, actor: str, now: datetime) -> None:
    """Let a case rest until a moment, or wake it; it wakes by itself when it becomes urgent.

    BadInput where moment or reason is missing, or the moment is over.
    """
    if rest.until is None and rest.reason is not None:
        raise BadInput("until", "is missing; say until when it rests")
    if rest.until is not None and rest.until <= now:
        raise BadInput("until", "is over already; a later moment is needed")
    if rest.until is not None and rest.reason is None:
        raise BadInput("reason", "is missing; say why it rests")
    values = {"snoozed_until": rest.until, "snoozed_because": rest.reason}
    with store.write() as connection:
        case = cases.find_case(connection, case_id)
        cases.change_case(connection, case, "snoozed" if rest.until else "woken", values, actor, now)


def add_comment(store: Store, case_id: int, comment: Comment, actor: str, now: datetime) -> dict[str, Any]:
    """Store what somebody says of a case, closed ones too; NotFound, or Conflict where very much has been said."""
    with store.write() as connection:
        case = cases.find_case(connection, case_id)
        if comments.count_comments(connection, case_id) >= MOST_COMMENTS:
            raise Conflict("text", f"case {case_id} has {MOST_COMMENTS} comments, the most that one may have")
        kept = comments.insert_comment(connection, case, comment.text, actor, now)
        entry = {"fault": case.fault, "comment": kept["id"]}
        audit.record(connection, actor, "case.commented", entry, now, asset=case.asset, case=case.id)
        asset = None if case.asset is None else assets.by_id(connection, [case.asset])[case.asset]
        shown = {**kept, "asset": asset.name if asset else None}
        emit(connection, "case.commented", case.twin, asset, f"cases/{case.id}", shown, now)
        return shown


def _check_planned(case: Case, move: Move) -> None:
    if move.planned_for is not None and move.planned_for < case.opened_at:
        raise BadInput("planned_for", f"lies before the case was opened, {case.opened_at.isoformat()}")
