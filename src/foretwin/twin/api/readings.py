"""Readings and events in, readings and scores of an asset out."""

import logging
from typing import Any

import orjson
from pydantic import Field
from starlette.responses import Response

from foretwin.contract.twin import Twin
from foretwin.errors import BadInput, NotFound
from foretwin.serving.http.problems import PROBLEM, encode_problem
from foretwin.twin.api import answers
from foretwin.twin.api.bodies import Body, read_body_json, read_object
from foretwin.twin.api.call import Call
from foretwin.twin.api.paging import Listing, answer_page, one_more, parse_moment, read_query, text, whole_number
from foretwin.twin.explanation import explain_present
from foretwin.twin.ingest.event_keeping import MachineEvent, keep_events
from foretwin.twin.ingest.ingest import ingest
from foretwin.twin.ingest.receipt import Receipt
from foretwin.twin.ingest.snapshot_keeping import keep_snapshots
from foretwin.twin.series import run_series
from foretwin.twin.spectrum import newest_spectra
from foretwin.twin.store import assets, listing
from foretwin.twin.store.scoring.scores import Score
from foretwin.wire.decoder import decode
from foretwin.wire.readings import Decoded, Rejected

TYPES = ("application/json", "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet")
PERIOD = {"run": whole_number(0, 2**31 - 1), "since": parse_moment, "until": parse_moment}
READINGS = Listing(listing.READING_SORTS, PERIOD)
MOST_POINTS, USUAL_POINTS = 2000, 800
SERIES = {"run": PERIOD["run"], "points": whole_number(2, MOST_POINTS)}
SCORES = Listing(listing.SCORE_SORTS, PERIOD)
COUNTED = ("stored", "duplicates", "late", "gaps", "quarantined", "counted_only")
MOST_EVENTS = 1_000  # in one call
MOST_REFUSED = 100  # of one call that are shown

logger = logging.getLogger("foretwin.live")


class MachineEvents(Body):
    """Events of one machine."""

    events: list[MachineEvent] = Field(min_length=1, max_length=MOST_EVENTS)


def post_readings(call: Call) -> Any:
    """POST /v1/twins/{asset}/readings: store readings, or single values; what breaks the contract is set aside."""
    twin = read_query(call.query, {"twin": text}).get("twin")
    if not call.body:
        raise BadInput("body", "is empty; readings are needed")
    contracts = call.contracts
    decoded = _decoded(call, twin)
    receipt = ingest(call.store, contracts, [decoded], "http", call.now, "next" if call.caller.is_machine else "none")
    keep_snapshots(call.living.root, [decoded], call.now)
    told = _told(receipt)
    _log(call, told)
    if receipt.rejected and not (receipt.stored or receipt.duplicates or receipt.waiting):
        first = receipt.rejected[0]
        return _refused(first, told)
    with call.store.read() as connection:
        asset = assets.find_asset(connection, call.asset)
    return {"asset": asset.name, **answers.freshness(asset, contracts.get(asset.twin), call.now), **told}


def post_events(call: Call) -> dict[str, Any]:
    """POST /v1/twins/{asset}/events: keep what a machine reports; its next reading has the channels made of them."""
    read_query(call.query, {})
    given = read_body_json(call.body, MachineEvents)
    with call.store.write() as connection:
        asset = assets.find_asset(connection, call.asset)
        contract = call.contract_of(asset)
        kept = keep_events(connection, contract, asset, given.events, call.now)
    return {"asset": asset.name, **answers.freshness(asset, contract, call.now), **kept}


def get_readings(call: Call) -> dict[str, Any]:
    """GET /v1/twins/{asset}/readings: its readings in order of time."""
    page, given = READINGS.read(call.query)
    period = given.get("since"), given.get("until")
    with call.store.read() as connection:
        asset = assets.find_asset(connection, call.asset)
        rows = listing.list_readings(connection, asset.id, one_more(page), given.get("run"), period)
    contract = call.contracts.get(asset.twin)
    if contract is not None and contract.categories:
        for row in rows:
            row["channels"] = {name: _cell(contract, name, value) for name, value in row["channels"].items()}
    fresh = answers.freshness(asset, call.contracts.get(asset.twin), call.now)
    return {"asset": asset.name, **fresh, **answer_page(call.route, call.query, page, rows, rows)}


