"""What a broker says of its limits when it accepts a connection."""

import os
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from foretwin.errors import BrokerError
from foretwin.twin.connectors.mqtt.address import parse_address

LONGEST = 10.0  # seconds for the whole look
KEPT = 7 * 24 * 3600  # seconds for which `foretwin ingest` asks the broker to keep its session


@dataclass(frozen=True)
class BrokerLimits:
    """Limits as MQTT 5 tells them: `largest_packet` in bytes, None: no limit; `kept` in seconds; the granted `qos`."""

    name: str
    largest_packet: int | None
    kept: int
    at_once: int
    qos: int | None


def ask_broker(url: str, topic: str, environ: Mapping[str, str] = os.environ) -> BrokerLimits:
    """Connect, subscribe to a topic, and leave nothing behind; BrokerError where the broker refuses or is away."""
    address = parse_address(url, environ)
    client = Client(
        CallbackAPIVersion.VERSION2, f"foretwin-doctor-{uuid.uuid4().hex[:12]}", protocol=MQTTProtocolVersion.MQTTv5
    )
    if address.user is not None:
        client.username_pw_set(address.user, address.password)
    if address.secure:
        client.tls_set_context(address.tls_context())
    done, told = threading.Event(), dict[str, Any]()

    def connected(*words: Any) -> None:
        told["reason"], told["properties"] = words[3], words[4]
        if words[3].is_failure:
            done.set()
        else:
            client.subscribe(topic, qos=1)

    def subscribed(*words: Any) -> None:
        told["granted"] = words[3][0]
        done.set()

    client.on_connect, client.on_subscribe = connected, subscribed
    asked = Properties(PacketTypes.CONNECT)
    asked.SessionExpiryInterval = KEPT
    try:
        client.connect(address.host, address.port, clean_start=True, properties=asked)
        client.loop_start()
        done.wait(LONGEST)
    except OSError as error:
        raise BrokerError(
            f"{address}: cannot be reached: {error.strerror or error}; start it, or correct the URL"
        ) from None
    finally:
        leaving = Properties(PacketTypes.DISCONNECT)
        leaving.SessionExpiryInterval = 0
        client.disconnect(properties=leaving)
        client.loop_stop()
    return _limits(str(address), told)


def _limits(name: str, told: Mapping[str, Any]) -> BrokerLimits:
    if "reason" not in told:
        raise BrokerError(f"{name}: does not answer within {LONGEST:g} s; is it a broker of MQTT 5?")
    if told["reason"].is_failure:
        raise BrokerError(f"{name}: the broker refuses: {told['reason']}; correct user and password, or its rules")
    properties, granted = told["properties"], told.get("granted")
    largest = getattr(properties, "MaximumPacketSize", None)
    kept, at_once = getattr(properties, "SessionExpiryInterval", KEPT), getattr(properties, "ReceiveMaximum", 65535)
    return BrokerLimits(name, largest, kept, at_once, None if granted is None or granted.is_failure else granted.value)
