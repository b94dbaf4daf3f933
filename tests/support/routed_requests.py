"""Service requests of real cases, and their delivery by a project's routes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

from foretwin.twin.cases.service_request import service_request
from foretwin.twin.outbox.routes.route_targets import route_targets
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import assets
from foretwin.twin.store.casework import cases
from foretwin.twin.store.casework.comments import comments_on
from foretwin.twin.store.casework.outbox import emit
from support.delivered import delivering
from support.stored_case import NOON, store_case
from support.tiny_bundle import tiny_twin

TWIN = tiny_twin()
SECRETS = {"CMMS_KEY": "key-1", "CMMS_PASSWORD": "rosebud"}
TAGS = {"odoo_equipment_id": "7", "atlas_asset_id": "8", "sap_technical_object": "10000001", "owner": "north"}

DELIVERING = """
import os, threading
from pathlib import Path
from foretwin.project.loops import Backoff
from foretwin.twin.outbox.dispatcher import deliver
from foretwin.twin.outbox.routes.route_targets import route_targets
from foretwin.twin.store import open_store
store = open_store(f"sqlite:///{os.environ['ROOT']}/twins.db")
deliver(store, route_targets(store, Path(os.environ["ROOT"]), os.environ), threading.Event(), Backoff(0.06, 0.1))
"""


def write_routes(root: Path, **routes) -> Path:
    (root / "routes.yaml").write_text(yaml.safe_dump(routes))
    return root


def request_service(store, fault: str = "mode.wear", name: str = "P-017", severity: str = "planned") -> int:
    """A case with its service request, as `watch` issues it; its number."""
    case = store_case(store, TWIN, fault, name=name, severity=severity)
    with store.write() as connection:
        assets.describe_asset(connection, assets.find_asset(connection, name), {"tags": TAGS})
    return issue(store, case.id)


def issue(store, number: int) -> int:
    with store.write() as connection:
        case = cases.find_case(connection, number)
        asset = assets.by_id(connection, [case.asset])[case.asset]
        document = service_request(connection, TWIN, case, NOON)
        emit(connection, "service_request.issued", TWIN.name, asset, f"cases/{number}", document, NOON)
    return number


def routed(store, root: Path):
    """The outbox delivered to the routes of a project."""
    return delivering(store, *route_targets(store, root, SECRETS))


def deliver_until_killed(root: Path, came: Callable[[], object]) -> None:
    """Deliver to the routes of a project, whose store is twins.db, in a process that is killed once something came."""
    process = subprocess.Popen([sys.executable, "-c", DELIVERING], env={**os.environ, **SECRETS, "ROOT": str(root)})
    try:
        wait_for(came, "what is sent", 30)
    finally:
        process.kill()
        process.wait()


def said_of(store, case: int) -> list[str]:
    with store.read() as connection:
        return [one["text"] for one in comments_on(connection, case)]
