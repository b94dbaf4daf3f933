"""What each owner's machines used, month by month."""

from itertools import groupby
from operator import itemgetter
from typing import Any

from starlette.responses import Response

from foretwin.twin.console.pages.fleet_page import asked_of_list
from foretwin.twin.console.visits import Visit

MOST = 500  # lines of the page; the file has all
BATCH_TYPE = "application/cloudevents-batch+json"
COUNTED = ("readings", "scores")


async def show_usage(visit: Visit) -> Response:
    """GET /usage: readings and scores by month, owner and twin."""
    asked = _asked(visit)
    items = (await visit.calls.get("/v1/usage", asked))["items"]
    months = [_month(name, list(lines)) for name, lines in groupby(items[:MOST], itemgetter("month"))]
    hidden = max(len(items) - MOST, 0)
    chosen = {name: asked.get(name, "") for name in ("since", "until")}
    return visit.render("usage.html", months=months, hidden=hidden, asked=asked, chosen=chosen)


async def send_events(visit: Visit) -> Response:
    """GET /usage/events: the months that are over as a file of CloudEvents."""
    events = await visit.calls.get_bytes("/v1/usage/events", _asked(visit))
    named = 'attachment; filename="foretwin-usage.json"'
    return Response(events, headers={"Content-Type": BATCH_TYPE, "Content-Disposition": named})


def _asked(visit: Visit) -> dict[str, str]:
    return {name: value for name, value in asked_of_list(visit).items() if name in ("since", "until")}


def _month(name: str, lines: list[dict[str, Any]]) -> dict[str, Any]:
    sums = {kind: sum(line[kind] for line in lines) for kind in COUNTED}
    return {"name": name, "lines": lines, "is_over": lines[0]["is_over"], **sums}
