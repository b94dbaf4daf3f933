"""The monitor's last reports: one as JSON, all of them as metrics."""

from typing import Any

from starlette.responses import Response

from foretwin.errors import NotFound
from foretwin.twin.api.call import Call
from foretwin.twin.api.paging import read_query
from foretwin.twin.monitoring import reports
from foretwin.twin.monitoring.prometheus import CONTENT_TYPE_LATEST, exposition


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
