"""What was set aside: readings that broke the contract, and deliveries that were given up."""

from typing import Any

from foretwin.errors import Conflict
from foretwin.twin.api.call import Call
from foretwin.twin.api.paging import Listing, answer_page, one_more, one_of, read_query, text, truth
from foretwin.twin.ingest.release import release
from foretwin.twin.store import listing
from foretwin.twin.store.casework import audit, events

REASONS = ("unit", "range", "type", "order", "run", "clock", "conflict", "unknown", "undecodable")
QUARANTINE = Listing(
    listing.QUARANTINE_SORTS, {"twin": text, "asset": text, "reason": one_of(*REASONS), "released": truth}
)
STATES = ("waiting", "delivered", "dead", "unknown")
DELIVERIES = Listing(listing.DELIVERY_SORTS, {"state": one_of(*STATES), "target": text})


def get_quarantine(call: Call) -> dict[str, Any]:
    """GET /v1/quarantine: what was set aside, and why."""
    page, given = QUARANTINE.read(call.query)
    released = given.pop("released", None)
    with call.store.read() as connection:
        rows = listing.list_quarantine(connection, one_more(page), given, released, call.caller.bounds)
    return answer_page(call.route, call.query, page, rows, rows)


def post_release(call: Call) -> dict[str, Any]:
    """POST /v1/quarantine/{message}/release: store it after all, whatever its clock and run say."""
    read_query(call.query, {})
    receipt = release(call.store, call.contracts, call.number("message"), call.actor, call.now)
    if receipt.rejected:
        again = receipt.rejected[0]
        raise Conflict(again.field, f"is refused again ({again.reason}): {again.detail}")
    return {name: getattr(receipt, name) for name in ("stored", "duplicates", "late", "gaps")}


def post_revival(call: Call) -> dict[str, Any]:
    """POST /v1/deliveries/revive: have those that were given up sent again."""
    read_query(call.query, {})
    with call.store.write() as connection:
        revived = events.revive(connection, None, call.now)
        audit.record(connection, call.actor, "deliveries.revived", {"deliveries": revived}, call.now)
    return {"revived": revived}


def get_deliveries(call: Call) -> dict[str, Any]:
    """GET /v1/deliveries: events on their way to others; of `state` dead those that were given up."""
    page, given = DELIVERIES.read(call.query)
    with call.store.read() as connection:
        rows = listing.list_deliveries(connection, one_more(page), given)
    return answer_page(call.route, call.query, page, rows, rows)
