"""`connections.yaml` of a project: connections by name, checked like a contract."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError, model_validator

from foretwin.contract.parts import ContractPart
from foretwin.contract.twin import Twin, TwinName
from foretwin.contract.yaml import describe_problem, place_problem, read_yaml
from foretwin.errors import ConnectionsError
from foretwin.twin.connectors.connections.addresses import AddressTemplate, split_url
from foretwin.twin.connectors.connections.json_paths import parse_json_path
from foretwin.twin.connectors.connections.unit_lines import unit_line
from foretwin.wire.asset_names import is_name

FILE = "connections.yaml"
NATS = ("nats", "tls")
KAFKA = ("kafka", "kafkas")
SCHEMES = ("mqtt", "mqtts", "opc.tcp", *NATS, *KAFKA)
TOPIC = re.compile(r"(?:[A-Za-z0-9._-]|{\w+})+")  # of Kafka, perhaps with words in braces
PATHS = ("value", "time", "quality")  # into JSON
OPC_FIELDS = ("security", "publish_every")
MOST_TAGS = 100_000
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class TagMapping(ContractPart):
    """A tag, or all tags whose address matches a template, and what they are here.

    `value = unit(raw * scale + offset)`, where `unit` is converted to that of the contract's channel.
    """

    at: Text = Field(
        description="a topic, a node id or a path; {asset}, {channel} or any other word stands for a level"
    )
    asset: Text | None = Field(default=None, description="the machine; not needed where `at` has {asset}")
    channel: Text | None = Field(default=None, description="the contract's channel; or {channel} in `at` names it")
    unit: Text | None = Field(default=None, description="in which the source tells it; that of the contract if not set")
    scale: float = 1.0
    offset: float = 0.0
    words: dict[str, float | str] = Field(default={}, description="what an enumeration's number or word is here")
    bad: tuple[float | str, ...] = Field(default=(), description="values that say that there is none, such as -9999")
    dead_band: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="OPC UA: a smaller change is none, in what the source tells"
    )
    value: Text | None = Field(default=None, description="MQTT: where the value lies in a JSON body, as $.v")
    time: Text | None = Field(default=None, description="MQTT: where its time lies; else it is that of the receipt")
    quality: Text | None = Field(default=None, description="MQTT: where its quality lies")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        words = AddressTemplate(self.at).words
        for name in ("asset", "channel"):
            if (getattr(self, name) is None) == (name not in words):
                both = f"{name}: is there, and {{{name}}} in `at` too; leave one of them out"
                neither = f"{name}: is missing; name it, or write {{{name}}} into `at`"
                raise ValueError(neither if getattr(self, name) is None else both)
        for path in (self.value, self.time, self.quality):
            if path is not None:
                parse_json_path(path)
        if self.scale == 0:
            raise ValueError("scale: is 0, which makes all values one; leave it out or correct it")
        return self


class Security(ContractPart):
    """How a connection to an OPC UA server is signed and encrypted: files of certificates, DER or PEM."""

    policy: Literal["Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"] = "Basic256Sha256"
    certificate: Text
    private_key: Text
    server_certificate: Text = Field(description="the server's, the only one that is trusted")


class PlantConnection(ContractPart):
    """What is listened to. MQTT, NATS and Kafka without tags have the topics and bodies of `foretwin ingest`."""

    url: Text
    twin: TwinName | None = Field(default=None, description="whose tags these are")
    format: Literal["sparkplug"] | None = Field(default=None, description="of the messages of an MQTT broker")
    user: Text | None = None
    password_from: Text | None = Field(default=None, description="the variable of the environment that holds it")
    assets: dict[Text, Text] = Field(default={}, description="names at the source, and the machines' names here")
    tags: Annotated[tuple[TagMapping, ...], Field(max_length=MOST_TAGS)] = ()
    security: Security | None = None
    publish_every: Annotated[float, Field(gt=0, le=5)] | None = Field(
        default=None, description="OPC UA: seconds between two messages of the server; 0.5 where it is not set"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        scheme, host = _scheme_and_host(self.url)
        if scheme not in SCHEMES or not host:
            raise ValueError(f"url: is none that can be listened to; it begins with {', '.join(SCHEMES)}")
        if ":" in self.url.partition("://")[2].rpartition("@")[0]:
            raise ValueError("url: holds a password; leave it out, and name its variable in password_from")
        if self.tags and self.twin is None:
            raise ValueError("twin: is missing; name the contract whose channels the tags are")
        if scheme == "opc.tcp":
            self._fits_opc()
            return self
        if scheme in (*NATS, *KAFKA):
            self._fits_stream(scheme)
        if self.format == "sparkplug" and (not self.tags or any(getattr(t, p) for t in self.tags for p in PATHS)):
            raise ValueError("tags: of Sparkplug have an address, such as group/node/device/metric, and no paths")
        wrong = [name for name in OPC_FIELDS if getattr(self, name) is not None]
        if wrong:
            raise ValueError(
                f"{wrong[0]}: is of OPC UA; leave it out, mqtts://, tls:// and kafkas:// have ca, cert and key in URLs"
            )
        if any(tag.dead_band is not None for tag in self.tags):
            raise ValueError("dead_band: is of OPC UA; leave it out")
        return self

    def _fits_stream(self, scheme: str) -> None:
        if self.format is not None:
            raise ValueError(f"format: {self.format} is of MQTT; leave it out")
        if scheme in NATS and any("." in tag.at for tag in self.tags):
            raise ValueError("at: has a dot; write the levels of a subject with /, as those of a topic")
        wrong_topics = [tag.at for tag in self.tags if not TOPIC.fullmatch(tag.at.partition("/")[0])]
        if scheme in KAFKA and wrong_topics:
            raise ValueError(f"at: {wrong_topics[0]} begins with no topic of Kafka; write TOPIC/KEY")

    def _fits_opc(self) -> None:
        if self.format is not None:
            raise ValueError(f"format: {self.format} is of MQTT; leave it out")
        if not self.tags:
            raise ValueError("tags: are missing; `foretwin new NAME opc.tcp://...` proposes them")
        if any(tag.value or tag.time or tag.quality for tag in self.tags):
            raise ValueError("value, time and quality: are paths into MQTT's JSON; leave them out")
        if (self.user is not None or self.password_from is not None) and self.security is None:
            raise ValueError("user: would go over the wire in clear; add `security`")


@dataclass(frozen=True)
class Peer:
    """A connection by its name. `root` is the folder that its files are relative to."""

    name: str
    settings: PlantConnection
    root: Path = Path()

    @property
    def scheme(self) -> str:
        """Return the scheme of its URL."""
        return _scheme_and_host(self.settings.url)[0]

    def password(self, environ: Mapping[str, str] = os.environ) -> str | None:
        """Return its password; ConnectionsError where the variable that holds it is not set."""
        variable = self.settings.password_from
        if variable is None:
            return None
        if not environ.get(variable):
            raise ConnectionsError(f"{self.name}: password_from: {variable} is not set; set it in the environment")
        return environ[variable]


def plain_peer(url: str) -> Peer:
    """Return a connection without tags to a broker or server; it is named `mqtt`, `nats` or `kafka`."""
    scheme = _scheme_and_host(url)[0]
    name = "nats" if scheme in NATS else "kafka" if scheme in KAFKA else "mqtt"
    return Peer(name, PlantConnection.model_construct(url=url))


def load_connections(path: Path, contracts: Mapping[str, Twin]) -> list[Peer]:
    """Read a connections.yaml; ConnectionsError names file, line and field. None where there is no such file."""
    try:
        content, root = read_yaml(path, ConnectionsError)
    except FileNotFoundError:
        return []
    try:
        found = _ADAPTER.validate_python(content)
    except ValidationError as error:
        raise ConnectionsError(describe_problem(path, root, error, "connections")) from None
    for name, settings in found.items():
        for place, reason in _disagreements(settings, contracts):
            raise ConnectionsError(place_problem(path, root, (name, *place), reason))
    return [Peer(name, settings, path.parent) for name, settings in found.items()]


_Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=60)]
_ADAPTER = TypeAdapter(Annotated[dict[_Name, PlantConnection], Field(min_length=1)])


def _scheme_and_host(url: str) -> tuple[str, str]:
    try:
        parts = split_url(url)
        return parts.scheme, parts.hostname or ""
    except ValueError:
        return "", ""


def _disagreements(settings: PlantConnection, contracts: Mapping[str, Twin]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield the place of each field that does not agree with the contracts, and what is wrong there."""
    if settings.twin is None:
        return
    contract = contracts.get(settings.twin)
    if contract is None:
        yield ("twin",), f"{settings.twin} has no contract here; there is {', '.join(contracts) or 'none'}"
        return
    for name in settings.assets.values():
        if not is_name(name):
            yield ("assets",), f"{name} is no name of a machine; write one without /, +, # and spaces around it"
    scheme, seen = _scheme_and_host(settings.url)[0], set[str]()
    for place, tag in enumerate(settings.tags):
        if tag.at in seen:
            yield ("tags", place, "at"), f"{tag.at} stands twice; keep one of them"
        seen.add(tag.at)
        for field, reason in _tag_disagreements(
            tag, contract, is_topic=scheme not in ("opc.tcp", *KAFKA) and settings.format is None
        ):
            yield ("tags", place, field), reason


def _tag_disagreements(tag: TagMapping, contract: Twin, is_topic: bool) -> Iterator[tuple[str, str]]:
    if tag.asset is not None and not is_name(tag.asset):
        yield "asset", f"{tag.asset} is no name of a machine; write one without /, +, # and spaces around it"
    if tag.channel is not None and tag.channel not in contract.channels:
        yield "channel", f"{tag.channel} is no channel of {contract.name}; there is {', '.join(contract.channel_names)}"
        return
    channels = [contract.channels[tag.channel]] if tag.channel is not None else list(contract.channels.values())
    try:
        if is_topic:
            _ = AddressTemplate(tag.at).topic
    except ValueError as error:
        yield "at", str(error)
    for channel in channels if tag.unit is not None else ():
        try:
            unit_line(str(tag.unit), channel.unit)
        except ValueError as error:
            yield "unit", f"{error}; correct it, or give scale and offset"
