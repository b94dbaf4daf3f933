"""A machine type from an uploaded file: looked at, corrected, built and judged, one at a time."""

from dataclasses import asdict
from typing import Any

from foretwin.twin.api.bodies import read_body_json
from foretwin.twin.api.call import Call
from foretwin.twin.api.paging import Reader, read_query, text
from foretwin.twin.newcomers import job
from foretwin.twin.newcomers.draft_form import ColumnMeanings, Draft, change_draft, read_draft

CSV = "text/csv"
UPLOADED: dict[str, Reader] = {"name": text}


def get_type_job(call: Call) -> dict[str, Any]:
    """GET /v1/machine-types/job: what became of the file that was uploaded last, and the draft where one waits."""
    read_query(call.query, {})
    return _told(call)


def post_type_file(call: Call) -> dict[str, Any]:
    """POST /v1/machine-types/upload: a CSV file of a new machine type `name`, which is looked at."""
    given = read_query(call.query, UPLOADED)
    job.begin_look(call.living.root, given.get("name", ""), call.body, call.actor, call.now)
    return _told(call)


def post_type_columns(call: Call) -> dict[str, Any]:
    """POST /v1/machine-types/columns: what a person says that columns mean; the file is looked at anew."""
    read_query(call.query, {})
    told = read_body_json(call.body, ColumnMeanings)
    job.begin_second_look(call.living.root, told.columns, call.actor, call.now)
    return _told(call)


def post_type_draft(call: Call) -> dict[str, Any]:
    """POST /v1/machine-types/draft: what a person made of the guesses."""
    read_query(call.query, {})
    change_draft(call.living.root, job.drafted(call.living.root).twin, read_body_json(call.body, Draft))
    return _told(call)


def post_type_build(call: Call) -> dict[str, Any]:
    """POST /v1/machine-types/build: train it, and ask the gate."""
    read_query(call.query, {})
    job.begin_build(call.living.root, call.actor, call.now)
    return _told(call)


def post_type_discard(call: Call) -> dict[str, Any]:
    """POST /v1/machine-types/discard: forget the file and its draft; what was built stays."""
    read_query(call.query, {})
    job.discard(call.living.root)
    return _told(call)


def _told(call: Call) -> dict[str, Any]:
    """Return the job, the end of its log, and the draft where it waits for a person."""
    root = call.living.root
    found = job.read_job(root)
    told: dict[str, Any] = {"job": None if found is None else asdict(found), "log": job.log_end(root)}
    if found is not None and found.step == "drafted":
        return {**told, **read_draft(root, found.twin)}
    return {**told, "draft": None, "columns": []}
