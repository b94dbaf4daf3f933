"""What maintenance systems call back with: the state of an order, as its template says."""

from datetime import UTC, datetime
from typing import Any

from foretwin.errors import BadInput, NotFound
from foretwin.twin.api.bodies import read_object
from foretwin.twin.api.call import Call
from foretwin.twin.api.paging import read_query
from foretwin.twin.cases import board
from foretwin.twin.cases.board import Comment, Move
from foretwin.twin.outbox.routes.routes_file import NamedRoute, load_routes
from foretwin.twin.outbox.routes.work_order_template import CallBack, at_pointer, load_template
from foretwin.twin.outbox.routes.work_orders import case_of, reference_of
from foretwin.twin.store.casework import cases
from foretwin.twin.store.casework.cases import Case
from foretwin.twin.store.casework.comments import comments_on

CLOSED, PLANNED, DONE = "closed", "planned", "done"


def post_work_order_state(call: Call) -> dict[str, Any]:
    """POST /v1/work-orders/{route}: a maintenance system tells the state of an order; its case follows on the board."""
    read_query(call.query, {})
    route, callback = _called_back(call)
    told = read_object(call.body)
    case = _case(call, told, callback)
    state = at_pointer(told, callback.state)
    here = callback.states.get(str(state))
    if here is None:
        raise BadInput(callback.state, f"is {str(state)[:60]!r}; the template knows {', '.join(callback.states)}")
    changed = False
    if case.state != CLOSED:
        changed = _done(call, route, case) if here == DONE else _moved(call, case, here, told, callback)
    with call.store.read() as connection:
        now = cases.find_case(connection, case.id)
    return {"case": case.id, "state": now.state, "changed": changed}


def _called_back(call: Call) -> tuple[NamedRoute, CallBack]:
    """Return the route of the path and what its template says of calls back; NotFound where it says nothing."""
    name = call.path["route"]
    route = next((one for one in load_routes(call.living.root) if one.name == name), None)
    if route is None or route.settings.work_orders is None:
        raise NotFound("route", f"{name} is no route to a maintenance system in routes.yaml")
    template = load_template(route.root / route.settings.work_orders)
    if template.callback is None:
        raise NotFound("route", f"{name}: its template has no `callback`; {template.system} is not known to call back")
    return route, template.callback


def _case(call: Call, told: dict[str, Any], callback: CallBack) -> Case:
    reference = str(at_pointer(told, callback.reference) or "")
    number = case_of(reference)
    if number is None:
        raise BadInput(callback.reference, f"is {reference[:60]!r}, which is no reference of ours")
    with call.store.read() as connection:
        case = cases.find_case(connection, number)
    if not f"{reference} ".startswith(f"{reference_of(case.twin, case.id)} "):
        raise NotFound("case", f"{number} is not the one of {reference[:60]!r}")
    return case


def _moved(call: Call, case: Case, state: Any, told: dict[str, Any], callback: CallBack) -> bool:
    """Move the case; False where it is there already, as when a system calls again."""
    planned_for = None
    if state == PLANNED:
        text = at_pointer(told, callback.date) if callback.date else None
        planned_for = _moment(text, callback.date or "date")
    if case.state == state and case.planned_for == planned_for:
        return False
    move = Move(state=state, planned_for=planned_for)
    board.move_case(call.living.store, case.id, move, call.actor, call.now)
    return True


def _moment(text: Any, place: str) -> datetime:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        raise BadInput(
            place, f"is {str(text)[:60]!r}; a planned order needs a moment such as 2026-12-01T08:00Z"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _done(call: Call, route: NamedRoute, case: Case) -> bool:
    """Say once that the order is done: what was found is a technician's to say, by a verdict."""
    text = f"The work order is done, says {route.name}; a verdict closes the case"
    with call.store.read() as connection:
        if any(one["text"] == text for one in comments_on(connection, case.id)):
            return False
    board.add_comment(call.living.store, case.id, Comment(text=text), call.actor, call.now)
    return True
