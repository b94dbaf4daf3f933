"""The lists of the pages as CSV files, with the filters of the page."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.responses import Response

from foretwin.twin.console.csv_rows import CSV_TYPE, write_csv
from foretwin.twin.console.inner_calls import Refused
from foretwin.twin.console.pages.fleet_page import asked_of_list
from foretwin.twin.console.visits import Visit

LISTS = {
    "machines": "/v1/twins",
    **{name: f"/v1/{name}" for name in ("cases", "calendar", "parts", "quarantine", "deliveries", "usage")},
}
PAGED = ("machines", "cases", "quarantine", "deliveries")
MOST_ROWS, PER_CALL = 10_000, 1000


async def send_list(visit: Visit) -> Response:
    """GET /lists/{name}.csv: all rows of a list, of which a file holds so many; with more it asks for a filter."""
    name = visit.path["name"]
    if name not in LISTS:
        raise Refused(404, "path", "is no list")
    query = asked_of_list(visit) | ({"limit": str(PER_CALL)} if name in PAGED else {})
    rows: list[dict[str, Any]] = []
    path: str | None = LISTS[name]
    while path is not None:
        answer = await visit.calls.get(path, query)
        rows += answer["items"]
        following = urlsplit(answer.get("next") or "")
        path, query = following.path or None, dict(parse_qsl(following.query))
        if len(rows) > MOST_ROWS:
            raise Refused(422, "rows", visit.words.text("are more than {n}; filter the list first", n=MOST_ROWS))
    named = f'attachment; filename="foretwin-{name}.csv"'
    return Response(write_csv(rows), headers={"Content-Type": CSV_TYPE, "Content-Disposition": named})
