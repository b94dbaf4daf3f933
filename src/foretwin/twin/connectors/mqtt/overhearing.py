"""Listen to a broker for a while and leave nothing behind, as `foretwin new` does."""

import os
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from foretwin.errors import BrokerError
from foretwin.twin.connectors.mqtt.address import parse_address

ANSWER = 10.0  # s that a broker may take to accept
Publish = Callable[[str, bytes], None]


def overhear(
    url: str, topics: Sequence[str], hear: Callable[[str, bytes, Publish], None], done: Callable[[float], bool]
) -> None:
    """Give each message to `hear`, with a way to answer, until `done` says of the seconds listened that it is enough.

    BrokerError where the broker refuses or cannot be reached.
    """
    address = parse_address(url, os.environ)
    name = f"foretwin-new-{uuid.uuid4().hex[:12]}"
    client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv5)
    if address.user is not None:
        client.username_pw_set(address.user, address.password)
    if address.secure:
        client.tls_set_context(address.tls_context())
    told: dict[str, Any] = {}

    def connected(*words: Any) -> None:
        told["reason"] = words[3]
        if not words[3].is_failure:
            client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in topics])

    client.on_connect = connected
    client.on_message = lambda _, __, message: hear(message.topic, bytes(message.payload), client.publish)
    try:
        client.connect(address.host, address.port, clean_start=True)
    except OSError as error:
        reason = error.strerror or error
        raise BrokerError(f"{address}: cannot be reached: {reason}; start it, or correct the URL") from None
    client.loop_start()
    begin = time.monotonic()
    try:
        while not told and time.monotonic() - begin < ANSWER:
            time.sleep(0.05)
        if "reason" not in told or told["reason"].is_failure:
            reason = told.get("reason", f"no answer within {ANSWER:g} s")
            raise BrokerError(f"{address}: the broker refuses: {reason}; correct user and password, or its rules")
        begin = time.monotonic()
        while not done(time.monotonic() - begin):
            time.sleep(0.05)
    finally:
        client.disconnect()
        client.loop_stop()
