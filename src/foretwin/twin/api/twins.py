"""The fleet and its assets: list, description, thread of events, copy, erasure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import Field

from foretwin.errors import BadInput
from foretwin.serving.access.bounds import OWNER
from foretwin.twin.api import answers
from foretwin.twin.api.bodies import Body, read_body_json
from foretwin.twin.api.call import Call
from foretwin.twin.api.paging import (
    Listing,
    answer_page,
    one_more,
    one_of,
    parse_moment,
    read_query,
    read_tag,
    text,
    truth,
    whole_number,
)
from foretwin.twin.api.streams import ExportStream
from foretwin.twin.cases.feedback import Work, record_maintenance
from foretwin.twin.data_export import export_pieces
from foretwin.twin.erasure.erase import erase_asset
from foretwin.twin.kpis import reported
from foretwin.twin.kpis.counts import failures_since, keep_some_counts
from foretwin.twin.scoring.staleness import heard_since
from foretwin.twin.store import Connection, assets, health, listing
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.casework import audit, cases
from foretwin.twin.store.casework.cases import Case
from foretwin.twin.store.health import WORDS
from foretwin.twin.store.scoring.scores import Score
from foretwin.twin.store.scoring.usage import month_of, recent_owners
from foretwin.twin.timeline import state, thread

FLEET = Listing(
    listing.FLEET_SORTS,
    {
        "twin": text,
        "stale": truth,
        "location": text,
        "health": one_of(*WORDS),
        "search": text,
        "tag": read_tag,
        **dict.fromkeys(listing.TAGS, text),
    },
)
PROMPT = timedelta(minutes=1)  # within which a reading is scored where nothing is behind
MOST_ENTRIES = 10_000
USUAL_ENTRIES = 200
YEAR = timedelta(days=365)  # over which an overview counts failures
COUNTED_AT_ONCE = 20  # machines that one overview counts anew, in a few milliseconds; the key figures count all
MOST_OWNERS = 50  # that it names: rather none than some
EXPORT_SECONDS = 600.0  # that reading all of an asset may take
THREAD = {"at": parse_moment, "since": parse_moment, "until": parse_moment, "limit": whole_number(1, MOST_ENTRIES)}

Name = Annotated[str, Field(min_length=1, max_length=200)]


class FittedPartBody(Body):
    """A part as it is fitted to an asset."""

    part: Name
    serial_number: Name | None = None
    provenance: Name | None = None


class Description(Body):
    """What is told of an asset; what is left out stays as it is."""

    twin: Name | None = None
    serial_number: Name | None = None
    location: Name | None = None
    tags: dict[Name, Name] | None = None
    parts: list[FittedPartBody] = Field(default=[])


def get_fleet(call: Call) -> dict[str, Any]:
    """GET /v1/twins: the assets, each with its last score and how many cases it has."""
    page, given = FLEET.read(call.query)
    stale = given.pop("stale", None)
    since = heard_since(call.contracts, call.now)
    with call.store.read() as connection:
        rows = listing.list_fleet(connection, one_more(page), given, stale, since, call.caller.bounds)
        found = [Score(**row["score"]) for row in rows if row["score"]]
        twins = {row["id"]: row["twin"] for row in rows}
        shown = answers.scores_with_models(connection, found, call.contracts, twins)
        opened = cases.open_of(connection, twins)
    scored = {score.asset: one for score, one in zip(found, shown, strict=True)}
    items = [_item(call, row, scored.get(row["id"]), opened.get(row["id"], [])) for row in rows]
    return answer_page(call.route, call.query, page, items, rows)


def get_overview(call: Call) -> dict[str, Any]:
    """GET /v1/overview: assets by health, open cases, whether scoring is behind, failures of a year, and the owners."""
    read_query(call.query, {})
    since, bounds = heard_since(call.contracts, call.now), call.caller.bounds
    failures = _failures(call)
    with call.store.read() as connection:
        return {
            "assets": health.count_health(connection, since, bounds),
            "cases": health.count_open_cases(connection, bounds),
            "waiting_for_scores": health.scoring_backlog(connection, call.now - PROMPT, bounds),
            "newest_reading_at": health.newest_receipt(connection, bounds),
            "failures": failures,
            "owners": _owners(call, connection),
        }


def _failures(call: Call) -> list[dict[str, Any]]:
    """Return per twin what was foreseen and missed within a year; of a key for single machines nothing, as of `kpis`.

    `is_complete` is false while machines of which something has changed are still to be counted.
    """
    if not call.caller.bounds.are_of_twins:
        return []
    since, found = (call.now - YEAR).date(), []
    with call.store.read() as connection:
        twins = [one.name for one in reported(connection, call.contracts, None)]
    for twin in twins:
        is_complete = keep_some_counts(call.store, twin, COUNTED_AT_ONCE)
        with call.store.read() as connection:
            counted = failures_since(connection, twin, since)
        found.append({"twin": twin, "since": since, **counted, "is_complete": is_complete})
    return found


def _owners(call: Call, connection: Connection) -> list[str]:
    """Return whose machines have sent something since the month before this one; none where they are too many to name.

    From what is kept for bills, which knows no machines: of a key that is bound to some nothing.
    """
    bounds = call.caller.bounds
    if bounds.assets or any(tag != OWNER for tag, _ in bounds.tags()):
        return []
    found = recent_owners(connection, month_of(call.now) - 1, bounds, MOST_OWNERS + 1)
    return found if len(found) <= MOST_OWNERS else []


def get_contract(call: Call) -> dict[str, Any]:
    """GET /v1/twins/{asset}/contract: the contract of its twin: channels, limits, faults, remedies, case policy."""
    read_query(call.query, {})
    with call.store.read() as connection:
        return call.contract_of(assets.find_asset(connection, call.asset)).model_dump(mode="json", exclude={"source"})


def get_twin(call: Call) -> dict[str, Any]:
    """GET /v1/twins/{asset}: description, parts, counters, last reading, last score, open cases."""
    read_query(call.query, {})
    return _described(call)


def put_twin(call: Call) -> dict[str, Any]:
    """PUT /v1/twins/{asset}: register an asset, or tell more of it."""
    read_query(call.query, {})
    told = read_body_json(call.body, Description)
    with call.store.write() as connection:
        asset = _registered(call, connection, told.twin)
        changes = told.model_dump(include={"serial_number", "location", "tags"}, exclude_unset=True, exclude_none=True)
        if changes:
            assets.describe_asset(connection, asset, changes)
            audit.record(connection, call.actor, "asset.described", changes, call.now, asset=asset.id)
        call.check_kept(connection)
        for part in told.parts:
            assets.fit_part(connection, asset, part.part, part.serial_number, part.provenance, call.now)
            audit.record(connection, call.actor, "part.fitted", part.model_dump(), call.now, asset=asset.id)
    return _described(call)


def get_thread(call: Call) -> dict[str, Any]:
    """GET /v1/twins/{asset}/thread: what happened to it, newest last; with `at`, also what was known at that moment."""
    given = read_query(call.query, THREAD)
    at: datetime | None = given.get("at")
    if at is not None and "until" in given:
        raise BadInput("until", "cannot stand beside `at`, which ends the thread itself")
    with call.store.read() as connection:
        asset = assets.find_asset(connection, call.asset)
        contract = call.contract_of(asset)
        until, limit = at or given.get("until"), given.get("limit", USUAL_ENTRIES)
        entries = thread(connection, contract, asset, given.get("since"), until, limit)
        known = state(connection, contract, asset, at, call.now) if at else None
    fresh = answers.freshness(asset, contract, call.now)
    return {"asset": asset.name, "twin": asset.twin, **fresh, **({"state": known} if known else {}), "entries": entries}


def post_maintenance(call: Call) -> dict[str, Any]:
    """POST /v1/twins/{asset}/maintenance: keep what was done; a replaced part or an ended run begins the next run."""
    read_query(call.query, {})
    work = read_body_json(call.body, Work)
    done = record_maintenance(call.store, call.contracts, call.asset, work, call.actor, call.now)
    with call.store.read() as connection:
        asset = assets.find_asset(connection, call.asset)
    return {**done, **answers.freshness(asset, call.contracts.get(asset.twin), call.now)}


def get_export(call: Call) -> ExportStream:
    """GET /v1/twins/{asset}/export: everything that is kept of an asset, as a ZIP."""
    read_query(call.query, {})
    store = replace(call.store, read_seconds=EXPORT_SECONDS)
    pieces = export_pieces(store, call.living.root, call.contracts, call.asset, call.now)
    return ExportStream(call, pieces, f"{call.asset}.zip", EXPORT_SECONDS)


def delete_twin(call: Call) -> dict[str, Any]:
    """DELETE /v1/twins/{asset}: erase everything of an asset; answers with the certificate."""
    read_query(call.query, {})
    return erase_asset(call.living.store, call.living.root, call.contracts, call.asset, call.actor, call.now)


def _registered(call: Call, connection: Connection, twin: str | None) -> Asset:
    """The asset of the path, registered where it is new; BadInput where that needs a twin."""
    known = assets.find_all(connection, [call.asset]).get(call.asset)
    if known is None:
        call.check_newcomer(twin)
    there = ", ".join(sorted(call.contracts)) or "none"
    if twin is None:
        if known is None:
            raise BadInput("twin", f"is missing, and {call.asset} is not known yet; there is {there}")
        return known
    if twin not in call.contracts:
        raise BadInput("twin", f"{twin} has no contract here; there is {there}")
    asset = assets.register_assets(connection, twin, [call.asset], call.now)[call.asset]
    if known is None:
        audit.record(connection, call.actor, "asset.registered", {"twin": twin}, call.now, asset=asset.id)
    return asset


def _described(call: Call) -> dict[str, Any]:
    contracts = call.contracts
    with call.store.read() as connection:
        asset = assets.find_asset(connection, call.asset)
        rows = listing.last_scores(connection, [asset.id])
        found = [Score(**row) for row in rows.values()]
        shown = answers.scores_with_models(connection, found, contracts, {asset.id: asset.twin})
        parts = [answers.show_part(part) for part in assets.fitted_parts(connection, asset.id)]
        opened = cases.open_of(connection, [asset.id]).get(asset.id, [])
        word = health.health_of(connection, asset.id, heard_since(contracts, call.now))
    return {
        **answers.show_asset(asset, contracts.get(asset.twin), call.now),
        "health": word,
        "parts": parts,
        "last_score": shown[0] if shown else None,
        "open_cases": [answers.show_case(vars(case), asset.name) for case in opened],
    }


def _item(call: Call, row: dict[str, Any], score: dict[str, Any] | None, opened: Sequence[Case]) -> dict[str, Any]:
    asset = answers.as_asset(row)
    shown = answers.show_asset(asset, call.contracts.get(asset.twin), call.now)
    told = [{name: getattr(case, name) for name in ("id", "fault", "severity", "state")} for case in opened]
    more = {"last_score": score, "open_cases": row["open_cases"], "cases": told}
    return {**shown, "health": row["health"], **more}
