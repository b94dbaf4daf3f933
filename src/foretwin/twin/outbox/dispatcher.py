"""Deliver events of the outbox to webhooks, brokers and buses, each at least once, and to chats at most once.

A receiver knows an event that comes twice by its id; a chat does not. Each target has a thread of its own, so that a
slow or crashed one holds up nobody else.
"""

import logging
import math
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import urlsplit

import httpx
import orjson

from foretwin.errors import BadInput, BrokerError
from foretwin.project.loops import Backoff
from foretwin.project.settings import read_setting
from foretwin.twin.connectors.mqtt.address import parse_address
from foretwin.twin.connectors.mqtt.session import Session, connect_broker
from foretwin.twin.outbox.bus_targets import bus_targets
from foretwin.twin.outbox.cloud_events import as_cloud_event
from foretwin.twin.outbox.delivery_targets import TIMEOUT, DeliveryOutcome, Send, Target
from foretwin.twin.outbox.signatures import SECRET, webhook_secret, webhook_signature
from foretwin.twin.store import Store
from foretwin.twin.store.casework import events as outbox
from foretwin.twin.store.casework.events import Delivery, Event

WEBHOOKS, MQTT = "FORETWIN_WEBHOOKS", "FORETWIN_EVENTS_MQTT"
PAUSE = 1.0  # seconds between two looks into the outbox
BACKOFF = Backoff(shortest=15.0, longest=3600.0, factor=3.0, jitter=0.5)  # s between two attempts
ATTEMPTS = 10  # to deliver an event: with BACKOFF a target may be away for about three hours before it is given up
PASS = 100  # deliveries between two looks into it
CLOCK_STEP = 1.0  # seconds by which a clock set back makes what waits for a later moment due at once
UNKNOWN = "its sender ended before the answer: look whether it came; it is not sent again by itself"
MOST_AWAY = 30.0  # seconds, at most, between two attempts to reach a target that does not answer

logger = logging.getLogger("foretwin.delivery")


def targets_from(environ: Mapping[str, str]) -> tuple[Target, ...]:
    """Return the targets of FORETWIN_WEBHOOKS (URLs, joined by commas), FORETWIN_EVENTS_MQTT (one URL), and buses.

    BadInput names the variable that is wrong: no URL, two targets that differ in their credentials alone, or webhooks
    without FORETWIN_WEBHOOK_SECRET.
    """
    urls = [url.strip() for url in read_setting(WEBHOOKS, environ).split(",") if url.strip()]
    secret = webhook_secret(environ) if urls else b""
    if urls and not secret:
        raise BadInput(SECRET, f"is not set, but {WEBHOOKS} is: set it, so that receivers can know who sends")
    targets = [Target(_webhook(url), secret) for url in urls]
    if broker := read_setting(MQTT, environ):
        targets.append(Target(_broker(broker, environ)))
    targets += bus_targets(environ)
    names = [target.name for target in targets]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise BadInput(WEBHOOKS, f"has {twice[0]} twice; without user and query, targets must differ")
    return tuple(targets)