def _cell(contract: Twin, name: str, value: float | None) -> float | str | None:
    return None if value is None else contract.cell(name, value)


def get_series(call: Call) -> dict[str, Any]:
    """GET /v1/twins/{asset}/series: RUL and channels of one run, of as many points as a picture needs; null in gaps."""
    given = read_query(call.query, SERIES)
    with call.store.read() as connection:
        asset = assets.find_asset(connection, call.asset)
        run = given.get("run", asset.run)
        contract, points = call.contract_of(asset), given.get("points", USUAL_POINTS)
        shown = run_series(connection, call.living.root, contract, asset, run, points)
    return {"asset": asset.name, "twin": asset.twin, "run": run, **shown}


def get_spectrum(call: Call) -> dict[str, Any]:
    """GET /v1/twins/{asset}/spectrum: the spectra of its newest kept snapshot of waveforms."""
    read_query(call.query, {})
    with call.store.read() as connection:
        asset = assets.find_asset(connection, call.asset)
    found = newest_spectra(call.living.root, call.contract_of(asset), asset.name)
    return {"asset": asset.name, "twin": asset.twin, **found}


def post_explanation(call: Call) -> dict[str, Any]:
    """POST /v1/twins/{asset}/explain: how far each channel moves what the champion says of it now."""
    read_query(call.query, {})
    if read_object(call.body):
        raise BadInput("body", "is not empty; nothing is asked but the asset")
    return explain_present(call.store, call.living.root, call.contracts, call.asset)


def get_scores(call: Call) -> dict[str, Any]:
    """GET /v1/twins/{asset}/scores: what models said of it."""
    page, given = SCORES.read(call.query)
    period = given.get("since"), given.get("until")
    contracts = call.contracts
    with call.store.read() as connection:
        asset = assets.find_asset(connection, call.asset)
        rows = listing.list_scores(connection, asset.id, one_more(page), given.get("run"), period)
        shown = answers.scores_with_models(
            connection, [Score(**row) for row in rows], contracts, {asset.id: asset.twin}
        )
    fresh = answers.freshness(asset, contracts.get(asset.twin), call.now)
    return {"asset": asset.name, **fresh, **answer_page(call.route, call.query, page, shown, rows)}


def _decoded(call: Call, twin: str | None) -> Decoded:
    """The readings of the body; NotFound for an unknown asset where nothing says of which twin it would be."""
    with call.store.read() as connection:
        known = assets.find_all(connection, [call.asset]).get(call.asset)
    bounds = call.caller.bounds
    if known is None and (twin or bounds.owners):
        call.check_newcomer(twin)
    twin = twin or (known.twin if known else None)
    try:
        return decode(call.body, call.content_type, call.contracts, twin, call.asset)
    except BadInput as error:
        if isinstance(error, NotFound) and bounds.twins:
            call.caller.refuse()
        if error.field == "twin" and twin is None:
            reason = f"{call.asset} is not known; `?twin=NAME` registers it"
            raise NotFound("asset", reason) from None
        raise


def _told(receipt: Receipt) -> dict[str, Any]:
    counts = {name: getattr(receipt, name) for name in COUNTED[:-2]}
    counts |= {"waiting": receipt.waiting} if receipt.waiting else {}  # single values
    shown = [{"field": one.field, "reason": one.reason, "detail": one.detail} for one in receipt.rejected]
    aside = {"quarantined": len(shown), "counted_only": receipt.counted}
    return {**counts, **aside, "rejected": shown[:MOST_REFUSED]}


def _log(call: Call, told: dict[str, Any]) -> None:
    """Who sent how many: in the log, since an entry of the audit for each call would bury what else it says."""
    if not call.living.guard.is_open:
        counts = ", ".join(f"{told[name]} {name}" for name in COUNTED if told[name])
        logger.info("readings of %s by %s: %s", call.asset, call.actor, counts)


def _refused(first: Rejected, told: dict[str, Any]) -> Response:
    """422 where nothing of the body was usable: the problem, with what was refused as further members."""
    body = orjson.loads(encode_problem(422, first.field, f"nothing was stored: {first.detail}"))
    return Response(orjson.dumps({**body, **told}), 422, media_type=PROBLEM)
