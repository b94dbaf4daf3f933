"""What each call of a client does, as a plan that yields requests; the clients carry it out."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

import orjson
import pandas as pd

from foretwin.client.exchange import JSON, Ask, Plan, content_of
from foretwin.client.frames import (
    ARROW,
    ROWS_PER_CALL,
    read_arrow,
    rows_of_each_asset,
    split_by_asset,
    table_of,
    write_arrow,
)
from foretwin.errors import BadInput

PER_PAGE = 1000
COUNTS = ("stored", "duplicates", "late", "gaps", "quarantined")


def scoring(rows: pd.DataFrame, twin: str, rows_per_call: int = ROWS_PER_CALL) -> Plan:
    """Score the last row of each asset."""
    answers: list[pd.DataFrame] = []
    for piece in split_by_asset(rows, rows_per_call):
        answer = yield _arrow("/v1/score", piece, {"twin": twin}, ARROW)
        answers.append(read_arrow(answer.content))
    if not answers:
        raise BadInput("rows", "is empty; at least one row is needed")
    together = pd.concat(answers, ignore_index=True)
    together.attrs = answers[-1].attrs
    return together


def sending(rows: pd.DataFrame, twin: str | None) -> Plan:
    """Send readings, one call for each piece of each asset; return what became of them by asset.

    A piece of which nothing was stored goes to quarantine whole, and the other assets are sent all the same.
    """
    receipts = []
    for asset, own in rows_of_each_asset(rows):
        counts, rejected = dict.fromkeys(COUNTS, 0), []
        for begin in range(0, len(own), ROWS_PER_CALL):
            piece = own.iloc[begin : begin + ROWS_PER_CALL]
            try:
                told = content_of((yield _arrow(f"{asset_path(asset)}/readings", piece, {"twin": twin}, JSON)))
            except BadInput as error:
                if type(error) is not BadInput:
                    raise  # the key, the twin or the size is wrong, for all assets alike
                told = {"quarantined": len(piece), "rejected": [{"field": error.field, "detail": error.reason}]}
            counts = {name: counts[name] + told.get(name, 0) for name in COUNTS}
            rejected += told["rejected"]
        receipts.append({"asset": asset, **counts, "rejected": rejected})
    return pd.DataFrame(receipts, columns=["asset", *COUNTS, "rejected"])


def listing(path: str, query: Mapping[str, Any], most: int | None = None) -> Plan:
    """Read a list page by page, to its end or to `most` items."""
    items: list[dict[str, Any]] = []
    size = PER_PAGE if most is None else min(PER_PAGE, most)
    following: Ask | None = Ask("GET", path, {**query, "limit": size})
    while following is not None and (most is None or len(items) < most):
        page = content_of((yield following))
        items += page["items"]
        following = Ask("GET", page["next"]) if page["next"] else None
    return table_of(items[:most])


def reading(path: str, query: Mapping[str, Any] | None = None) -> Plan:
    """Read one thing."""
    return content_of((yield Ask("GET", path, query or {})))


def calling(path: str, query: Mapping[str, Any], body: Mapping[str, Any] | None) -> Plan:
    """Call an end point that answers JSON: it is read without a body, and sent to with one."""
    if body is None:
        return content_of((yield Ask("GET", path, query)))
    return content_of((yield Ask("POST", path, query, orjson.dumps(body), repeatable=False)))


def reading_table(path: str, items: str, query: Mapping[str, Any] | None = None) -> Plan:
    """Read a list that comes in one page, under the name `items`."""
    return table_of(content_of((yield Ask("GET", path, query or {})))[items])


def changing(path: str, content: Mapping[str, Any], method: str = "POST", repeatable: bool = False) -> Plan:
    """Send an object without what is None; return what is answered."""
    body = orjson.dumps({name: value for name, value in content.items() if value is not None})
    return content_of((yield Ask(method, path, body=body, repeatable=repeatable)))


def asking_what_if(asset: str, options: Sequence[Mapping[str, Any]]) -> Plan:
    """Ask how long an asset lasts under other settings."""
    return changing(asset_path(asset, "what-if"), {"options": [dict(option) for option in options]}, repeatable=True)


def moving(number: int, state: str, planned_for: datetime | str | None) -> Plan:
    """Move a case over the board."""
    return changing(f"/v1/cases/{number}/move", {"state": state, "planned_for": _moment(planned_for)})


def assigning(number: int, person: str | None) -> Plan:
    """Give a case to a person; nobody is sent as null."""
    body = orjson.dumps({"person": person})
    return content_of((yield Ask("POST", f"/v1/cases/{number}/assign", body=body, repeatable=False)))


def resting(number: int, until: datetime | str | None, reason: str | None) -> Plan:
    """Let a case rest, or wake it."""
    return changing(f"/v1/cases/{number}/snooze", {"until": _moment(until), "reason": reason})


def exporting(asset: str) -> Ask:
    """Return the call for the copy of all that is kept of an asset."""
    return Ask("GET", asset_path(asset, "export"), accept="*/*")


def asset_path(asset: str, part: str = "") -> str:
    """Return the path of an asset, or of a part of what is known of it."""
    whole = f"/v1/twins/{quote(asset, safe='')}"
    return f"{whole}/{part}" if part else whole


def _moment(value: datetime | str | None) -> str | None:
    return value.isoformat() if isinstance(value, datetime) else value


def _arrow(path: str, rows: pd.DataFrame, query: Mapping[str, Any], accept: str) -> Ask:
    return Ask("POST", path, query, write_arrow(rows), ARROW, accept)
