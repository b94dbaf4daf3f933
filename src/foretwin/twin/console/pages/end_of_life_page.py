"""What the end of life of one machine is decided on, as a page and as a file."""

from starlette.responses import Response

from foretwin.twin.console.pages.happenings import VERDICTS, WORKS
from foretwin.twin.console.visits import Visit


async def show_end_of_life(visit: Visit) -> Response:
    """GET /machines/{asset}/end-of-life: running time, loads, condition, repairs, and what nobody has told."""
    place = _place(visit)
    report = await visit.calls.get(place)
    return visit.render("end_of_life.html", report=report, works=WORKS, verdicts=VERDICTS)


async def send_end_of_life(visit: Visit) -> Response:
    """GET /machines/{asset}/end-of-life.json: the same as a file."""
    content = await visit.calls.get_bytes(_place(visit))
    named = 'attachment; filename="foretwin-end-of-life.json"'
    return Response(content, media_type="application/json", headers={"Content-Disposition": named})


def _place(visit: Visit) -> str:
    return f"/v1/twins/{visit.path['asset']}/end-of-life"
