"""MQTT 5 sessions that reconnect whenever the connection breaks; the only importer of paho.

`connect` waits until the broker accepts; from then on a thread of the session's own keeps the connection. What is
published waits for a connection and goes out once or more; what is received is delivered only when acknowledged.
"""

import logging
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from foretwin.errors import BadInput, BrokerError
from foretwin.project.loops import Backoff
from foretwin.twin.connectors.connection_state import ConnectionState
from foretwin.twin.connectors.mqtt.address import Address, parse_address
from foretwin.twin.connectors.mqtt.subscription import Message, Subscription
from foretwin.twin.connectors.mqtt.waking import Waker

logger = logging.getLogger("foretwin.mqtt")

BACKOFF = Backoff(shortest=1.0, longest=60.0, jitter=0.5)  # s between two attempts to connect
WEEK, KEEP_ALIVE = 7 * 24 * 3600, 4  # s that a broker keeps an absent subscriber's session; of silence before a probe
IN_FLIGHT = 100  # messages published at once without an answer, where the broker takes as many
PASSING = {0x88, 0x89, 0x97, 0x9F}  # server unavailable, busy, quota, too many connections at once: refusals that pass
TAKEN_OVER, MOST_LOSSES = 0x8E, 3  # a reason; losses of young connections before it is no accident any more
PAUSE, QUIET = 0.02, 0.2  # s between two looks whether there is room again; of silence before a connection is left
UNWRITTEN = 0.5  # s that what is to be written waits while there is something to read


def connect_broker(
    broker: str | Address,
    client_id: str,
    stop: threading.Event,
    subscription: Subscription | None = None,
    backoff: Backoff = BACKOFF,
    state: ConnectionState | None = None,
) -> "Session":
    """Return a session that the broker has accepted, subscription included; unaccepted once `stop` is set.

    A broker that cannot be reached is tried again until then. BrokerError where it refuses, or where its certificate
    is not trusted; BadInput where the URL is none. The password of a URL may be in FORETWIN_MQTT_PASSWORD.
    """
    address = broker if isinstance(broker, Address) else parse_address(broker, os.environ)
    session = Session(address, client_id, stop, subscription, backoff, state or ConnectionState(client_id))
    try:
        while not session.ready.wait(0.05) and not stop.is_set():
            session.check()
        session.check()
    except BaseException:
        session.close()
        raise
    return session


