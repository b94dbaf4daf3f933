"""What would become of an asset that is run otherwise."""

from typing import Any

from pydantic import BaseModel

from foretwin.errors import BadInput
from foretwin.twin.api.bodies import read_object
from foretwin.twin.api.call import Call
from foretwin.twin.api.paging import read_query
from foretwin.twin.store import assets
from foretwin.twin.what_if import what_if


class Question(BaseModel):
    """The options to compare, besides going on as now."""

    options: list[what_if.Option]


def post_what_if(call: Call) -> dict[str, Any]:
    """POST /v1/twins/{asset}/what-if: how long the asset lasts under each option, and as it is run now."""
    read_query(call.query, {})
    content = read_object(call.body)
    unknown = [name for name in content if name != "options"]
    if unknown:
        raise BadInput(unknown[0][:60], "is unknown; there is options")
    options = what_if.read_options(content.get("options"))
    with call.store.read() as connection:
        contract = call.contract_of(assets.find_asset(connection, call.asset))
    return what_if.what_if(call.store, call.living.root, contract, call.asset, options, call.now)
