"""What is due, week by week and by site, and the parts that it needs."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from starlette.responses import Response

from foretwin.serving.access.keys import feed_token
from foretwin.twin.console.pages.fleet_page import asked_of_list
from foretwin.twin.console.pages.happenings import STATES
from foretwin.twin.console.visits import Visit, page_url

Item = Mapping[str, Any]
MOST = 120  # cases that a page shows, the next ones: the file and the feed have all
DAYS = "90"


async def show_calendar(visit: Visit) -> Response:
    """GET /calendar: the cases by week and site, those without a date, and the parts of the next 30 and 90 days."""
    asked = {name: value for name, value in asked_of_list(visit).items() if name in ("tag", "days")}
    found = await visit.calls.get("/v1/calendar", {"days": DAYS, **asked})
    parts = await visit.calls.get("/v1/parts")
    now = datetime.now(UTC)
    token = {"feed": feed_token(visit.session.key)} if visit.session else {}
    tag = {"tag": asked["tag"]} if "tag" in asked else {}
    return visit.render(
        "calendar.html",
        weeks=by_week(visit, found["items"][:MOST], now),
        hidden=max(len(found["items"]) - MOST, 0),
        more=found["more"],
        undated=found["undated"][:MOST],
        parts=parts["items"],
        left_out=parts["left_out"],
        feed=None
        if visit.session and visit.session.id_token  # whose key ends with the session
        else visit.origin + page_url("/v1/calendar.ics", **{**token, **tag, "days": "365"}),
        asked={"tag": asked.get("tag", ""), "days": asked.get("days", DAYS)},
        chosen=asked,
        states=STATES,
        now=now,
    )


def by_week(visit: Visit, items: Sequence[Item], now: datetime) -> list[dict[str, Any]]:
    """Return the weeks in which something is due: their Monday, whether they are over, and their items by site."""
    weeks: dict[date, dict[str, list[Item]]] = {}
    for one in items:
        day = datetime.fromisoformat(one["due_at"]).astimezone(visit.words.zone).date()
        monday = day - timedelta(days=day.weekday())
        weeks.setdefault(monday, {}).setdefault(one["site"], []).append(one)
    today = now.astimezone(visit.words.zone).date()
    this_week = today - timedelta(days=today.weekday())
    return [
        {"number": monday.isocalendar().week, "begin": monday, "is_over": monday < this_week, "sites": sites}
        for monday, sites in sorted(weeks.items())
    ]
