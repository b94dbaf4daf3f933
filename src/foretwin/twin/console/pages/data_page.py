"""How good what comes in is, machine by machine, and what others were never told."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from foretwin.twin.console.inner_calls import Refused
from foretwin.twin.console.pages.fleet_page import asked_of_list
from foretwin.twin.console.visits import Visit, go_to

COUNTS = {"gaps": "Gaps", "late": "Late", "duplicates": "Twice", "quarantined": "In quarantine"}
SORTED = {"quarantined": "-quarantined", "late": "-late"}  # by which the API sorts
SHOWN, DEAD = "50", "20"


async def show_data_quality(visit: Visit, problem: Refused | None = None) -> Response:
    """GET /data: the machines with the worst data first, and the deliveries that were given up."""
    asked = asked_of_list(visit)
    sort = SORTED.get(asked.get("by", ""), "-quarantined")
    narrowed = {name: asked[name] for name in ("twin", "tag", "search") if name in asked}
    listed = await visit.calls.get("/v1/twins", narrowed | {"sort": sort, "limit": SHOWN})
    return visit.render(
        "data.html",
        problem.status if problem else 200,
        machines=[{**one, "shares": shares_of(one["counters"])} for one in listed["items"]],
        counts=COUNTS,
        sort=sort,
        asked={name: narrowed.get(name, "") for name in ("tag", "search")},
        dead=await _given_up(visit),
        problem=problem,
    )


async def keep_revival(visit: Visit) -> Response:
    """POST /deliveries/revive: send again what was given up."""
    await visit.calls.post("/v1/deliveries/revive", {})
    return go_to("/data")


def shares_of(counters: Mapping[str, int]) -> dict[str, float | None]:
    """Return each count as a share of all that came; None where nothing came."""
    came = counters["readings"] + counters["duplicates"] + counters["quarantined"]
    return {name: counters[name] / came if came else None for name in COUNTS}


async def _given_up(visit: Visit) -> list[Any] | None:
    """Return the deliveries that were given up, or may not have come; None for a key that is bound."""
    asked = {"sort": "-due_at", "limit": DEAD}
    try:
        found = [await visit.calls.get("/v1/deliveries", asked | {"state": state}) for state in ("dead", "unknown")]
    except Refused as refused:
        if refused.status == 403:
            return None
        raise
    return [one for page in found for one in page["items"]]
