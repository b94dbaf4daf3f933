"""Deliver events to NATS JetStream and Kafka, each at least once: streams and topics that keep them.

The subject is `foretwin.TWIN.ASSET.events`, the topic `foretwin.TWIN.events` with the machine as its key; without ASSET
and key for the fleet. NATS knows by the event's id, as its `Nats-Msg-Id`, one that comes twice.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import quote, unquote

import orjson

from foretwin.errors import BadInput, BrokerError
from foretwin.project.settings import read_setting
from foretwin.twin.connectors.connections.addresses import split_url
from foretwin.twin.connectors.connections.connections_file import KAFKA, NATS, Peer, PlantConnection
from foretwin.twin.connectors.extras import needing_extra
from foretwin.twin.outbox.cloud_events import as_cloud_event
from foretwin.twin.outbox.delivery_targets import DeliveryOutcome, Send, Target
from foretwin.twin.store.casework.events import Event

BUSES = {"FORETWIN_EVENTS_NATS": NATS, "FORETWIN_EVENTS_KAFKA": KAFKA}
PASSWORDS = {"FORETWIN_EVENTS_NATS": "FORETWIN_NATS_PASSWORD", "FORETWIN_EVENTS_KAFKA": "FORETWIN_KAFKA_PASSWORD"}
HEADERS = {"Content-Type": "application/cloudevents+json"}


def bus_targets(environ: Mapping[str, str]) -> Sequence[Target]:
    """Return the targets of FORETWIN_EVENTS_NATS and FORETWIN_EVENTS_KAFKA; BadInput names the one that is wrong."""
    return [_target(name, url, environ) for name in BUSES if (url := read_setting(name, environ))]


def _target(setting: str, url: str, environ: Mapping[str, str]) -> Target:
    parts = split_url(url)
    schemes, user = BUSES[setting], parts.netloc.rpartition("@")[0]
    if parts.scheme not in schemes or not parts.netloc.rpartition("@")[2]:
        raise BadInput(setting, f"is no URL such as {schemes[0]}://host or {schemes[1]}://user@host?ca=FILE")
    if ":" in user:
        raise BadInput(setting, f"holds a password; leave it out and set {PASSWORDS[setting]}")
    password = PASSWORDS[setting] if user else None
    if password and not read_setting(password, environ):
        raise BadInput(setting, f"names a user; set {password}")
    connection = PlantConnection.model_construct(url=url, user=unquote(user) or None, password_from=password)
    peer = Peer("events", connection)

    @contextmanager
    def connected(_: threading.Event) -> Iterator[Send]:
        with _to_kafka(peer) if parts.scheme in KAFKA else _to_nats(peer) as send:
            yield send

    return Target(url, connect=connected)


@contextmanager
def _to_nats(peer: Peer) -> Iterator[Send]:
    with needing_extra(peer.name, "nats"):
        from foretwin.twin.connectors.jetstream.stream_publisher import opened_streams
    with opened_streams(peer) as publish:
        yield lambda event: _outcome(lambda: publish(subject_of(event), *_message(event)))


@contextmanager
def _to_kafka(peer: Peer) -> Iterator[Send]:
    with needing_extra(peer.name, "kafka"):
        from foretwin.twin.connectors.kafka.topic_publisher import opened_topics
    with opened_topics(peer) as publish:
        yield lambda event: _outcome(
            lambda: publish(f"foretwin.{event.twin}.events", event.asset_name or "", *_message(event))
        )


def subject_of(event: Event) -> str:
    """Return `foretwin.TWIN.ASSET.events`, or `foretwin.TWIN.events` for the fleet; `%2E` is a dot of a name."""
    asset = [quote(event.asset_name, safe="").replace(".", "%2E")] if event.asset_name else []
    return ".".join(["foretwin", event.twin, *asset, "events"])


def _message(event: Event) -> tuple[bytes, dict[str, str]]:
    return orjson.dumps(as_cloud_event(event)), HEADERS | {"Nats-Msg-Id": event.id}


def _outcome(publish: Callable[[], None]) -> DeliveryOutcome:
    try:
        publish()
    except (OSError, BrokerError) as error:
        return DeliveryOutcome(str(error), away=True)
    return DeliveryOutcome()
