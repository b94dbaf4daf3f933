"""The key figures of the fleets."""

from typing import Any

from foretwin.errors import BadInput
from foretwin.twin.api.call import Call
from foretwin.twin.api.paging import Reader, one_of, read_query, text
from foretwin.twin.kpis import kpis, reported
from foretwin.twin.kpis.counts import keep_counts
from foretwin.twin.kpis.periods import LENGTHS, PeriodRequest, read_day

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
