"""What is kept of each machine type, for how long, and which machines are held."""

from starlette.responses import Response

from foretwin.twin.console.inner_calls import Refused
from foretwin.twin.console.visits import Visit, go_to, send_form

PAGE = "/retention"
KINDS = {  # what a contract's terms and the archive are about
    "readings": "readings, raw",
    "hours": "hours of readings",
    "scores": "scores",
    "shadow_scores": "scores of models on trial",
    "events": "events and deliveries",
    "quarantine": "what is in quarantine",
    "waveforms": "snapshots of waveforms",
    "audit": "the audit",
}
TERMS = ("readings", "hours", "scores", "events", "quarantine", "waveforms", "audit")


async def show_retention(visit: Visit, problem: Refused | None = None) -> Response:
    """GET /retention: what the contracts say, what the archive holds, what was archived last, and the holds."""
    twins = (await visit.calls.get("/v1/retention"))["items"]
    held = await visit.calls.get("/v1/holds")
    return visit.render(
        "retention.html",
        problem.status if problem else 200,
        problem=problem,
        twins=[one | {"days": _days(one["terms"])} for one in twins],
        kinds=KINDS,
        holds=held["items"],
        more=held["more"],
        form=visit.form if problem else {},
    )


async def keep_hold(visit: Visit) -> Response:
    """POST /holds: keep everything of a machine."""
    told = {name: visit.form.get(name, "") for name in ("asset", "because")}
    return await _send(visit, "/v1/holds", told)


async def keep_hold_lift(visit: Visit) -> Response:
    """POST /holds/{asset}/lift: let a machine's records age out again."""
    return await _send(visit, f"/v1/holds/{visit.path['asset']}/lift", {"because": visit.form.get("because", "")})


async def _send(visit: Visit, call: str, told: dict[str, str]) -> Response:
    """Send a form of the page; a machine that is not there is a slip of the typing, to be shown on the page."""
    try:
        return await send_form(visit, call, told, show_retention, go_to(PAGE))
    except Refused as refused:
        if refused.status == 404:
            return await show_retention(visit, refused)
        raise


def _days(terms: dict[str, object]) -> dict[str, object]:
    """Return the term of each kind: days, or `forever`."""
    scores = terms["scores"]
    days = scores["days"] if isinstance(scores, dict) else scores
    return {name: days if name == "scores" else terms[name] for name in TERMS}
