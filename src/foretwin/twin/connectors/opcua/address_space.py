"""The variables of a server: each with its path of names below Objects, as `Plant/P-001/Flow`, and its node id."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from asyncua import Client, ua

AT_ONCE = 200  # nodes in one call
MOST_NODES = 200_000
SERVER = ua.NodeId(ua.ObjectIds.Server)  # its own diagnostics are no tags


@dataclass(frozen=True)
class PlantVariable:
    """A variable: its path, `node` as text, and the path's last name."""

    path: str
    node: ua.NodeId

    @property
    def addresses(self) -> tuple[str, str]:
        """Return what connections.yaml may call it: its node id or its path."""
        return self.node.to_string(), self.path


async def find_variables(client: Client) -> list[PlantVariable]:
    """Browse what lies below Objects, level by level; properties of variables are no tags."""
    return [one async for one in _walk(client)]


async def _walk(client: Client) -> AsyncIterator[PlantVariable]:
    seen = {SERVER}
    level = [("", client.get_objects_node().nodeid)]
    while level and len(seen) < MOST_NODES:
        below = []
        for begin in range(0, len(level), AT_ONCE):
            part = level[begin : begin + AT_ONCE]
            for path, reference in await _browse(client, part):
                if reference.NodeId in seen:
                    continue
                seen.add(reference.NodeId)
                named = f"{path}/{reference.BrowseName.Name}".lstrip("/")
                if reference.NodeClass == ua.NodeClass.Variable:
                    yield PlantVariable(named, reference.NodeId)
                below.append((named, reference.NodeId))
        level = below


async def find_properties(client: Client, nodes: Sequence[ua.NodeId]) -> list[dict[str, Any]]:
    """Return of each node name -> value of its properties."""
    places, asked = [], []
    for place, reference in await _references(client, nodes, ua.ObjectIds.HasProperty):
        places.append((place, reference.BrowseName.Name))
        asked.append(reference.NodeId)
    found: list[dict[str, Any]] = [{} for _ in nodes]
    for begin in range(0, len(asked), AT_ONCE):
        values = await client.uaclient.read_attributes(asked[begin : begin + AT_ONCE], ua.AttributeIds.Value)
        for (place, name), value in zip(places[begin : begin + AT_ONCE], values, strict=True):
            found[place][name] = value.Value.Value if value.Value is not None else None
    return found


async def _browse(client: Client, nodes: list[tuple[str, ua.NodeId]]) -> list[tuple[str, ua.ReferenceDescription]]:
    """Return the children of nodes, each with the path of its parent; of a variable only what it is composed of."""
    found = await _references(client, [node for _, node in nodes], ua.ObjectIds.HierarchicalReferences)
    property_of = ua.NodeId(ua.ObjectIds.HasProperty)
    return [(nodes[place][0], one) for place, one in found if one.ReferenceTypeId != property_of]


async def _references(
    client: Client, nodes: Sequence[ua.NodeId], kind: int
) -> list[tuple[int, ua.ReferenceDescription]]:
    """Return the references of a kind from nodes to objects and variables, each with the place of its node."""
    wanted = ua.BrowseParameters(View=ua.ViewDescription(), RequestedMaxReferencesPerNode=0)
    for node in nodes:
        description = ua.BrowseDescription(NodeId=node, BrowseDirection=ua.BrowseDirection.Forward)
        description.ReferenceTypeId = ua.NodeId(kind)
        description.IncludeSubtypes = True
        description.NodeClassMask = ua.NodeClass.Object | ua.NodeClass.Variable
        description.ResultMask = ua.BrowseResultMask.All
        wanted.NodesToBrowse.append(description)
    found = []
    for place, result in enumerate(await client.uaclient.browse(wanted)):
        references = list(result.References or ())
        while result.ContinuationPoint:
            more = ua.BrowseNextParameters(ContinuationPoints=[result.ContinuationPoint])
            (result,) = await client.uaclient.browse_next(more)  # noqa: PLW2901 - its next part
            references += result.References or ()
        found += [(place, one) for one in references]
    return found
