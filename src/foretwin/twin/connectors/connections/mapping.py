"""From a tag's address and what it says to a value of a channel, in the contract's unit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foretwin.contract.twin import Twin
from foretwin.twin.connectors.connections.addresses import AddressTemplate
from foretwin.twin.connectors.connections.connections_file import Peer, TagMapping
from foretwin.twin.connectors.connections.unit_lines import unit_line
from foretwin.wire.readings import Decoded
from foretwin.wire.value_columns import ValueColumns

MOST_ADDRESSES = 200_000  # that are remembered: an address is matched once


@dataclass(frozen=True)
class MappedTag:
    """A tag of one machine: value = factor * raw + shift, in the unit of the contract's channel."""

    asset: str
    channel: str
    tag: TagMapping
    factor: float = 1.0
    shift: float = 0.0

    def cell(self, raw: Any) -> Any:
        """Return the value; None for one that says that there is none, and what is no number as it is."""
        if type(raw) is float and not self.tag.bad and not self.tag.words:
            return raw * self.factor + self.shift
        if self.tag.bad and any(raw == bad or str(raw) == str(bad) for bad in self.tag.bad):
            return None
        if self.tag.words:
            word = str(raw).casefold() if isinstance(raw, bool) else str(raw)
            return self.tag.words.get(word, f"{raw}")
        if isinstance(raw, str):
            try:
                raw = float(raw)
            except ValueError:
                return raw
        return raw * self.factor + self.shift if isinstance(raw, (bool, int, float)) else raw


class TagMap:
    """The tags of one connection by their addresses; those without a mapping are remembered too."""

    def __init__(self, peer: Peer, contract: Twin) -> None:
        self.contract = contract
        self._renamed = peer.settings.assets
        tags = peer.settings.tags
        self._templates = [(AddressTemplate(tag.at), tag) for tag in tags if "{" in tag.at]
        self._known: dict[str, MappedTag | None] = {}
        for tag in tags:
            if "{" not in tag.at:
                self._known[tag.at] = self._mapped(tag, {})

    def find(self, address: str) -> MappedTag | None:
        """Return the tag at an address; None where nothing maps it."""
        if address in self._known:
            return self._known[address]
        found = None
        for template, tag in self._templates:
            words = template.match(address)
            if words is not None:
                found = self._mapped(tag, words)
                break
        if len(self._known) < MOST_ADDRESSES:
            self._known[address] = found
        return found

    def _mapped(self, tag: TagMapping, words: Mapping[str, str]) -> MappedTag | None:
        """Return the tag of one machine; None where {channel} is no channel of the contract."""
        asset, channel = tag.asset or words["asset"], tag.channel or words["channel"]
        if channel not in self.contract.channels:
            return None
        factor, shift = unit_line(tag.unit, self.contract.channels[channel].unit) if tag.unit else (1.0, 0.0)
        asset = self._renamed.get(asset, asset)
        return MappedTag(asset, channel, tag, tag.scale * factor, tag.offset * factor + shift)


class CollectedValues:
    """Values of one twin that came together, as they are decoded: columns of cells."""

    def __init__(self, contract: Twin) -> None:
        self._contract = contract
        self._assets: list[str] = []
        self._fields: dict[str, list[Any]] = {"time": [], "channel": [], "value": [], "quality": []}

    def __len__(self) -> int:
        return len(self._assets)

    def add(self, tag: MappedTag, time: Any, raw: Any, quality: Any = None) -> None:
        """Add one; `time` as `wire.value_columns` reads it, microseconds since 1970 among others."""
        fields = self._fields
        self._assets.append(tag.asset)
        fields["time"].append(time)
        fields["channel"].append(tag.channel)
        fields["value"].append(tag.cell(raw))
        fields["quality"].append(quality)

    def decode(self) -> Decoded:
        """Return the good values, those that are refused, and how many were missing or of bad quality."""
        values, rejected = ValueColumns(self._contract, self._assets, self._fields).decode()
        missing = len(self._assets) - len(values) - len(rejected)
        return Decoded(None, rejected, values if len(values) else None, missing)
