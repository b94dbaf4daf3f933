"""The page of one machine: its course, what would be otherwise, what was done, what happened."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from foretwin.twin.console.inner_calls import Refused
from foretwin.twin.console.pages.happenings import WORKS, tell_entry
from foretwin.twin.console.visits import Visit, go_to, send_form

MOST_POINTS, MOST_VALUES = 400, 4000  # of a chart, as its pixels tell apart; of all charts, for less than 100 kB
ENTRIES = 80  # of the thread
REASONS = 5  # channels of an explanation: those that move the answer most
SETTING = "set."  # before the names of settings in the form of a what-if question
WORK = ("kind", "part", "channel", "serial_number", "note")


async def show_machine(visit: Visit, problem: Refused | None = None) -> Response:
    """GET /machines/{asset}: everything about one machine; with settings in the query, what they would change."""
    place = f"/v1/twins/{visit.path['asset']}"
    machine = await visit.calls.get(place)
    contract = await visit.calls.get(f"{place}/contract")
    thread, no_past = await _thread(visit, place)
    settings = {name: one for name, one in contract["channels"].items() if one["role"] == "setting"}
    chosen = {name: visit.query[SETTING + name] for name in settings if SETTING + name in visit.query}
    outlook, objection = await _outlook(visit, place, chosen)
    reasons, unexplained = await _reasons(visit, place)
    return visit.render(
        "machine.html",
        problem.status if problem else 200,
        machine=machine,
        contract=contract,
        entries=list(reversed(thread["entries"])),
        known=thread.get("state"),
        no_past=no_past,
        at=visit.query.get("at", ""),
        entry_text=lambda entry: tell_entry(entry, visit.words),
        works=WORKS,
        sensors=[name for name, one in contract["channels"].items() if one["role"] == "sensor"],
        settings=settings if contract["rul"] else {},
        chosen=chosen,
        present=await _present(visit, place) if settings and contract["rul"] else {},
        outlook=outlook,
        objection=objection,
        reasons=reasons,
        unexplained=unexplained,
        parts_known=parts_in(contract),
        problem=problem,
        form=visit.form,
        run=visit.query.get("run", ""),
    )


async def send_series(visit: Visit) -> Response:
    """GET /machines/{asset}/series: the numbers of its charts."""
    place = f"/v1/twins/{visit.path['asset']}"
    channels = (await visit.calls.get(f"{place}/contract"))["channels"]
    query = {"points": str(max(2, min(MOST_POINTS, MOST_VALUES // len(channels))))}
    if "run" in visit.query:
        query["run"] = visit.query["run"]
    body = await visit.calls.get_bytes(f"{place}/series", query)
    return Response(body, media_type="application/json")


async def send_spectrum(visit: Visit) -> Response:
    """GET /machines/{asset}/spectrum: the numbers of its spectra."""
    body = await visit.calls.get_bytes(f"/v1/twins/{visit.path['asset']}/spectrum")
    return Response(body, media_type="application/json")


async def keep_maintenance(visit: Visit) -> Response:
    """POST /machines/{asset}/maintenance: record what was done without a case, a failure included."""
    work = {name: visit.form[name] for name in WORK if visit.form.get(name)}
    asset = visit.path["asset"]
    return await send_form(visit, f"/v1/twins/{asset}/maintenance", work, show_machine, go_to("/machines", asset))


def parts_in(contract: Mapping[str, Any]) -> list[str]:
    """Return the parts that the remedies of a contract name."""
    remedies = [(contract["rul"] or {}).get("remedy")]
    remedies += [remedy for axis in contract["faults"].values() for remedy in axis["classes"].values()]
    return sorted({remedy["part"] for remedy in remedies if remedy})


async def _outlook(
    visit: Visit, place: str, chosen: Mapping[str, str]
) -> tuple[Sequence[Mapping[str, Any]] | None, Refused | None]:
    """Return what the machine would last with these settings and as now, or why nobody can say."""
    if not chosen:
        return None, None
    try:
        wanted = {name: float(value.replace(",", ".")) for name, value in chosen.items()}
    except ValueError:
        return None, Refused(422, "settings", visit.words.text("a number is needed"))
    option = {"name": visit.words.text("otherwise"), "settings": wanted}
    try:
        answer = await visit.calls.post(f"{place}/what-if", {"options": [option]})
    except Refused as refused:
        if refused.status == 401:
            raise
        return None, refused
    asked = {bool(one["settings"]): one for one in answer["options"]}
    return [asked[True], asked[False], {"warnings": answer["warnings"]}], None


async def _thread(visit: Visit, place: str) -> tuple[Mapping[str, Any], Refused | None]:
    """Return the thread until the moment that was asked for, or all of it and why that moment cannot be."""
    if "at" not in visit.query:
        return await visit.calls.get(f"{place}/thread", {"limit": ENTRIES}), None
    try:
        at = visit.words.site_moment(visit.query["at"])
        return await visit.calls.get(f"{place}/thread", {"limit": ENTRIES, "at": at}), None
    except Refused as refused:
        if refused.status == 401:
            raise
        return await visit.calls.get(f"{place}/thread", {"limit": ENTRIES}), refused


async def _present(visit: Visit, place: str) -> Mapping[str, Any]:
    """Return what each channel of the newest reading says; nothing where there is none."""
    newest = (await visit.calls.get(f"{place}/readings", {"sort": "-time", "limit": "1"}))["items"]
    return newest[0]["channels"] if newest else {}


async def _reasons(visit: Visit, place: str) -> tuple[Sequence[Mapping[str, Any]] | None, Refused | None]:
    """Return what moves each answer, the most first, or why nobody can say; nothing where it was not asked."""
    if "why" not in visit.query:
        return None, None
    try:
        questions = (await visit.calls.post(f"{place}/explain", {}))["questions"]
    except Refused as refused:
        if refused.status == 401:
            raise
        return None, refused
    told = []
    for name, one in questions.items():
        moved = sorted(one["contributions"].items(), key=lambda item: -abs(item[1]))[:REASONS]
        told.append({**one, "is_rul": name == "rul", "moved": moved, "most": max(abs(moved[0][1]), 1e-9)})
    return told, None
