"""The pages and their addresses, as routes of `foretwin live`."""

import os
from collections.abc import Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from foretwin.errors import NotFound
from foretwin.serving.access.authentication import Guard
from foretwin.twin.console.pages import (
    board_page,
    calendar_page,
    case_pages,
    data_page,
    downloads,
    end_of_life_page,
    fleet_page,
    live_page,
    machine_page,
    model_pages,
    new_type_page,
    sign_in,
    upkeep_pages,
)
from foretwin.twin.console.pages.administration import access_page, retention_page, usage_page
from foretwin.twin.console.provider_settings import provider_from_env
from foretwin.twin.console.visits import HEADERS, Desk, Page, page_end_point

STATIC = Path(__file__).parent / "static"
FILES = ("console.css", "live.js", "charts.js", "spectrum.js", "what-if.js", "uplot.js", "uplot.css", "mark.svg")
PAGES: Mapping[tuple[str, str], Page] = {
    ("GET", "/events"): live_page.follow_events,
    ("GET", "/machines/{asset}"): machine_page.show_machine,
    ("GET", "/machines/{asset}/series"): machine_page.send_series,
    ("GET", "/machines/{asset}/spectrum"): machine_page.send_spectrum,
    ("POST", "/machines/{asset}/maintenance"): machine_page.keep_maintenance,
    ("GET", "/machines/{asset}/end-of-life"): end_of_life_page.show_end_of_life,
    ("GET", "/machines/{asset}/end-of-life.json"): end_of_life_page.send_end_of_life,
    ("GET", "/cases"): board_page.show_board,
    ("GET", "/cases/{case}"): case_pages.show_case_page,
    ("POST", "/cases/{case}/acknowledge"): case_pages.keep_acknowledgement,
    ("POST", "/cases/{case}/move"): case_pages.keep_move,
    ("POST", "/cases/{case}/assign"): case_pages.keep_assignment,
    ("POST", "/cases/{case}/snooze"): case_pages.keep_rest,
    ("POST", "/cases/{case}/comments"): case_pages.keep_comment,
    ("POST", "/cases/{case}/photos"): case_pages.keep_photo,
    ("GET", "/cases/{case}/photos/{photo}"): case_pages.send_photo,
    ("POST", "/cases/{case}/verdict"): case_pages.keep_verdict,
    ("GET", "/calendar"): calendar_page.show_calendar,
    ("GET", "/lists/{name}.csv"): downloads.send_list,
    ("GET", "/key-figures"): upkeep_pages.show_key_figures,
    ("GET", "/monitor"): upkeep_pages.show_monitors,
    ("GET", "/monitor/{twin}"): upkeep_pages.show_monitor,
    ("GET", "/models"): model_pages.show_models,
    ("GET", "/models/{twin}"): model_pages.show_model,
    ("GET", "/models/{twin}/card"): model_pages.send_card,
    ("POST", "/models/{twin}/rollback"): model_pages.keep_rollback,
    ("GET", "/data"): data_page.show_data_quality,
    ("POST", "/deliveries/revive"): data_page.keep_revival,
    ("GET", "/quarantine"): upkeep_pages.show_quarantine,
    ("POST", "/quarantine/{message}/release"): upkeep_pages.keep_release,
    ("GET", "/machine-types"): new_type_page.show_new_type,
    ("POST", "/machine-types/upload"): new_type_page.keep_file,
    ("POST", "/machine-types/columns"): new_type_page.keep_columns,
    ("POST", "/machine-types/draft"): new_type_page.keep_draft,
    ("POST", "/machine-types/build"): new_type_page.keep_build,
    ("POST", "/machine-types/discard"): new_type_page.keep_discard,
    ("GET", "/usage"): usage_page.show_usage,
    ("GET", "/usage/events"): usage_page.send_events,
    ("GET", "/administration"): access_page.show_administration,
    ("POST", "/keys"): access_page.keep_key,
    ("POST", "/keys/{key}/revoke"): access_page.keep_revocation,
    ("POST", "/sessions/{session}/end"): access_page.keep_session_end,
    ("GET", "/retention"): retention_page.show_retention,
    ("POST", "/holds"): retention_page.keep_hold,
    ("POST", "/holds/{asset}/lift"): retention_page.keep_hold_lift,
    ("POST", "/sign-out"): sign_in.end_session,
}
FREE_PAGES: Mapping[tuple[str, str], Page] = {  # for everybody
    ("GET", "/sign-in"): sign_in.show_sign_in,
    ("POST", "/sign-in"): sign_in.begin_session,
    ("GET", "/sign-in/provider"): sign_in.leave_for_provider,
    ("GET", sign_in.BACK): sign_in.begin_provider_session,
}
FILES_PATH = "/static/{name}"


class Console:
    """The pages of one server, for whom `guard` admits."""

    def __init__(self, guard: Guard, environ: Mapping[str, str] = os.environ) -> None:
        """ParamsError where FORETWIN_ZONE names no time zone, or a setting of the provider is wrong."""
        self.desk = Desk(guard, provider_from_env(environ))
        self.home = page_end_point(self.desk, fleet_page.show_fleet)

    def routes(self) -> list[Route]:
        """The routes, but for `/`, which is the home of people alone."""
        pages = [(key, page, False) for key, page in PAGES.items()]
        pages += [(key, page, True) for key, page in FREE_PAGES.items()]
        routes = [
            Route(path, page_end_point(self.desk, page, is_free), methods=[method])
            for (method, path), page, is_free in pages
        ]
        return [*routes, Route(FILES_PATH, _file)]


def prefers_page(request: Request) -> bool:
    """Whether who asks is a browser, which says that it takes HTML; a program says nothing of it."""
    return "text/html" in request.headers.get("accept", "")


async def _file(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in FILES:
        raise NotFound("path", "is no file of the pages")
    answer = await StaticFiles(directory=STATIC).get_response(name, request.scope)
    answer.headers.update({**HEADERS, "Cache-Control": "no-cache"})  # 304 while it is the same
    return answer
