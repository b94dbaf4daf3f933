"""Key figures, the monitor, and what waits in the quarantine, in the frame of the console."""

from starlette.responses import Response

from foretwin.twin.console.inner_calls import Refused
from foretwin.twin.console.pages.fleet_page import asked_of_list, page_after
from foretwin.twin.console.visits import Visit, go_to, send_form
from foretwin.twin.kpis.page import key_figure_values
from foretwin.twin.monitoring.page import report_values

SHOWN = "50"


async def show_key_figures(visit: Visit) -> Response:
    """GET /key-figures: what was foreseen, missed, avoided and saved."""
    asked = {name: value for name, value in visit.query.items() if name in ("twin", "period", "since", "until")}
    reports = (await visit.calls.get("/v1/kpis", asked))["twins"]
    return visit.render("key_figures.html", **key_figure_values(reports))


async def show_monitors(visit: Visit) -> Response:
    """GET /monitor: the twins that the monitor looks at."""
    overview = await visit.calls.get("/v1/overview")
    return visit.render("monitors.html", twins=sorted({one["twin"] for one in overview["assets"]}))


async def show_monitor(visit: Visit) -> Response:
    """GET /monitor/{twin}: its last look at a twin's data and scores."""
    twin = visit.path["twin"]
    report = await visit.calls.get(f"/v1/monitor/{twin}")
    return visit.render("monitor.html", **report_values(report, twin))


async def show_quarantine(visit: Visit, problem: Refused | None = None) -> Response:
    """GET /quarantine: what was set aside and not released yet."""
    query = {"sort": "-received_at", **asked_of_list(visit), "limit": SHOWN, "released": "false"}
    listed = await visit.calls.get("/v1/quarantine", query)
    status = problem.status if problem else 200
    after = page_after(listed["next"], "/quarantine")
    return visit.render("quarantine.html", status, held=listed["items"], problem=problem, following=after)


async def keep_release(visit: Visit) -> Response:
    """POST /quarantine/{message}/release: store it after all."""
    release = f"/v1/quarantine/{visit.path['message']}/release"
    return await send_form(visit, release, {}, show_quarantine, go_to("/quarantine"))
