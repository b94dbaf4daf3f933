"""Messages on topics of anybody's invention: one value each, as text or somewhere in a JSON body."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from foretwin.contract.twin import Twin
from foretwin.errors import BadInput
from foretwin.twin.connectors.connections.addresses import AddressTemplate
from foretwin.twin.connectors.connections.connections_file import Peer, TagMapping
from foretwin.twin.connectors.connections.json_paths import follow_json_path, parse_json_path
from foretwin.twin.connectors.connections.mapping import CollectedValues, TagMap
from foretwin.twin.connectors.mqtt.subscription import Message
from foretwin.wire.decoder import undecodable
from foretwin.wire.json import parse
from foretwin.wire.readings import Decoded


class TagTopics:
    """The tags of one connection: the topics to subscribe to, and what a message on one of them says."""

    def __init__(self, tags: TagMap, filters: Sequence[str]) -> None:
        self.filters = filters
        self._tags = tags

    @property
    def twin(self) -> str:
        """Return the twin whose tags they are."""
        return self._tags.contract.name

    def machine_at(self, address: str) -> str:
        """Return the machine whose tag stands at an address; nothing where no tag does."""
        tag = self._tags.find(address)
        return tag.asset if tag else ""

    def decode(self, messages: Sequence[Message]) -> list[Decoded]:
        """Return the values of messages; each message that cannot be read is refused on its own, with its reason."""
        collected, refused = CollectedValues(self._tags.contract), []
        for message in messages:
            tag = self._tags.find(message.topic)
            try:
                if tag is None:
                    raise BadInput("channel", f"{message.topic} names no channel of the contract")
                if message.size > len(message.body):
                    raise BadInput("body", f"has {message.size} bytes, too many for one value")
                collected.add(tag, *_fields(tag.tag, message.body))
            except BadInput as error:
                refused.append(undecodable(message.body, error, self._tags.contract.name, tag.asset if tag else None))
        return [*([collected.decode()] if len(collected) else []), *refused]


def tag_topics(peer: Peer, contracts: Mapping[str, Twin]) -> TagTopics:
    """Return the topics of a connection's tags."""
    wanted = list(dict.fromkeys(AddressTemplate(tag.at).topic for tag in peer.settings.tags))
    filters = [one for one in wanted if not any(_covers(other, one) for other in wanted if other != one)]
    return TagTopics(TagMap(peer, contracts[str(peer.settings.twin)]), filters)


def _covers(wide: str, narrow: str) -> bool:
    """Return whether a filter holds all topics of another: brokers may send a message once for each that matches."""
    levels, others = wide.split("/"), narrow.split("/")
    return len(levels) == len(others) and all(a in ("+", b) for a, b in zip(levels, others, strict=True))


def _fields(tag: TagMapping, body: bytes) -> tuple[Any, Any, Any]:
    """Return time, value and quality of a body; BadInput where one of them is not there."""
    if tag.time is tag.value is tag.quality is None:
        return time.time_ns() // 1000, body.decode("utf-8", "backslashreplace").strip(), None
    content = parse(body)
    moment = time.time_ns() // 1000 if tag.time is None else _found(content, "time", tag.time)
    value = content if tag.value is None else _found(content, "value", tag.value)
    return moment, value, None if tag.quality is None else _found(content, "quality", tag.quality)


def _found(content: Any, name: str, path: str) -> Any:
    try:
        return follow_json_path(content, parse_json_path(path))
    except KeyError as error:
        raise BadInput(name, f"{path}: there is no {error.args[0]} in the body") from None
