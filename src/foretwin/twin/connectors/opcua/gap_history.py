"""What a server's history holds of an outage, window by window, so that it is taken in the order of time."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from asyncua import Client, ua

from foretwin.contract.channels import MICROSECONDS
from foretwin.twin.connectors.opcua.data_values import TagValue, read_data_value

WINDOW = timedelta(minutes=10)  # of all tags, which are in memory together
AT_ONCE = 100  # nodes in one call
AHEAD = timedelta(days=1)  # that a server's clock may be wrong by
READABLE = ua.AccessLevel.HistoryRead


async def keep_history(client: Client, nodes: list[ua.NodeId]) -> set[ua.NodeId]:
    """Return the nodes whose history the server lets us read."""
    found = set()
    for begin in range(0, len(nodes), AT_ONCE):
        part = nodes[begin : begin + AT_ONCE]
        levels = await client.uaclient.read_attributes(part, ua.AttributeIds.UserAccessLevel)
        for node, level in zip(part, levels, strict=True):
            bits = level.Value.Value if level.Value is not None else None
            if isinstance(bits, int) and bits & (1 << READABLE.value):
                found.add(node)
    return found


async def has_history_of(client: Client, told: Mapping[ua.NodeId, datetime]) -> bool:
    """Whether the history of each node has a value of its moment or later; UaError where the server refuses."""
    details = ua.ReadRawModifiedDetails(IsReadModified=False, NumValuesPerNode=1, ReturnBounds=False)
    # The newest first, up to a moment that all of them have reached.
    details.StartTime, details.EndTime = _plain(datetime.now(UTC) + AHEAD), _plain(min(told.values()))
    nodes = list(told)
    for begin in range(0, len(nodes), AT_ONCE):
        for node, _, values in await _ask(client, details, dict.fromkeys(nodes[begin : begin + AT_ONCE])):
            moment = told[node].timestamp() * MICROSECONDS
            if not any(value.time >= moment for value in values):
                return False
    return True


async def read_gap(
    client: Client, since: Mapping[ua.NodeId, datetime], until: datetime
) -> AsyncIterator[list[tuple[ua.NodeId, TagValue]]]:
    """Yield the values of each node after its moment and up to another, in windows; each in the order of time."""
    begin = min(since.values())
    while begin < until:
        end = min(begin + WINDOW, until)
        wanted = [node for node, moment in since.items() if moment < end]
        found = []
        for start in range(0, len(wanted), AT_ONCE):
            found += await _read(client, wanted[start : start + AT_ONCE], begin, end)
        yield sorted(found, key=lambda one: one[1].time)
        begin = end


async def _read(
    client: Client, nodes: list[ua.NodeId], begin: datetime, end: datetime
) -> list[tuple[ua.NodeId, TagValue]]:
    """Return the values of nodes from one moment to another, all pages of them; UaError where the server refuses."""
    details = ua.ReadRawModifiedDetails(IsReadModified=False, StartTime=_plain(begin), EndTime=_plain(end))
    details.NumValuesPerNode, details.ReturnBounds = 0, False
    found: list[tuple[ua.NodeId, TagValue]] = []
    open_: dict[ua.NodeId, bytes | None] = dict.fromkeys(nodes)
    while open_:
        going_on = {}
        for node, result, values in await _ask(client, details, open_):
            result.StatusCode.check()
            found += [(node, value) for value in values]
            if result.ContinuationPoint and result.ContinuationPoint != open_[node]:
                going_on[node] = result.ContinuationPoint
        open_ = going_on
    return found


async def _ask(
    client: Client, details: ua.ReadRawModifiedDetails, points: Mapping[ua.NodeId, bytes | None]
) -> list[tuple[ua.NodeId, Any, list[TagValue]]]:
    """Ask for the history of nodes, each from its continuation point on; return each with its answer and values."""
    wanted = ua.HistoryReadParameters(HistoryReadDetails=details, TimestampsToReturn=ua.TimestampsToReturn.Both)
    for node, point in points.items():
        wanted.NodesToRead.append(ua.HistoryReadValueId(NodeId=node, IndexRange="", ContinuationPoint=point))
    found = []
    for node, result in zip(points, await client.uaclient.history_read(wanted), strict=True):
        read = [read_data_value(value) for value in getattr(result.HistoryData, "DataValues", None) or ()]
        found.append((node, result, [value for value in read if value is not None]))
    return found


def _plain(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
