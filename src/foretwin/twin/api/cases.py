"""Cases: list, board, comments, service request, verdict."""

from dataclasses import asdict
from typing import Any

from starlette.responses import Response

from foretwin.errors import NotFound
from foretwin.twin.api import answers
from foretwin.twin.api.bodies import read_body_json
from foretwin.twin.api.call import Call
from foretwin.twin.api.paging import (
    Listing,
    answer_page,
    one_more,
    one_of,
    parse_moment,
    read_query,
    read_tag,
    text,
    truth,
)
from foretwin.twin.cases import board, feedback, photo_encoding
from foretwin.twin.cases.board import Assignment, Comment, Move, Rest
from foretwin.twin.cases.feedback import Verdict
from foretwin.twin.cases.rules import DIGEST
from foretwin.twin.cases.service_request import service_request
from foretwin.twin.store import Connection, assets, listing
from foretwin.twin.store.casework import cases, comments
from foretwin.twin.store.casework.cases import Case
from foretwin.twin.store.casework.photos import find_photo, photos_of

CASES = Listing(
    listing.CASE_SORTS,
    {
        "state": one_of(*board.COLUMNS, "closed"),
        "severity": one_of("planned", "urgent"),
        "twin": text,
        "asset": text,
        "fault": text,
        "tag": read_tag,
        "assignee": text,
        "snoozed": truth,
        "due_since": parse_moment,
        "due_before": parse_moment,
    },
)
MOST_SIMILAR = 10


def get_cases(call: Call) -> dict[str, Any]:
    """GET /v1/cases: the cases."""
    page, given = CASES.read(call.query)
    if "snoozed" in given:
        given["resting" if given.pop("snoozed") else "awake"] = call.now
    contracts = call.contracts
    with call.store.read() as connection:
        rows = listing.list_cases(connection, one_more(page), given, call.caller.bounds)
        known = assets.by_id(connection, {row["asset"] for row in rows if row["asset"] is not None})
    items = []
    for row in rows:
        asset = known.get(row["asset"])
        fresh = answers.freshness(asset, contracts.get(asset.twin), call.now) if asset else {}
        items.append({**answers.show_case(row, row["asset_name"]), **fresh})
    return answer_page(call.route, call.query, page, items, rows)


def get_case(call: Call) -> dict[str, Any]:
    """GET /v1/cases/{case}: one case."""
    read_query(call.query, {})
    with call.store.read() as connection:
        return _shown(call, connection, cases.find_case(connection, call.number("case")))


def get_service_request(call: Call) -> dict[str, Any]:
    """GET /v1/cases/{case}/service-request: what a technician needs for the repair."""
    read_query(call.query, {})
    with call.store.read() as connection:
        case = cases.find_case(connection, call.number("case"))
        contract = call.contracts.get(case.twin)
        if contract is None:
            raise NotFound("twin", f"{case.twin} has no contract here; data/{case.twin}/twin.yaml is missing")
        return service_request(connection, contract, case, call.now)


def post_acknowledge(call: Call) -> dict[str, Any]:
    """POST /v1/cases/{case}/acknowledge: somebody has seen it."""
    read_query(call.query, {})
    board.acknowledge_case(call.store, call.number("case"), call.actor, call.now)
    return _changed(call)


def post_move(call: Call) -> dict[str, Any]:
    """POST /v1/cases/{case}/move: to another column of the board, `planned` with its date."""
    read_query(call.query, {})
    board.move_case(call.store, call.number("case"), read_body_json(call.body, Move), call.actor, call.now)
    return _changed(call)


def post_assignment(call: Call) -> dict[str, Any]:
    """POST /v1/cases/{case}/assign: to a person, or with null to nobody."""
    read_query(call.query, {})
    board.assign_case(call.store, call.number("case"), read_body_json(call.body, Assignment), call.actor, call.now)
    return _changed(call)


def post_rest(call: Call) -> dict[str, Any]:
    """POST /v1/cases/{case}/snooze: until a moment, for a reason; with neither it wakes."""
    read_query(call.query, {})
    board.rest_case(call.store, call.number("case"), read_body_json(call.body, Rest), call.actor, call.now)
    return _changed(call)


def post_comment(call: Call) -> dict[str, Any]:
    """POST /v1/cases/{case}/comments: what somebody says of it."""
    read_query(call.query, {})
    comment = read_body_json(call.body, Comment)
    return board.add_comment(call.store, call.number("case"), comment, call.actor, call.now)


def get_comments(call: Call) -> dict[str, Any]:
    """GET /v1/cases/{case}/comments: what people said of it, the oldest first."""
    read_query(call.query, {})
    with call.store.read() as connection:
        case = cases.find_case(connection, call.number("case"))
        name = None if case.asset is None else assets.by_id(connection, [case.asset])[case.asset].name
        return {"items": [{**one, "asset": name} for one in comments.comments_on(connection, case.id)]}


def post_photo(call: Call) -> dict[str, Any]:
    """POST /v1/cases/{case}/photos: a picture of what somebody saw, kept as a JPEG of at most 1600 pixels."""
    read_query(call.query, {})
    return photo_encoding.add_photo(call.store, call.number("case"), call.body, call.actor, call.now)


def get_photos(call: Call) -> dict[str, Any]:
    """GET /v1/cases/{case}/photos: its photos, the oldest first, without the pictures."""
    read_query(call.query, {})
    with call.store.read() as connection:
        return {"items": photos_of(connection, cases.find_case(connection, call.number("case")).id)}


def get_photo(call: Call) -> Response:
    """GET /v1/cases/{case}/photos/{photo}: one picture."""
    read_query(call.query, {})
    with call.store.read() as connection:
        content = find_photo(connection, call.number("case"), call.number("photo"))
    return Response(content, media_type="image/jpeg", headers={"X-Content-Type-Options": "nosniff"})


def get_similar(call: Call) -> dict[str, Any]:
    """GET /v1/cases/{case}/similar: cases of the same fault, and what was found, the newest first."""
    read_query(call.query, {})
    with call.store.read() as connection:
        case = cases.find_case(connection, call.number("case"))
        found = comments.ended_like(connection, case, call.caller.bounds, MOST_SIMILAR)
    hidden = ("asset_name", "opened_time", "ended_time")
    shown = [{name: value for name, value in one.items() if name not in hidden} for one in found]
    return {"items": [{**one, "asset": row["asset_name"]} for one, row in zip(shown, found, strict=True)]}


def post_verdict(call: Call) -> dict[str, Any]:
    """POST /v1/cases/{case}/verdict: what was found; it closes the case and becomes a label of the history."""
    read_query(call.query, {})
    given = read_body_json(call.body, Verdict)
    return feedback.give_verdict(call.store, call.contracts, call.number("case"), given, call.actor, call.now)


def _changed(call: Call) -> dict[str, Any]:
    with call.store.read() as connection:
        return _shown(call, connection, cases.find_case(connection, call.number("case")))


def _shown(call: Call, connection: Connection, case: Case) -> dict[str, Any]:
    shown = asdict(case)
    if case.asset is None:
        if case.fault == DIGEST and case.state != "closed":
            shown["evidence"] = answers.show_waiting(connection, case.twin)
        return answers.show_case(shown, None)
    asset = assets.by_id(connection, [case.asset])[case.asset]
    fresh = answers.freshness(asset, call.contracts.get(asset.twin), call.now)
    return {**answers.show_case(shown, asset.name), **fresh}
