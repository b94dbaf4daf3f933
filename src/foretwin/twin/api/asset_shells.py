"""An asset as an asset administration shell, and what its end of life is decided on."""

from typing import Any

from starlette.responses import Response

from foretwin.twin.api import answers
from foretwin.twin.api.call import Call
from foretwin.twin.api.paging import read_query
from foretwin.twin.asset_shell.end_of_life import end_of_life
from foretwin.twin.asset_shell.machine_facts import MachineFacts, read_machine
from foretwin.twin.asset_shell.shell import TYPE, shell_json, shell_package
from foretwin.twin.scoring.staleness import heard_since
from foretwin.twin.store import Connection, assets, health


def get_shell(call: Call) -> dict[str, Any]:
    """GET /v1/twins/{asset}/aas: its asset administration shell with submodels, AAS 3.0 in JSON."""
    return shell_json(_facts(call))


def get_shell_package(call: Call) -> Response:
    """GET /v1/twins/{asset}/aas.aasx: the same as an AASX package."""
    content = shell_package(_facts(call))
    return Response(content, media_type=TYPE, headers={"Content-Disposition": 'attachment; filename="machine.aasx"'})


def get_end_of_life(call: Call) -> dict[str, Any]:
    """GET /v1/twins/{asset}/end-of-life: running time, loads, condition, repairs, and what is not known."""
    read_query(call.query, {})
    with call.store.read() as connection:
        facts = _read(call, connection)
        found = [facts.score] if facts.score else []
        twins = {facts.asset.id: facts.asset.twin}
        shown = answers.scores_with_models(connection, found, call.contracts, twins)
        word = health.health_of(connection, facts.asset.id, heard_since(call.contracts, call.now))
        return end_of_life(connection, facts, word, shown[0] if shown else None)


def _facts(call: Call) -> MachineFacts:
    read_query(call.query, {})
    with call.store.read() as connection:
        return _read(call, connection)


def _read(call: Call, connection: Connection) -> MachineFacts:
    asset = assets.find_asset(connection, call.asset)
    return read_machine(connection, call.contract_of(asset), asset, call.origin, call.now)
