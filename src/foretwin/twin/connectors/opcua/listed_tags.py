"""The variables of a server with their types, engineering units and ranges, as `foretwin new` needs them."""

import asyncio
import logging
from typing import Any

from asyncua import ua

from foretwin.errors import SourceError
from foretwin.twin.connectors.connections.connections_file import plain_peer
from foretwin.twin.connectors.connections.proposal import ListedTag
from foretwin.twin.connectors.opcua.address_space import PlantVariable, find_properties, find_variables
from foretwin.twin.connectors.opcua.client_session import opened_session

AT_ONCE = 100  # variables looked at together


def list_opcua_tags(url: str) -> list[ListedTag]:
    """Return the variables below Objects; SourceError where the server cannot be reached without a user."""
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    return asyncio.run(_list(url))


async def _list(url: str) -> list[ListedTag]:
    found: list[ListedTag] = []
    try:
        async with opened_session(plain_peer(url)) as (client, _):
            variables = await find_variables(client)
            for begin in range(0, len(variables), AT_ONCE):
                part = variables[begin : begin + AT_ONCE]
                values = await client.uaclient.read_attributes([one.node for one in part], ua.AttributeIds.Value)
                told = await find_properties(client, [one.node for one in part])
                found += [_listed(*one) for one in zip(part, values, told, strict=True)]
    except (OSError, ua.UaError) as error:
        raise SourceError(f"{url}: cannot be read: {error or type(error).__name__}; start it, or correct it") from None
    return found


def _listed(variable: PlantVariable, value: Any, told: dict[str, Any]) -> ListedTag:
    raw = value.Value.Value if value.Value is not None else None
    units, span = told.get("EngineeringUnits"), told.get("EURange")
    name = units.DisplayName if isinstance(units, ua.EUInformation) else None
    unit = name.Text if name is not None else None
    low, high = (float(span.Low), float(span.High)) if isinstance(span, ua.Range) else (None, None)
    return ListedTag(variable.path, isinstance(raw, (bool, int, float)), unit, low, high)
