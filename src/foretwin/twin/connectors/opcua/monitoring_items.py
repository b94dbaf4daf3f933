"""A subscription to the changes of tags, with dead bands; what the server sends is given on one message at a time."""

import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence

from asyncua import Client, ua

logger = logging.getLogger("foretwin.opcua")

PUBLISH_EVERY = 0.5  # s between two messages of the server
SIGN_OF_LIFE = 3.0  # s after which a server sends a message though nothing changed
SILENCE = 9.0  # s without any message after which the subscription counts as gone
QUEUE = 10_000  # values of each tag that the server keeps while we store
AT_ONCE = 200  # tags in one call
Changes = list[tuple[int, ua.DataValue]]  # place of the tag, value


class TagSubscription:
    """A subscription to `nodes`; `taken` is awaited with the changes of each message before the next is asked for.

    So while the store is away the server keeps what comes, each tag in a queue of its own.
    """

    def __init__(self, client: Client, taken: Callable[[Changes], Awaitable[None]]) -> None:
        self._client, self._taken = client, taken
        self._heard = time.monotonic()
        self._busy = False
        self.stored_until = -math.inf  # by time.monotonic: what the server said until then was taken
        self.ended: str | None = None

    @property
    def is_silent(self) -> bool:
        """Whether the server has not said anything for too long, though we asked."""
        return not self._busy and time.monotonic() - self._heard > SILENCE

    async def begin(self, every: float, nodes: Sequence[ua.NodeId], dead_bands: Sequence[float | None]) -> list[str]:
        """Subscribe; return for each node what the server has against it, "" where it has nothing.

        The tags' places in the messages are those in `nodes`.
        """
        wanted = ua.CreateSubscriptionParameters(RequestedPublishingInterval=every * 1000, RequestedLifetimeCount=7200)
        wanted.RequestedMaxKeepAliveCount = max(1, round(SIGN_OF_LIFE / every))
        wanted.MaxNotificationsPerPublish, wanted.PublishingEnabled = 0, True
        answer = await self._client.uaclient.create_subscription(wanted, callback=self._hear)
        told = []
        for begin in range(0, len(nodes), AT_ONCE):
            places = range(begin, min(begin + AT_ONCE, len(nodes)))
            told += await self._watch(answer.SubscriptionId, places, nodes, dead_bands)
        return told

    async def _watch(
        self, number: int, places: Sequence[int], nodes: Sequence[ua.NodeId], dead_bands: Sequence[float | None]
    ) -> list[str]:
        results = await self._create(number, [(i, nodes[i], dead_bands[i]) for i in places])
        plain = [
            i for i, result in zip(places, results, strict=True) if dead_bands[i] and not result.StatusCode.is_good()
        ]
        if plain:
            again = await self._create(number, [(i, nodes[i], None) for i in plain])
            logger.warning("the server takes no dead band of %d tags; all their changes come", len(plain))
            results = [again[plain.index(i)] if i in plain else one for i, one in zip(places, results, strict=True)]
        return ["" if one.StatusCode.is_good() else str(one.StatusCode.name) for one in results]

    async def _create(
        self, number: int, items: Sequence[tuple[int, ua.NodeId, float | None]]
    ) -> list[ua.MonitoredItemCreateResult]:
        wanted = ua.CreateMonitoredItemsParameters(SubscriptionId=number)
        wanted.TimestampsToReturn = ua.TimestampsToReturn.Both
        for place, node, dead_band in items:
            item = ua.MonitoredItemCreateRequest(MonitoringMode=ua.MonitoringMode.Reporting)
            item.ItemToMonitor = ua.ReadValueId(NodeId=node, AttributeId=ua.AttributeIds.Value)
            change = ua.DataChangeFilter(Trigger=ua.DataChangeTrigger.StatusValueTimestamp)
            if dead_band is not None:
                change.Trigger = ua.DataChangeTrigger.StatusValue
                change.DeadbandType, change.DeadbandValue = ua.DeadbandType.Absolute, dead_band
            item.RequestedParameters = ua.MonitoringParameters(
                ClientHandle=place, SamplingInterval=0.0, Filter=change, QueueSize=QUEUE, DiscardOldest=True
            )
            wanted.ItemsToCreate.append(item)
        created: list[ua.MonitoredItemCreateResult] = await self._client.uaclient.create_monitored_items(wanted)
        return created

    async def _hear(self, result: ua.PublishResult) -> None:
        self._heard = begin = time.monotonic()
        self._busy = True
        try:
            changes: Changes = []
            for part in result.NotificationMessage.NotificationData or ():
                if isinstance(part, ua.DataChangeNotification):
                    changes += [(one.ClientHandle, one.Value) for one in part.MonitoredItems]
                elif isinstance(part, ua.StatusChangeNotification):
                    self.ended = str(part.Status.name)
            if changes:
                await self._taken(changes)
            self.stored_until = begin
        finally:
            self._heard, self._busy = time.monotonic(), False
