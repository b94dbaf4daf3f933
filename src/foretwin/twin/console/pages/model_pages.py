"""Which model answers for each machine type: since when, why, beside which others; and the way back."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from foretwin.twin.console.inner_calls import Refused
from foretwin.twin.console.visits import HEADERS, Visit, go_to, send_form

DECISIONS = {
    "promoted": "Version {version} became the champion",
    "refused": "Version {version} was refused",
    "forced": "Version {version} became the champion by hand",
    "rolled_back": "Version {before} was taken back, version {champion} is the champion again",
}
SMALLER_IS_BETTER = ("rmse", "rmse_late")
MOST_DECISIONS = 30
FORMER = ("promoted", "forced")


async def show_models(visit: Visit) -> Response:
    """GET /models: the champion of each machine type."""
    return visit.render("models.html", models=(await visit.calls.get("/v1/models"))["items"])


async def show_model(visit: Visit, problem: Refused | None = None) -> Response:
    """GET /models/{twin}: its champion in sentences, the candidates, the decisions, and where it comes from."""
    place = f"/v1/models/{visit.path['twin']}"
    model = await visit.calls.get(place)
    decisions = (await visit.calls.get(f"{place}/ledger"))["items"]
    versions = [one["version"] for one in decisions if one["action"] in FORMER and one["version"] != model["version"]]
    return visit.render(
        "model.html",
        problem.status if problem else 200,
        model=model,
        columns=list(dict.fromkeys(name for one in model["candidates"] for name in one["figures"])),
        best=best_of(model["candidates"]),
        decisions=decisions[:MOST_DECISIONS],
        decision_text=lambda one: _decided(visit, one),
        former=list(dict.fromkeys(versions)),
        problem=problem,
        form=visit.form,
    )


async def send_card(visit: Visit) -> Response:
    """GET /models/{twin}/card: the model card as a file."""
    twin = visit.path["twin"]
    body = await visit.calls.get_bytes(f"/v1/models/{twin}/card")
    named = {"Content-Disposition": f'attachment; filename="{twin}-card.html"'}
    return Response(body, headers={**HEADERS, **named}, media_type="text/html; charset=utf-8")


async def keep_rollback(visit: Visit) -> Response:
    """POST /models/{twin}/rollback: take the champion back."""
    twin = visit.path["twin"]
    told = {name: visit.form[name] for name in ("reason", "to") if visit.form.get(name)}
    return await send_form(visit, f"/v1/models/{twin}/rollback", told, show_model, go_to("/models", twin))


def best_of(candidates: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return by figure the best value of any candidate."""
    best: dict[str, float] = {}
    for one in candidates:
        for name, value in one["figures"].items():
            better = min if name in SMALLER_IS_BETTER else max
            best[name] = better(best.get(name, value), value)
    return best


def _decided(visit: Visit, one: Mapping[str, Any]) -> str:
    said = DECISIONS.get(one["action"], one["action"])
    values = {"version": one["version"], "before": one["champion_before"], "champion": one["champion"]}
    return visit.words.text(said, **values)
