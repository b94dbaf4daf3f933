"""Figures of whole fleets: the key figures, and the monitor's last reports as JSON and as metrics."""

from typing import Any

from starlette.responses import Response

from foretwin.errors import BadInput, NotFound
from foretwin.twin.api.call import Call
from foretwin.twin.api.paging import Reader, one_of, read_query, text
from foretwin.twin.kpis import kpis, reported
from foretwin.twin.kpis.counts import keep_counts
from foretwin.twin.kpis.periods import LENGTHS, PeriodRequest, read_day
from foretwin.twin.monitoring import reports
from foretwin.twin.monitoring.prometheus import CONTENT_TYPE_LATEST, exposition

KPIS: dict[str, Reader] = {"twin": text, "period": one_of(*LENGTHS), "since": read_day, "until": read_day}


def get_kpis(call: Call) -> dict[str, Any]:
    """GET /v1/kpis: what was foreseen, missed, avoided and saved, per period and twin."""
    given = read_query(call.query, KPIS)
    twin, contracts = given.pop("twin", None), call.contracts
    if twin is not None and twin not in contracts:
        raise BadInput("twin", f"{twin[:60]} has no contract here; there is {', '.join(contracts)}")
    asked = PeriodRequest(length=given.pop("period", PeriodRequest.length), **given)
    for name in contracts if twin is None else (twin,):
        keep_counts(call.store, name)
    with call.store.read() as connection:
        wanted = reported(connection, contracts, twin)
        return {"twins": [kpis(connection, contract, asked, call.now) for contract in wanted]}


def get_monitor_report(call: Call) -> dict[str, Any]:
    """GET /v1/monitor/{twin}: the last report of the monitor about a twin."""
    read_query(call.query, {})
    twin = call.path["twin"]
    if twin not in call.contracts:
        raise NotFound("twin", f"{twin[:60]} has no contract here; there is {', '.join(sorted(call.contracts))}")
    report = reports.read_report(call.living.root, twin)
    if report is None:
        raise NotFound("twin", f"{twin} has no report yet; `foretwin monitor {twin}` writes one")
    return report


def get_monitor_metrics(call: Call) -> Response:
    """GET /metrics: the last report about each twin, for Prometheus."""
    found = reports.read_all(call.living.root, call.contracts)
    return Response(exposition(found), media_type=CONTENT_TYPE_LATEST)