def deliver(
    store: Store,
    targets: Sequence[Target],
    stop: threading.Event,
    backoff: Backoff = BACKOFF,
    attempts: int = ATTEMPTS,
) -> None:
    """Deliver the outbox's events, present and new ones, until `stop` is set.

    Events are sent in the order of each asset. One that a target never takes is dead after `attempts` attempts, and at
    once where the target answers 410; `store.events` lists those and revives them.
    """
    couriers = [_Courier(store, target, stop, backoff, attempts) for target in targets]
    threads = [threading.Thread(target=courier.run, name=f"events-{courier.target.name}") for courier in couriers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@dataclass
class _Courier:
    """Delivers events to one target.

    A target that does not answer costs one attempt now and then, however much waits for it; once it answers again, all
    that waits is due.
    """

    store: Store
    target: Target
    stop: threading.Event
    backoff: Backoff
    most_attempts: int
    seen: outbox.Seen | None = None  # None: everything is to be looked at
    unanswered: int = 0  # attempts since the target last answered
    clock_ahead: float = math.inf  # s by which the calendar clock is ahead of the monotonic one

    def run(self) -> None:
        while not self.stop.is_set():
            try:
                with _sender(self.target, self.stop) as send:
                    while not self.stop.is_set() and self._pass(send):
                        pass
            except Exception as error:  # whatever it is: this target alone pauses, and nothing is lost
                logger.warning("events to %s: %s; trying again", self.target.name, error)
                self.stop.wait(PAUSE)

    def _pass(self, send: Send) -> bool:
        """Attempt due deliveries, or pause without any; False where the connection must be made anew."""
        now = datetime.now(UTC)
        ahead = time.time() - time.monotonic()
        with self.store.write() as connection:
            if ahead < self.clock_ahead - CLOCK_STEP:  # at the start, too: before it the clock may have been ahead
                outbox.hasten(connection, self.target.name, now)
            self.clock_ahead = ahead
            seen = outbox.assign(connection, self.target.name, now, self.seen)
            found = outbox.due(connection, self.target.name, now, 1 if self.unanswered else PASS)
        self.seen = seen
        for delivery in found:
            if self.stop.is_set():
                break
            outcome = self._attempt(send, delivery)
            if outcome.broken:
                return False
            if outcome.away:
                self.unanswered += 1
                self.stop.wait(self._away().wait(self.unanswered))
                break
            if self.unanswered:
                self.unanswered = 0
                with self.store.write() as connection:
                    outbox.hasten(connection, self.target.name, datetime.now(UTC))
        if not found:
            self.stop.wait(PAUSE)
        return True

    def _away(self) -> Backoff:
        return replace(
            self.backoff, shortest=min(PAUSE, self.backoff.shortest), longest=min(MOST_AWAY, self.backoff.longest)
        )

    def _attempt(self, send: Send, delivery: Delivery) -> DeliveryOutcome:
        """Count the attempt, make it, store its outcome.

        It is counted first: where the store takes nothing more, or the process is killed halfway, the target is not
        told the same thing again at once, over and over. What is sent at most once is not told again at all: until its
        answer is stored it is one of which nobody knows whether it came.
        """
        later = self.target.hold(self.store, delivery) if self.target.hold else None
        if later is not None:
            with self.store.write() as connection:
                outbox.claim(connection, delivery, replace(delivery, due_at=later))
            return DeliveryOutcome()
        attempts = delivery.attempts + 1
        due_at = datetime.now(UTC) + timedelta(seconds=self.backoff.wait(attempts))
        counted = replace(delivery, attempts=attempts, due_at=due_at)
        if self.target.once and self.target.once(delivery.event):
            counted = replace(counted, state="unknown", error=UNKNOWN)
        with self.store.write() as connection:
            if not outbox.claim(connection, delivery, counted):
                return DeliveryOutcome()
        answer = send(delivery.event)
        given_up = answer.gone or attempts >= self.most_attempts
        state = "delivered" if answer.error is None else "dead" if given_up else "waiting"
        if state == "dead":
            logger.warning("event %s to %s: given up: %s", delivery.event.id, delivery.target, answer.error)
        with self.store.write() as connection:
            outbox.settle_delivery(connection, replace(counted, state=state, error=answer.error))
        return answer


@contextmanager
def _sender(target: Target, stop: threading.Event) -> Iterator[Send]:
    if target.connect:
        with target.connect(stop) as send:
            yield send
        return
    if target.is_webhook:
        with httpx.Client(timeout=TIMEOUT, follow_redirects=False) as client:
            yield partial(_post, client, target)
        return
    with closing(connect_broker(target.url, f"foretwin-events-{uuid.uuid4().hex[:12]}", stop)) as session:
        yield partial(_publish, session)


def _post(client: httpx.Client, target: Target, event: Event) -> DeliveryOutcome:
    """Post an event; only the answer's status counts, its body is not read."""
    body = orjson.dumps(as_cloud_event(event))
    headers = {
        "content-type": "application/cloudevents+json",
        **webhook_signature(target.secret, event.id, body, datetime.now(UTC)),
    }
    try:
        with client.stream("POST", target.url, content=body, headers=headers) as response:
            status = response.status_code
    except httpx.TimeoutException:
        return DeliveryOutcome(f"no answer within {TIMEOUT} s", away=True)
    except httpx.HTTPError as error:
        return DeliveryOutcome(f"{type(error).__name__}: {error}", away=True)
    if 200 <= status < 300:
        return DeliveryOutcome()
    return DeliveryOutcome(f"answered {status} {response.reason_phrase}".rstrip(), gone=status == 410)


def _publish(session: Session, event: Event) -> DeliveryOutcome:
    """Publish an event; it is delivered once the broker has it, with or without subscribers."""
    body = orjson.dumps(as_cloud_event(event))
    try:
        session.publish(topic_of(event), body, "application/cloudevents+json").result(TIMEOUT)
    except TimeoutError:  # the session would send it again by itself; so would we, and not know of it
        return DeliveryOutcome(f"no answer within {TIMEOUT} s", broken=True)
    except BrokerError as error:
        return DeliveryOutcome(str(error))
    return DeliveryOutcome()


def topic_of(event: Event) -> str:
    """Return `foretwin/<twin>/<asset>/events`, or `foretwin/<twin>/events` for the fleet."""
    return "/".join(["foretwin", event.twin, *([event.asset_name] if event.asset_name else []), "events"])


def _webhook(url: str) -> str:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise BadInput(WEBHOOKS, "holds something that is no URL such as https://host/path")
    return url


def _broker(url: str, environ: Mapping[str, str]) -> str:
    try:
        parse_address(url, environ)
    except BadInput as error:
        raise BadInput(MQTT, error.reason) from None
    return url
