"""Keys, who is signed in, and where else people sign in, for administrators of the whole plant."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from foretwin.twin.console.inner_calls import Refused
from foretwin.twin.console.visits import Visit, go_to, send_form

PAGE = "/administration"
ROLE_WORDS = {
    "viewer": "Viewer",
    "technician": "Technician",
    "planner": "Planner",
    "engineer": "Engineer",
    "administrator": "Administrator",
}
PROGRAMS: Mapping[str, tuple[str, tuple[str, ...]]] = {  # what programs and machines may, beside the roles of people
    "sender": ("A machine or gateway: sends readings", ("ingest",)),
    "scorer": ("A program: asks for scores", ("score", "read")),
    "assistant": ("An assistant: reads, acknowledges, gives verdicts", ("read", "score", "assist")),
}
PATTERNS = ("twins", "assets", "owners")
GONE = ("revoked", "expired")


async def show_administration(visit: Visit, problem: Refused | None = None, made: Any = None) -> Response:
    """GET /administration: the keys, who is signed in, and how the provider's people get their roles."""
    keys = await visit.calls.get("/v1/keys")
    sessions = (await visit.calls.get("/v1/sessions"))["items"]
    counting = [one for one in keys["items"] if one["state"] not in GONE]
    return visit.render(
        "administration.html",
        problem.status if problem else 200,
        problem=problem,
        made=made,
        is_open=keys["is_open"],
        keys=counting,
        gone=[one for one in reversed(keys["items"]) if one["state"] in GONE],
        sessions=sessions,
        provider=await visit.calls.get("/v1/identity-provider"),
        roles=ROLE_WORDS,
        programs={name: words for name, (words, _) in PROGRAMS.items()},
        form=visit.form if problem else {},
    )


async def keep_key(visit: Visit) -> Response:
    """POST /keys: make a key, and show it this once: the answer is the page itself, which no browser keeps."""
    form = visit.form
    told: dict[str, Any] = {"name": form.get("name", "")}
    kind = form.get("role", "")
    told |= {"scopes": PROGRAMS[kind][1]} if kind in PROGRAMS else {"role": kind} if kind else {}
    told |= {name: patterns for name in PATTERNS if (patterns := form.get(name, "").split("\n")) != [""]}
    told |= {name: [one.strip() for one in told[name] if one.strip()] for name in PATTERNS if name in told}
    try:
        if form.get("days"):
            told["days"] = _days(visit, form["days"])
        made = await visit.calls.post("/v1/keys", told)
    except Refused as refused:
        if refused.status in (401, 403):
            raise
        return await show_administration(visit, refused)
    return await show_administration(visit, made=made)


async def keep_revocation(visit: Visit) -> Response:
    """POST /keys/{key}/revoke: a key counts no more."""
    return await send_form(visit, f"/v1/keys/{visit.path['key']}/revoke", {}, show_administration, go_to(PAGE))


async def keep_session_end(visit: Visit) -> Response:
    """POST /sessions/{session}/end: sign somebody out."""
    return await send_form(visit, f"/v1/sessions/{visit.path['session']}/end", {}, show_administration, go_to(PAGE))


def _days(visit: Visit, value: str) -> float:
    try:
        return float(value.replace(",", "."))
    except ValueError:
        raise Refused(422, "days", visit.words.text("a number is needed")) from None
