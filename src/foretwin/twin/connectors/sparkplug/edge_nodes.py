"""What is known of edge nodes: the tables of their births, whether they live, and whether a message is lacking.

A birth names each metric of a node or of one of its devices with an alias; data messages name the alias alone. Where no
table is there, or a message is lacking, the node is asked for its births; meanwhile its messages wait.
"""

import time
from dataclasses import dataclass, field

from foretwin.twin.connectors.sparkplug.payloads import Metric, SparkplugPayload, typed

ASK_AGAIN = 5.0  # s until a node that did not answer is asked once more
MOST_HELD = 1000  # messages of a node that wait for its birth
BIRTHS, DATA, DEATHS = ("NBIRTH", "DBIRTH"), ("NDATA", "DDATA"), ("NDEATH", "DDEATH")


@dataclass(frozen=True)
class SparkplugTopic:
    """`spBv1.0/group/kind/node[/device]`."""

    group: str
    kind: str
    node: str
    device: str = ""

    @property
    def owner(self) -> str:
        """Return the part of addresses that names node and device."""
        return "/".join(filter(None, (self.group, self.node, self.device)))


@dataclass
class EdgeNode:
    """A node: `names` and `types` by device and alias, or by device and name where there is no alias."""

    names: dict[tuple[str, int], str] = field(default_factory=dict)
    types: dict[tuple[str, str], int] = field(default_factory=dict)
    devices: set[str] = field(default_factory=set)
    session: int | None = None  # `bdSeq`, which a death must tell too, or it is that of an earlier life
    seq: int | None = None  # of the last message
    asked_at: float | None = None

    def is_born(self, device: str) -> bool:
        """Whether a table is there."""
        return device in self.devices

    def bear(self, topic: SparkplugTopic, payload: SparkplugPayload) -> None:
        """Take a birth over; that of the node makes those of its devices void."""
        if topic.kind == "NBIRTH":
            self.names, self.types, self.devices = {}, {}, set()
            self.session = next(
                (int(one.raw) for one in payload.metrics if one.name == "bdSeq" and one.raw is not None), None
            )
            self.asked_at = None
        self.devices.add(topic.device)
        for metric in payload.metrics:
            self.types[topic.device, metric.name] = metric.datatype
            if metric.alias is not None:
                self.names[topic.device, metric.alias] = metric.name

    def lacks_one(self, payload: SparkplugPayload) -> bool:
        """Note the number of a message; whether one before it did not come."""
        before, self.seq = self.seq, payload.seq
        return before is not None and payload.seq is not None and payload.seq != (before + 1) % 256

    def named(self, device: str, metric: Metric) -> tuple[str, object] | None:
        """Return name and value of a metric; None where its alias is in no table."""
        name = metric.name or (self.names.get((device, metric.alias)) if metric.alias is not None else None)
        if not name:
            return None
        return name, typed(metric.raw, metric.datatype or self.types.get((device, name), 0))

    def may_be_asked(self) -> bool:
        """Whether it is time to ask for births; then that is noted."""
        now = time.monotonic()
        if self.asked_at is not None and now - self.asked_at < ASK_AGAIN:
            return False
        self.asked_at = now
        return True


def parse_sparkplug_topic(topic: str) -> SparkplugTopic | None:
    """Return the parts of a topic; None for one of another kind, such as a command or STATE."""
    space, *parts = topic.split("/")
    if space != "spBv1.0" or len(parts) < 3 or parts[1] not in (*BIRTHS, *DATA, *DEATHS):
        return None
    of_device = parts[1].startswith("D")
    if len(parts) != 3 + of_device:
        return None
    return SparkplugTopic(parts[0], parts[1], parts[2], parts[3] if of_device else "")
