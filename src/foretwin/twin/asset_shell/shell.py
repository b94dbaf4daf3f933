"""The shell of a machine with its submodels, verified by aas-core3.0, as JSON and as an AASX package."""

from collections.abc import Callable
from typing import Any

import orjson

from foretwin.errors import BadInput, Conflict
from foretwin.twin.asset_shell.aasx_package import pack_aasx
from foretwin.twin.asset_shell.content import Content, id_shorts
from foretwin.twin.asset_shell.machine_facts import MachineFacts
from foretwin.twin.asset_shell.nameplate import nameplate
from foretwin.twin.asset_shell.part_structure import part_structure
from foretwin.twin.asset_shell.predictive_maintenance import predictive_maintenance
from foretwin.twin.asset_shell.published_template import Number, published_template
from foretwin.twin.asset_shell.service_notifications import service_notifications
from foretwin.twin.asset_shell.time_series import time_series
from foretwin.twin.connectors.extras import needing_extra

SUBMODELS: dict[Number, Callable[[MachineFacts], Content]] = {
    "02006": nameplate,
    "02008": time_series,
    "02010": service_notifications,
    "02011": part_structure,
    "02048": predictive_maintenance,
}
TYPE = "application/asset-administration-shell-package"


def told_submodels(facts: MachineFacts) -> dict[Number, Content]:
    """Return the content of the submodels of which something is known."""
    found = {number: make(facts) for number, make in SUBMODELS.items()}
    return {number: content for number, content in found.items() if content is not None}


def submodel_ids(facts: MachineFacts) -> dict[Number, str]:
    """Return the id of each submodel that the shell has."""
    return {number: _submodel_id(facts, number) for number in told_submodels(facts)}


def _submodel_id(facts: MachineFacts, number: Number) -> str:
    return f"{facts.global_id}:submodel:{number}"


def shell_json(facts: MachineFacts) -> dict[str, Any]:
    """Return the environment (shell and submodels) as AAS 3.0 writes it in JSON.

    BadInput where aas-core3.0 is not installed.
    """
    environment = _environment(facts)
    from aas_core3 import jsonization

    return dict(jsonization.to_jsonable(environment))


def shell_package(facts: MachineFacts) -> bytes:
    """Return the environment as an AASX package."""
    return pack_aasx(orjson.dumps(shell_json(facts)), facts.now)


def _environment(facts: MachineFacts) -> Any:
    """Return shell and submodels, verified; Conflict where a text of the machine breaks a rule of the standard."""
    with needing_extra("aas", "aas", BadInput):
        from aas_core3 import types as aas
        from aas_core3 import verification

        from foretwin.twin.asset_shell.building import build_submodel
    submodels = [
        build_submodel(published_template(number)["submodel"], _submodel_id(facts, number), content)
        for number, content in told_submodels(facts).items()
    ]
    serial = facts.asset.serial_number
    known = [aas.SpecificAssetID("serialNumber", serial)] if serial else []
    shell = aas.AssetAdministrationShell(
        id=f"{facts.global_id}:shell",
        id_short=id_shorts([facts.asset.name])[0],
        asset_information=aas.AssetInformation(
            aas.AssetKind.INSTANCE,
            global_asset_id=facts.global_id,
            specific_asset_ids=[aas.SpecificAssetID("name", facts.asset.name), *known],
        ),
        submodels=[
            aas.Reference(aas.ReferenceTypes.MODEL_REFERENCE, [aas.Key(aas.KeyTypes.SUBMODEL, one.id)])
            for one in submodels
        ],
    )
    environment = aas.Environment([shell], submodels)
    wrong = next(iter(verification.verify(environment)), None)
    if wrong is not None:
        text = f"{facts.asset.name} has a text that AAS 3.0 does not allow, at {wrong.path}: {wrong.cause}"
        raise Conflict("asset", f"{text}; change its tags, serial number or parts")
    return environment
