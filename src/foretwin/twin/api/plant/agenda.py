"""What is due: as a list, as a calendar that others subscribe to, and the parts that it needs."""

from datetime import timedelta
from typing import Any

from starlette.responses import Response

from foretwin.twin.api.call import Call
from foretwin.twin.api.paging import Reader, read_query, read_tag, text, whole_number
from foretwin.twin.cases.agenda import agenda
from foretwin.twin.cases.icalendar import CONTENT_TYPE, write_calendar
from foretwin.twin.cases.part_needs import part_needs

FARTHEST = 3650  # days ahead
USUAL = 90
CALENDAR: dict[str, Reader] = {"days": whole_number(1, FARTHEST), "tag": read_tag}
FEED: dict[str, Reader] = {**CALENDAR, "feed": text}


def get_calendar(call: Call) -> dict[str, Any]:
    """GET /v1/calendar: the open cases that are due within so many `days`, by their dates."""
    return _due(call, read_query(call.query, CALENDAR))


def get_calendar_file(call: Call) -> Response:
    """GET /v1/calendar.ics: the same for calendars, which name themselves by `feed` where they send no key."""
    found = _due(call, read_query(call.query, FEED))
    page = f"{call.origin}/cases"
    content = write_calendar(found["items"], call.living.zone, page, call.now)
    return Response(content, headers={"Content-Type": CONTENT_TYPE})


def get_parts(call: Call) -> dict[str, Any]:
    """GET /v1/parts: the parts needed in the next 30 and 90 days, by site."""
    read_query(call.query, {})
    with call.store.read() as connection:
        return part_needs(connection, call.contracts, call.caller.bounds, call.now)


def _due(call: Call, given: dict[str, Any]) -> dict[str, Any]:
    until = call.now + timedelta(days=given.get("days", USUAL))
    with call.store.read() as connection:
        return agenda(connection, call.contracts, until, given.get("tag"), call.caller.bounds)
