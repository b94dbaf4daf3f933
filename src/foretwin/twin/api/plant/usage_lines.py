"""What each owner's machines used, for bills: as a list, and as events that a billing service takes."""

import re
from typing import Any
from urllib.parse import quote

import orjson
from starlette.responses import Response

from foretwin.errors import BadInput
from foretwin.serving.access.bounds import OWNER
from foretwin.twin.api.call import Call
from foretwin.twin.api.paging import Reader, read_query
from foretwin.twin.store.scoring.usage import Usage, month_of, usage_between

BATCH = "application/cloudevents-batch+json"
EVENT = "foretwin.usage"
MOST = 10_000  # lines of an answer
MONTHS = 12  # that are told where nobody asks for others
WHOLE_OWNERS = "whole owners, and needs a key without --asset and of no other tag than owner"


def read_month(name: str, value: str) -> int:
    """Return a month, `2026-11`, as the store counts them; BadInput for anything else."""
    found = re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", value, re.ASCII)
    if found is None:
        raise BadInput(name, f"is {value[:60]!r}; a month such as 2026-11 is needed")
    return int(found[1]) * 12 + int(found[2]) - 1


USAGE: dict[str, Reader] = {"since": read_month, "until": read_month}


def get_usage(call: Call) -> dict[str, Any]:
    """GET /v1/usage: readings stored and scores made, by month, owner and twin."""
    present = month_of(call.now)
    return {"items": [_line(one, present) for one in _asked(call, present)]}


def get_usage_events(call: Call) -> Response:
    """GET /v1/usage/events: the same as a batch of CloudEvents, one for each line; of the present month none yet."""
    present = month_of(call.now)
    events = [_event(one) for one in _asked(call, present) if one.month < present]
    return Response(orjson.dumps(events), media_type=BATCH)


def _asked(call: Call, present: int) -> list[Usage]:
    bounds = call.caller.bounds
    if bounds.assets or any(tag != OWNER for tag, _ in bounds.tags()):
        call.caller.refuse(WHOLE_OWNERS)
    given = read_query(call.query, USAGE)
    until = given.get("until", present)
    since = given.get("since", until - MONTHS + 1)
    if since > until:
        raise BadInput("since", "is later than until")
    with call.store.read() as connection:
        found = usage_between(connection, since, until, bounds, MOST + 1)
    if len(found) > MOST:
        raise BadInput("since", f"and until span more than {MOST} lines; ask for fewer months")
    return found


def _line(one: Usage, present: int) -> dict[str, Any]:
    counted = {"owner": one.owner, "twin": one.twin, "readings": one.readings, "scores": one.scores}
    return {"month": month_name(one.month), **counted, "is_over": one.month < present}


def _event(one: Usage) -> dict[str, Any]:
    """A month that is over always has the same event, by whose id and source a receiver knows it again."""
    line = _line(one, one.month + 1)
    return {
        "specversion": "1.0",
        "id": f"{line['month']}/{quote(one.owner, safe='')}",
        "source": f"/foretwin/{one.twin}",
        "type": EVENT,
        "subject": one.owner or "nobody",
        "time": f"{month_name(one.month + 1)}-01T00:00:00Z",
        "datacontenttype": "application/json",
        "data": line,
    }


def month_name(month: int) -> str:
    """A month as it is told, `2026-11`."""
    return f"{month // 12:04}-{month % 12 + 1:02}"
