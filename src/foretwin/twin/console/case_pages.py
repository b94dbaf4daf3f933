"""The list of cases, and the page of one: why, until when, with which part, and what was found."""

import re
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from foretwin.twin.console.fleet_page import asked_of_list, page_after
from foretwin.twin.console.happenings import CLOSINGS, VERDICTS
from foretwin.twin.console.inner_calls import Refused
from foretwin.twin.console.visits import Visit, go_to

FILTERS = ("state", "severity", "twin", "asset")
SHOWN = "50"
VERDICT = ("verdict", "fault", "serial_number", "note")


async def show_cases(visit: Visit) -> Response:
    """GET /cases: the open ones, the most pressing first, unless others are asked for."""
    asked = asked_of_list(visit)
    state = asked.get("state", "open")
    query = {"sort": "rul_low", **asked, "limit": SHOWN, "state": state}
    listed = await visit.calls.get("/v1/cases", query)
    chosen = {name: asked.get(name, "") for name in FILTERS} | {"state": state}
    return visit.render(
        "cases.html", cases=listed["items"], asked=chosen, following=page_after(listed["next"], "/cases")
    )


async def show_case_page(visit: Visit, problem: Refused | None = None) -> Response:
    """GET /cases/{case}: one case, with its service request and the verdict's form."""
    place = f"/v1/cases/{visit.path['case']}"
    case = await visit.calls.get(place)
    request, contract, verdict = None, None, None
    if case["asset"] is not None:
        machine = f"/v1/twins/{case['asset']}"
        request = await _unless_refused(visit, f"{place}/service-request")
        contract = await _unless_refused(visit, f"{machine}/contract")
        if case["state"] == "closed":
            thread = (await visit.calls.get(f"{machine}/thread", {"limit": "1000"}))["entries"]
            verdict = next((one for one in thread if one["kind"] == "verdict" and one["case"] == case["id"]), None)
    return visit.render(
        "case.html",
        problem.status if problem else 200,
        case=case,
        request=request,
        faults=_faults(contract) if contract else [],
        steps=_steps(request["instruction"]) if request else [],
        verdict=verdict,
        verdicts=VERDICTS,
        closings=CLOSINGS,
        problem=problem,
        form=visit.form,
    )


async def keep_acknowledgement(visit: Visit) -> Response:
    """POST /cases/{case}/acknowledge: somebody takes it on."""
    return await _kept(visit, "acknowledge", {})


async def keep_verdict(visit: Visit) -> Response:
    """POST /cases/{case}/verdict: what was found."""
    return await _kept(visit, "verdict", {name: visit.form[name] for name in VERDICT if visit.form.get(name)})


async def _kept(visit: Visit, action: str, content: Mapping[str, str]) -> Response:
    number = visit.path["case"]
    try:
        await visit.calls.post(f"/v1/cases/{number}/{action}", content)
    except Refused as refused:
        if refused.status in (401, 404):
            raise
        return await show_case_page(visit, refused)
    return go_to("/cases", number)


async def _unless_refused(visit: Visit, path: str) -> Any:
    """Return what the API answers; None where the case has no such thing, as one of a whole fleet has not."""
    try:
        return await visit.calls.get(path)
    except Refused as refused:
        if refused.status in (404, 422):
            return None
        raise


def _faults(contract: Mapping[str, Any]) -> list[str]:
    return [
        f"{axis}.{name}"
        for axis, one in contract["faults"].items()
        for name, remedy in one["classes"].items()
        if remedy
    ]


def _steps(instruction: str) -> list[str]:
    """Return the sentences of an instruction, to be ticked off one by one."""
    parts = [part.strip(" .") for part in re.split(r"[;\n]|\.\s", instruction)]
    return [part[0].upper() + part[1:] for part in parts if part]
