"""What tells an open page that something has changed, so that it looks again."""

from starlette.responses import Response

from foretwin.twin.console.sessions import SESSION
from foretwin.twin.console.visits import Visit


async def follow_events(visit: Visit) -> Response:
    """GET /events: server-sent events of the machines that the visitor sees, until his session ends."""
    sessions, cookie = visit.desk.sessions, visit.request.cookies.get(SESSION)
    return visit.calls.follow(
        "/v1/events", visit.query, lambda: visit.desk.is_open or sessions.find(cookie) is not None
    )
