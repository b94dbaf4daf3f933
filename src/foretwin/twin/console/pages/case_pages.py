"""The page of one case: why, until when, with which part; who looks after it, what was said, what was found."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import Response

from foretwin.twin.console.inner_calls import Refused
from foretwin.twin.console.machine_code import machine_code
from foretwin.twin.console.pages.happenings import CLOSINGS, STATES, VERDICTS, tell_entry
from foretwin.twin.console.uploads import Upload
from foretwin.twin.console.visits import Visit, go_to, send_form

VERDICT = ("verdict", "fault", "serial_number", "note")
DAY = timedelta(days=1)
NO_PICTURE = Upload("", "image/jpeg", b"")
AS_EXPECTED = 0.1  # share of the life left a day ago by which the present one may differ from what time explains


async def show_case_page(visit: Visit, problem: Refused | None = None) -> Response:
    """GET /cases/{case}: one case, with its service request and the forms of what can be done."""
    place = f"/v1/cases/{visit.path['case']}"
    case = await visit.calls.get(place)
    thread, request, contract, similar = [], None, None, []
    if case["asset"] is not None:
        machine = f"/v1/twins/{case['asset']}"
        request = await _unless_refused(visit, f"{place}/service-request")
        contract = await _unless_refused(visit, f"{machine}/contract")
        thread = (await visit.calls.get(f"{machine}/thread", {"limit": "1000"}))["entries"]
        similar = (await visit.calls.get(f"{place}/similar"))["items"]
    happened = [one for one in thread if one.get("case") == case["id"]]
    return visit.render(
        "case.html",
        problem.status if problem else 200,
        case=case,
        request=request,
        contract=contract,
        faults=_faults(contract) if contract else [],
        steps=_steps(request["instruction"]) if request else [],
        verdict=next((one for one in happened if one["kind"] == "verdict"), None),
        verdicts=VERDICTS,
        closings=CLOSINGS,
        states=STATES,
        happened=[one for one in reversed(happened) if one["kind"] != "comment"],
        entry_text=lambda entry: tell_entry(entry, visit.words),
        comments=(await visit.calls.get(f"{place}/comments"))["items"],
        similar=similar,
        photos=(await visit.calls.get(f"{place}/photos"))["items"],
        code=machine_code(visit, case["asset"]) if case["asset"] else "",
        unit=contract["clock"]["unit"] if contract else "",
        change=await _change_since_yesterday(visit, case),
        me=visit.session.name if visit.session else "",
        now=datetime.now(UTC),
        problem=problem,
        form=visit.form,
    )


async def keep_acknowledgement(visit: Visit) -> Response:
    """POST /cases/{case}/acknowledge: somebody takes it on."""
    return await _kept(visit, "acknowledge", {})


async def keep_move(visit: Visit) -> Response:
    """POST /cases/{case}/move: to another column of the board."""
    planned = visit.form.get("planned_for")
    told = {"planned_for": visit.words.day(planned)} if planned else {}
    return await _kept(visit, "move", {"state": visit.form.get("state", ""), **told})


async def keep_assignment(visit: Visit) -> Response:
    """POST /cases/{case}/assign: who looks after it."""
    return await _kept(visit, "assign", {"person": visit.form.get("person") or None})


async def keep_rest(visit: Visit) -> Response:
    """POST /cases/{case}/snooze: until when it rests, and why."""
    until, reason = visit.form.get("until"), visit.form.get("reason")
    told = {"until": visit.words.day(until)} if until else {}
    return await _kept(visit, "snooze", told | ({"reason": reason} if reason else {}))


async def keep_comment(visit: Visit) -> Response:
    """POST /cases/{case}/comments: what somebody says."""
    return await _kept(visit, "comments", {"text": visit.form.get("text", "")})


async def keep_photo(visit: Visit) -> Response:
    """POST /cases/{case}/photos: what somebody saw."""
    number = visit.path["case"]
    sent = visit.upload or NO_PICTURE
    try:
        await visit.calls.post_bytes(f"/v1/cases/{number}/photos", sent.content, sent.kind)
    except Refused as refused:
        if refused.status in (401, 403, 404):
            raise
        return await show_case_page(visit, refused)
    return go_to("/cases", number)


async def send_photo(visit: Visit) -> Response:
    """GET /cases/{case}/photos/{photo}: one picture."""
    place = f"/v1/cases/{visit.path['case']}/photos/{visit.path['photo']}"
    return Response(await visit.calls.get_bytes(place), media_type="image/jpeg")


async def keep_verdict(visit: Visit) -> Response:
    """POST /cases/{case}/verdict: what was found."""
    return await _kept(visit, "verdict", {name: visit.form[name] for name in VERDICT if visit.form.get(name)})


async def _kept(visit: Visit, action: str, content: Mapping[str, str | None]) -> Response:
    number = visit.path["case"]
    return await send_form(visit, f"/v1/cases/{number}/{action}", content, show_case_page, go_to("/cases", number))


async def _change_since_yesterday(visit: Visit, case: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what the model said a day ago of the same life, and how far the present answer is from what time explains.

    None without such a score. `extra` is what is left beyond that, in the unit of the clock, `is_expected` for little.
    """
    if case["asset"] is None or case["rul"] is None:
        return None
    until = datetime.fromisoformat(case["scored_at"]) - DAY
    query = {"run": str(case["run"]), "until": until.isoformat(), "sort": "-scored_at", "limit": "1"}
    found = (await visit.calls.get(f"/v1/twins/{case['asset']}/scores", query))["items"]
    if not found or "rul" not in found[0]:
        return None
    before, passed = found[0], case["time"] - found[0]["time"]
    extra = case["rul"] - (before["rul"]["value"] - passed)
    is_expected = abs(extra) <= AS_EXPECTED * before["rul"]["value"]
    return {"before": before, "passed": passed, "extra": extra, "is_expected": is_expected}


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
