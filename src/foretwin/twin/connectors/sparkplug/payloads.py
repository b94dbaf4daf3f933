"""Payloads of Sparkplug B, by the protobuf runtime.

The messages and the numbers of their fields are those of the specification (Eclipse Sparkplug 3.0.0, section 6.4), as
far as a host needs them; what is not described here, such as data sets and templates, the runtime passes over.
"""

import gzip
import zlib
from dataclasses import dataclass
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from foretwin.errors import BadInput

PACKAGE = "foretwin.sparkplug"
COMPRESSED = "SPBV1.0_COMPRESSED"  # the `uuid` of a payload whose body is another one
LARGEST = 64 * 1024 * 1024  # bytes of an unpacked body
MOST_METRICS = 200_000  # of one payload
# message -> name, number, type and label of each field; the numbers are the specification's
FIELDS: dict[str, tuple[tuple[str, int, str], ...]] = {
    "Payload": (
        ("timestamp", 1, "uint64"),
        ("metrics", 2, "repeated Metric"),
        ("seq", 3, "uint64"),
        ("uuid", 4, "string"),
        ("body", 5, "bytes"),
    ),
    "Metric": (
        ("name", 1, "string"),
        ("alias", 2, "uint64"),
        ("timestamp", 3, "uint64"),
        ("datatype", 4, "uint32"),
        ("is_historical", 5, "bool"),
        ("is_null", 7, "bool"),
        ("properties", 9, "PropertySet"),
        *(
            (f"{kind}_value", number, type_)
            for kind, number, type_ in (
                ("int", 10, "uint32"),
                ("long", 11, "uint64"),
                ("float", 12, "float"),
                ("double", 13, "double"),
                ("boolean", 14, "bool"),
                ("string", 15, "string"),
            )
        ),
    ),
    "PropertySet": (("keys", 1, "repeated string"), ("values", 2, "repeated PropertyValue")),
    "PropertyValue": (
        ("int_value", 3, "uint32"),
        ("long_value", 4, "uint64"),
        ("float_value", 5, "float"),
        ("double_value", 6, "double"),
        ("boolean_value", 7, "bool"),
        ("string_value", 8, "string"),
    ),
}
SIGNED = {1: 8, 2: 16, 3: 32, 4: 64}  # data types Int8 ... Int64, sent as unsigned numbers: bits
VALUES = ("int_value", "long_value", "float_value", "double_value", "boolean_value", "string_value")


@dataclass(frozen=True)
class Metric:
    """A metric: `time` in ms since 1970; `raw` as it was sent, None where it is null or no single value."""

    name: str
    alias: int | None
    datatype: int
    time: int | None
    raw: Any
    historical: bool
    properties: dict[str, Any]


@dataclass(frozen=True)
class SparkplugPayload:
    """A payload: `time` in ms since 1970, `seq` from 0 to 255, None in a message that has none."""

    time: int | None
    seq: int | None
    metrics: tuple[Metric, ...]


def read_payload(body: bytes) -> SparkplugPayload:
    """Decode a payload, unpacked where it is packed; BadInput where it is none."""
    message = _parsed(body)
    if message.uuid == COMPRESSED:
        algorithm = next((one.string_value for one in message.metrics if one.name == "algorithm"), "DEFLATE")
        message = _parsed(_unpacked(message.body, algorithm.upper()))
    if len(message.metrics) > MOST_METRICS:
        raise BadInput("metrics", f"are {len(message.metrics)}, {MOST_METRICS} may come at once: send several messages")
    time = message.timestamp if message.HasField("timestamp") else None
    metrics = tuple(_metric(one, time) for one in message.metrics)
    return SparkplugPayload(time, message.seq if message.HasField("seq") else None, metrics)


def rebirth_request(now: int) -> bytes:
    """Return the body of the command that asks an edge node for its birth; `now` in ms since 1970."""
    payload = _classes()["Payload"](timestamp=now)
    metric = payload.metrics.add()
    metric.name, metric.timestamp, metric.datatype, metric.boolean_value = "Node Control/Rebirth", now, 11, True
    body: bytes = payload.SerializeToString()
    return body


def typed(raw: Any, datatype: int) -> Any:
    """Return a raw value by its data type: signed numbers are sent as unsigned ones."""
    bits = SIGNED.get(datatype)
    if bits is None or type(raw) is not int:
        return raw
    raw &= (1 << bits) - 1
    return raw - (1 << bits) if raw >> (bits - 1) else raw


def _metric(one: Any, time: int | None) -> Metric:
    properties = {key: _value(value) for key, value in zip(one.properties.keys, one.properties.values, strict=False)}
    raw = None if one.is_null else _value(one)
    at = one.timestamp if one.HasField("timestamp") else time
    alias = one.alias if one.HasField("alias") else None
    return Metric(one.name, alias, one.datatype, at, raw, one.is_historical, properties)


def _value(one: Any) -> Any:
    return next((getattr(one, field) for field in VALUES if one.HasField(field)), None)


def _parsed(body: bytes) -> Any:
    message = _classes()["Payload"]()
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise BadInput("body", f"is no payload of Sparkplug B: {error}") from None
    return message


def _unpacked(body: bytes, algorithm: str) -> bytes:
    """Return an unpacked body; nothing larger than the limit is ever unpacked."""
    if algorithm not in ("DEFLATE", "GZIP"):
        raise BadInput("algorithm", f"is {algorithm[:20]}; there is DEFLATE and GZIP")
    window = zlib.MAX_WBITS | 16 if algorithm == "GZIP" else zlib.MAX_WBITS
    unpacking = zlib.decompressobj(window)
    try:
        found = unpacking.decompress(body, LARGEST)
    except (zlib.error, gzip.BadGzipFile) as error:
        raise BadInput("body", f"cannot be unpacked: {error}") from None
    if unpacking.unconsumed_tail or not unpacking.eof:
        raise BadInput("body", f"is cut off, or larger than {LARGEST} bytes unpacked")
    return found


@cache
def _classes() -> dict[str, Any]:
    """Return the classes of the messages, made of FIELDS."""
    file = descriptor_pb2.FileDescriptorProto(name="foretwin/sparkplug.proto", package=PACKAGE, syntax="proto2")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for field, number, told in fields:
            repeated, _, kind = told.rpartition(" ")
            label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            one = message.field.add(name=field, number=number, label=label)
            if kind in FIELDS:
                one.type, one.type_name = kinds.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
            else:
                one.type = getattr(kinds, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in FIELDS}