@dataclass
class Session:
    """A session with a broker. One with a subscription outlives this process; the broker keeps its messages a week."""

    address: Address
    client_id: str
    stop: threading.Event
    subscription: Subscription | None
    backoff: Backoff
    state: ConnectionState
    ready: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Begin to connect."""
        self._full = self.subscription.full if self.subscription else lambda: False
        self._connection = 0
        self._lock = threading.Lock()  # between an acknowledgement and the end of its connection
        self._room, self._closing = threading.Semaphore(0), threading.Event()
        self._answers: dict[int, Future[bool]] = {}
        self._failure: Exception | None = None
        self._accepted = self._answered = False
        self._losses, self._trouble = 0, ""  # losses of connections that did not last
        self._waker = Waker()
        self._client = self._prepared()
        self._thread = threading.Thread(target=self._run, name=f"mqtt-{self.client_id}", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise BrokerError where the broker has refused for good."""
        if self._failure is not None:
            raise self._failure

    def acknowledge(self, messages: Iterable[Message]) -> None:
        """Acknowledge these messages; the broker sends those of an earlier connection again by itself."""
        with self._lock:
            for message in messages:
                if message.number and message.connection == self._connection:
                    self._client.ack(message.number, 1)

    def publish(self, topic: str, body: bytes, content_type: str = "application/json") -> "Future[bool]":
        """Publish at least once; the future says, when the broker has the message, whether anybody subscribes to it.

        Blocks while as many messages are in flight as the broker takes. The future ends with BrokerError where it
        refuses the message, and is cancelled where `stop` is set before there is room or the session closed before the
        answer. BadInput for a topic that is none.
        """
        while not self._room.acquire(timeout=0.1):
            self.check()
            if self.stop.is_set() or self._closing.is_set():
                (never := Future[bool]()).cancel()
                return never
        properties = Properties(PacketTypes.PUBLISH)
        properties.ContentType = content_type
        try:
            number = self._client.publish(topic, body, qos=1, properties=properties).mid
        except ValueError as error:
            self._room.release()
            raise BadInput("topic", f"{topic!r} is none to publish to: {error}") from None
        answer = self._answers.setdefault(number, Future())  # or the network thread has, which had the answer already
        answer.add_done_callback(lambda _: self._answers.pop(number, None))
        return answer

    def close(self, seconds: float = 10) -> None:
        """Wait for what is in flight, then disconnect; the broker keeps the session of a subscriber."""
        if self._accepted:
            wait(list(self._answers.values()), seconds)
        self._closing.set()
        self._waker.wake()
        self._thread.join(seconds)
        self._waker.close()
        for answer in list(self._answers.values()):
            answer.cancel()

    def _prepared(self) -> Any:
        client = Client(CallbackAPIVersion.VERSION2, self.client_id, protocol=MQTTProtocolVersion.MQTTv5)
        client.manual_ack_set(True)
        client.max_inflight_messages_set(65535)  # `_room` holds back what is too much for the broker
        if self.address.user is not None:
            client.username_pw_set(self.address.user, self.address.password)
        if self.address.secure:
            client.tls_set_context(self.address.tls_context())
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect
        client.on_socket_open = lambda _, __, line: line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._waker.wake  # so that no thread but ours ever writes
        properties = Properties(PacketTypes.CONNECT)
        if self.subscription:
            properties.SessionExpiryInterval = WEEK
            properties.ReceiveMaximum = self.subscription.most
            properties.MaximumPacketSize = self.subscription.largest_packet
        client.connect_async(self.address.host, self.address.port, KEEP_ALIVE, clean_start=False, properties=properties)
        return client

    def _run(self) -> None:
        """Run the network thread: connect, serve the connection until it breaks, wait, repeat."""
        failures = 0  # to keep a connection, in a row
        try:
            while not self._closing.is_set() and self._failure is None:
                begin = time.monotonic()
                self._accepted = self._answered = False
                try:
                    self._client.reconnect()
                    self._serve()
                except OSError as error:
                    self._unreachable(error)
                if self._accepted and time.monotonic() - begin > self.backoff.longest:
                    failures = self._losses = 0
                failures += 1
                if self._failure is None:
                    self._closing.wait(self.backoff.wait(failures))
                while self._full() and not self._closing.wait(PAUSE):
                    pass  # what the broker would send again finds no room either
        except Exception as error:  # else the session would hang without a word
            self._failure = error
            raise

    def _serve(self) -> None:
        """Serve the connection until it breaks.

        What has come is read before anything is written: to write on a connection that the broker's crash has broken
        would close it, and lose what was not read yet. But a broker that sends without a pause drops who is silent.
        Before leaving, all is read and dropped until there is silence: closed with something unread it would be reset,
        and the broker would lose our last acknowledgements.
        """
        busy = written = time.monotonic()  # `written`: when last nothing waited to be written
        while (line := self._client.socket()) is not None and self._failure is None:
            closing, writing = self._closing.is_set(), self._client.want_write()
            if closing and not writing and time.monotonic() - busy > QUIET:
                self._client.disconnect()
                self._client.loop_write()
                return
            pausing = not closing and self._full()
            held = line.pending() if isinstance(line, ssl.SSLSocket) and not pausing else 0
            reads = [self._waker.line] if pausing else [self._waker.line, line]
            seconds = 0.0 if held else PAUSE if pausing or closing else 1.0
            readable, writable, _ = select.select(reads, [line] if writing else [], [], seconds)
            if self._waker.line in readable:
                self._waker.clear()
            if held or line in readable:
                self._client.loop_read()
                self.state.heard = time.monotonic()
            if (writing and time.monotonic() - written > UNWRITTEN) or (line in writable and line not in readable):
                self._client.loop_write()
            busy = time.monotonic() if held or line in (*readable, *writable) else busy
            written = written if self._client.want_write() else time.monotonic()
            self._client.loop_misc()

    def _unreachable(self, error: OSError) -> None:
        if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError) and not self.ready.is_set():
            reason = getattr(error, "verify_message", "") or error.reason or str(error)
            self._fail(f"no secure connection: {reason}: give the authority's certificate as ?ca=FILE in the URL")
        else:  # a handshake that breaks off is no refusal: a broker that restarts does that too
            self._warn(f"cannot be reached: {error.strerror or error}")

    def _fail(self, reason: str) -> None:
        self._failure = self._failure or BrokerError(f"{self.address}: {reason}")
        self.state.mark_lost(reason)

    def _warn(self, trouble: str) -> None:  # once, not at each attempt
        self.state.mark_lost(trouble)
        if trouble != self._trouble and not self._closing.is_set():
            logger.warning("%s: %s; trying again", self.address, trouble)
            self._trouble = trouble

    def _on_connect(self, *told: Any) -> None:
        client, _, _, reason, properties = told
        self._answered = True
        if reason.is_failure:
            if self.ready.is_set() or reason.value in PASSING:
                self._warn(f"the broker refuses: {reason}")
            else:
                advice = ": correct user and password" if reason.value in (0x86, 0x87) else ""
                self._fail(f"the broker refuses: {reason}{advice}")
            return
        self._accepted = True
        if self._trouble:
            logger.warning("%s: connected", self.address)
        self._trouble = ""
        if not self.ready.is_set():
            self._room.release(min(IN_FLIGHT, getattr(properties, "ReceiveMaximum", IN_FLIGHT)))
        if self.subscription:
            client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in self.subscription.topics])
        else:
            self._begin()

    def _on_subscribe(self, *told: Any) -> None:
        for topic, reason in zip(self.subscription.topics if self.subscription else (), told[3], strict=True):
            if reason.is_failure:
                self._fail(f"the broker refuses to subscribe to {topic}: {reason}")
            elif reason.value == 0:
                self._fail(f"the broker promises no delivery of {topic}: let it grant QoS 1")
        if self._failure is None:
            self._begin()

    def _begin(self) -> None:
        self.ready.set()
        self.state.mark_connected()

    def _on_message(self, _: object, __: object, message: MQTTMessage) -> None:
        if self.subscription and not self._closing.is_set():
            self._begin()  # what the session missed comes ahead of the broker's answer to our subscription
            kind = getattr(message.properties, "ContentType", "application/json")
            told = (kind, self._connection, message.mid if message.qos else 0, len(message.payload), message.dup)
            self.subscription.receive(Message(message.topic, self.subscription.shortened(message.payload), *told))

    def _on_publish(self, *told: Any) -> None:
        _, _, number, reason, _ = told
        self._room.release()
        answer = self._answers.setdefault(number, Future())
        if reason.is_failure:
            answer.set_exception(BrokerError(f"{self.address}: the broker refuses the message: {reason}"))
        else:
            answer.set_result(reason.value == 0)  # 16: nobody subscribes

    def _on_disconnect(self, *told: Any) -> None:
        reason = told[3]
        self.state.mark_lost(f"connection lost: {reason}")
        if reason.value == TAKEN_OVER:
            self._fail(f"another process took the session {self.client_id} over: stop one of them")
        elif self.address.secure and not self.ready.is_set() and not self._answered and not self._closing.is_set():
            self._fail("the broker breaks the secure connection off: it may ask for ?cert=FILE&key=FILE in the URL")
        else:  # not every broker says TAKEN_OVER
            self._losses += 1
            again = f" again and again; another process may have the session {self.client_id}"
            self._warn(f"connection lost{again if self._losses > MOST_LOSSES else ''}")

    def _on_socket_close(self, *_: object) -> None:
        with self._lock:
            self._connection += 1
