"""A machine type from a file, step by step: upload, guesses as a form, log of the training, what the gate said."""

from typing import Any

from starlette.responses import Response

from foretwin.twin.console.inner_calls import Refused
from foretwin.twin.console.visits import Visit, go_to, send_form

PLACE = "/v1/machine-types"
PAGE = "/machine-types"
STEPS = {
    "looking": "The file is being looked at.",
    "drafted": "This is what was understood. Correct it, then train.",
    "building": "It is being trained, and compared with simpler models. That takes minutes, of large files hours.",
    "champion": "It has a champion: its machines are scored from now on.",
    "refused": "The gate refused the model, so that nothing answers for these machines yet.",
    "failed": "It did not come to an end.",
}
MEANINGS = {
    "asset": "the machine",
    "time": "the time",
    "run": "the run",
    "failure": "a failure: a life ends",
    "rul": "the life that is left",
    "label": "a label of a fault",
    "channel": "a channel",
    "left_out": "left out",
}
UNITS = ("s", "min", "h", "d", "cycles")
TEXTS, NUMBERS = ("title", "unit", "part", "instruction"), ("lead_time", "open_below")


async def show_new_type(visit: Visit, problem: Refused | None = None) -> Response:
    """GET /machine-types: the file that was uploaded last, and the forms of its next step."""
    told = await visit.calls.get(f"{PLACE}/job")
    job = told["job"]
    is_under_way = job is not None and job["step"] in ("looking", "building")
    status = problem.status if problem else 200
    # Of a draft without what a terminal says before and after it: which file was written, which commands follow.
    advice = told["log"].partition("\n")[2].partition("\nThen\n")[0]
    shown = {"told": advice, "job": job, "log": told["log"], "draft": told["draft"], "columns": told["columns"]}
    fixed = {"steps": STEPS, "units": UNITS, "meanings": MEANINGS}
    return visit.render("new_type.html", status, problem=problem, is_under_way=is_under_way, **fixed, **shown)


async def keep_file(visit: Visit) -> Response:
    """POST /machine-types/upload: a file of a new machine type."""
    content = visit.upload.content if visit.upload else b""
    try:
        query = {"name": visit.form.get("name", "")}
        await visit.calls.post_bytes(f"{PLACE}/upload", content, "text/csv", query)
    except Refused as refused:
        if refused.status in (401, 403):
            raise
        return await show_new_type(visit, refused)
    return go_to(PAGE)


async def keep_columns(visit: Visit) -> Response:
    """POST /machine-types/columns: look again, with what a person says of the columns; the others are guessed anew."""
    told = await visit.calls.get(f"{PLACE}/job")
    before = told["job"]["columns"] if told["job"] else {}
    taken = {one["name"]: one["called"] for one in told["columns"]}
    given = {name.removeprefix("meaning."): value for name, value in visit.form.items() if name.startswith("meaning.")}
    said = {name: value for name, value in given.items() if value != taken.get(name) or name in before}
    return await send_form(visit, f"{PLACE}/columns", {"columns": said}, show_new_type, go_to(PAGE))


async def keep_draft(visit: Visit) -> Response:
    """POST /machine-types/draft: what a person made of the guesses."""
    try:
        content = _draft_of(visit)
    except ValueError as error:
        return await show_new_type(visit, Refused(422, str(error), visit.words.text("a number is needed")))
    return await send_form(visit, f"{PLACE}/draft", content, show_new_type, go_to(PAGE))


async def keep_build(visit: Visit) -> Response:
    """POST /machine-types/build: train it."""
    return await send_form(visit, f"{PLACE}/build", {}, show_new_type, go_to(PAGE))


async def keep_discard(visit: Visit) -> Response:
    """POST /machine-types/discard: begin again."""
    return await send_form(visit, f"{PLACE}/discard", {}, show_new_type, go_to(PAGE))


def _draft_of(visit: Visit) -> dict[str, Any]:
    """Return the form as the API takes it; ValueError names a field that is no number."""
    form = visit.form
    told: dict[str, Any] = {name: form[name] for name in TEXTS if form.get(name)}
    told |= {name: _number(name, form[name]) for name in NUMBERS if form.get(name)}
    channels: dict[str, Any] = {}
    for name in [key.removeprefix("channel.") for key in form if key.startswith("channel.")]:
        texts = {field: form[f"{field}.{name}"] for field in ("unit", "role") if form.get(f"{field}.{name}")}
        ends = [end for end in ("min", "max") if form.get(f"{end}.{name}")]
        limits = {end: _number(f"{end}.{name}", form[f"{end}.{name}"]) for end in ends}
        channels[name] = {"is_kept": f"keep.{name}" in form, **texts, **limits}
    return {**told, "channels": channels}


def _number(name: str, value: str) -> float:
    try:
        return float(value.replace(",", "."))
    except ValueError:
        raise ValueError(name) from None
