"""What is kept of each twin, for how long, what the archive holds of it, and which machines are held."""

from dataclasses import asdict
from typing import Annotated, Any

from pydantic import StringConstraints

from foretwin.contract.twin import Twin
from foretwin.twin.api.bodies import Body, read_body_json
from foretwin.twin.api.call import Call
from foretwin.twin.api.paging import read_query
from foretwin.twin.api.plant.usage_lines import month_name
from foretwin.twin.store import Connection, assets
from foretwin.twin.store.aging import archives, holds
from foretwin.twin.store.scoring.usage import readings_since

MOST_HOLDS, NEWEST_FILES = 1000, 5

Because = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f]*\S[^\x00-\x1f]*$")]


class HoldBody(Body):
    """A machine of which everything is to be kept, and why."""

    asset: str
    because: Because


class LiftBody(Body):
    """Why a hold ends."""

    because: Because


def get_retention(call: Call) -> dict[str, Any]:
    """GET /v1/retention: per twin what its contract says, and what the archive holds by the records of its files."""
    read_query(call.query, {})
    with call.store.read() as connection:
        return {"items": [_of_twin(connection, contract) for _, contract in sorted(call.contracts.items())]}


def get_holds(call: Call) -> dict[str, Any]:
    """GET /v1/holds: the machines of which nothing ages out, the newest hold first; `more` where there are others."""
    read_query(call.query, {})
    with call.store.read() as connection:
        found = holds.list_holds(connection, call.caller.bounds, MOST_HOLDS + 1)
    return {"items": found[:MOST_HOLDS], "more": len(found) > MOST_HOLDS}


def post_hold(call: Call) -> dict[str, Any]:
    """POST /v1/holds: keep everything of a machine, whatever its age, as `foretwin hold` does."""
    read_query(call.query, {})
    told = read_body_json(call.body, HoldBody)
    with call.store.write() as connection:
        found = assets.find_asset(connection, told.asset)
        holds.place_hold(connection, found, told.because.strip(), call.actor, call.now)
    return {"asset": told.asset, "is_held": True}


def post_hold_lift(call: Call) -> dict[str, Any]:
    """POST /v1/holds/{asset}/lift: let a machine's records age out again."""
    read_query(call.query, {})
    told = read_body_json(call.body, LiftBody)
    with call.store.write() as connection:
        found = assets.find_asset(connection, call.asset)
        holds.release_hold(connection, found, told.because.strip(), call.actor, call.now)
    return {"asset": call.asset, "is_held": False}


def _of_twin(connection: Connection, contract: Twin) -> dict[str, Any]:
    stored, month = readings_since(connection, contract.name)
    files = archives.newest_archives(connection, contract.name, NEWEST_FILES)
    told = ("kind", "file", "rows", "dropped", "since", "until", "written_at")
    return {
        "twin": contract.name,
        "title": contract.title,
        "terms": contract.retention.model_dump(mode="json"),
        "readings_stored": stored,
        "counted_since": None if month is None else month_name(month),
        "archive": [asdict(one) for one in archives.archived_kinds(connection, contract.name)],
        "last_files": [{name: getattr(one, name) for name in told} for one in files],
    }
