"""The board of cases, each column by the latest safe date; and the list of those in one state."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from foretwin.twin.console.pages.fleet_page import asked_of_list, page_after
from foretwin.twin.console.pages.happenings import CLOSINGS, STATES
from foretwin.twin.console.visits import Visit

FILTERS = ("severity", "twin", "asset", "fault", "tag", "assignee", "snoozed")
SHOWN = "50"  # cases of a page of the list
CARDS = 12  # of one column
DONE = "6"


async def show_board(visit: Visit) -> Response:
    """GET /cases: the board, narrowed by filters; with a state, or what rests, those cases as a list."""
    asked = asked_of_list(visit)
    if "state" in asked or "snoozed" in asked:
        return await _show_list(visit, asked)
    chosen = {name: asked[name] for name in FILTERS if name in asked}
    states = [state for state in STATES if state != "closed"]
    now = datetime.now(UTC)
    first = {"sort": "latest_safe_date", "limit": str(CARDS), "snoozed": "false"}
    last = {"sort": "-updated_at", "limit": DONE, "state": "closed"}
    rest = {"sort": "latest_safe_date", "limit": str(CARDS), "snoozed": "true"}
    wanted = [*({**first, "state": state} for state in states), last, rest]
    *columns, done, resting = await asyncio.gather(*(visit.calls.get("/v1/cases", chosen | one) for one in wanted))
    overview = await visit.calls.get("/v1/overview")
    return visit.render(
        "board.html",
        columns=dict(zip(states, columns, strict=True)),
        done=done["items"],
        resting=[one for one in resting["items"] if one["state"] != "closed"],
        states=STATES,
        closings=CLOSINGS,
        asked={name: chosen.get(name, "") for name in FILTERS},
        chosen=chosen,
        twins=sorted({one["twin"] for one in overview["assets"]}),
        me=visit.session.name if visit.session else "",
        now=now,
    )


async def _show_list(visit: Visit, asked: Mapping[str, str]) -> Response:
    sort = "-updated_at" if asked.get("state") == "closed" else "latest_safe_date"
    listed: dict[str, Any] = await visit.calls.get("/v1/cases", {"sort": sort, **asked, "limit": SHOWN})
    return visit.render(
        "cases.html",
        cases=listed["items"],
        asked={name: asked.get(name, "") for name in ("state", *FILTERS)},
        others={name: asked[name] for name in FILTERS if name in asked and name != "snoozed"},
        states=STATES,
        following=page_after(listed["next"], "/cases"),
        now=datetime.now(UTC),
    )
