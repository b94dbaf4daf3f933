"""The metrics of all edge nodes that a broker's births tell, with units and ranges, as `foretwin new` needs them."""

import time
from typing import Any

from foretwin.errors import BadInput, SourceError
from foretwin.twin.connectors.connections.proposal import ListedTag
from foretwin.twin.connectors.mqtt.overhearing import Publish, overhear
from foretwin.twin.connectors.sparkplug.edge_nodes import BIRTHS, DATA, parse_sparkplug_topic
from foretwin.twin.connectors.sparkplug.payloads import Metric, read_payload, rebirth_request

LISTEN = 15.0  # s for nodes to say anything; each is asked for its births
QUIET = 3.0  # s without another birth after which there are no more
NUMBERS = range(1, 12)  # data types of numbers and truth values
OWN = ("bdSeq", "Node Control/", "Node Info/", "Device Control/", "Properties/")  # of the nodes themselves
UNIT, LOW, HIGH = ("engUnit", "Engineering Units", "unit"), ("engLow", "EngLow", "low"), ("engHigh", "EngHigh", "high")
FILTERS = tuple(f"spBv1.0/+/{kind}/+{'/+' * kind.startswith('D')}" for kind in (*BIRTHS, *DATA))


def list_sparkplug_tags(url: str) -> list[ListedTag]:
    """Return the metrics of births; SourceError where none comes."""
    found: dict[str, ListedTag] = {}
    asked: set[tuple[str, str]] = set()
    last = [float("inf")]  # when the last birth came

    def hear(name: str, body: bytes, publish: Publish) -> None:
        topic = parse_sparkplug_topic(name)
        if topic is None:
            return
        if (topic.group, topic.node) not in asked:
            asked.add((topic.group, topic.node))
            publish(f"spBv1.0/{topic.group}/NCMD/{topic.node}", rebirth_request(time.time_ns() // 1_000_000))
        if topic.kind not in BIRTHS:
            return
        try:
            metrics = read_payload(body).metrics
        except BadInput:
            return
        last[0] = time.monotonic()
        for metric in metrics:
            if metric.name and not metric.name.startswith(OWN):
                found[f"{topic.owner}/{metric.name}"] = _listed(f"{topic.owner}/{metric.name}", metric)

    overhear(url, FILTERS, hear, lambda seconds: seconds > LISTEN or (time.monotonic() - last[0] > QUIET))
    if not found:
        raise SourceError(f"{url}: no birth of Sparkplug B in {LISTEN:g} s; let the nodes be on and send something")
    return list(found.values())


def _listed(path: str, metric: Metric) -> ListedTag:
    unit, low, high = (_property(metric, names) for names in (UNIT, LOW, HIGH))
    numbers = [float(end) if isinstance(end, (int, float)) else None for end in (low, high)]
    return ListedTag(path, metric.datatype in NUMBERS, str(unit) if unit else None, *numbers)


def _property(metric: Metric, names: tuple[str, ...]) -> Any:
    return next((metric.properties[name] for name in names if metric.properties.get(name) is not None), None)
