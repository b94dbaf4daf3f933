"""Database and broker, and what they allow."""

from collections.abc import Iterator
from datetime import UTC, datetime

from foretwin.errors import BadInput, BrokerError, StoreError
from foretwin.operations.doctor.finding import DoctorFinding, Installation
from foretwin.project.settings import read_number
from foretwin.twin.connectors.mqtt.broker_limits import KEPT, ask_broker
from foretwin.twin.connectors.mqtt.receiving import TOPIC
from foretwin.twin.connectors.mqtt.subscription import ENVELOPE
from foretwin.twin.store import open_store, store_url
from foretwin.twin.store.readiness import Readiness, inspect_store

APART = 5.0  # seconds by which the clocks of this machine and its database may differ


def check_database(place: Installation) -> Iterator[DoctorFinding]:
    """Look at the schema, and at one of this version whether it takes writes; nothing is made or migrated."""
    url = store_url(place.root, place.environ)
    try:
        schema = inspect_store(url)
        if not schema.is_known:
            found = f"has schema {schema.present}, which a newer version of Foretwin made; upgrade Foretwin"
            yield DoctorFinding("fail", "database", f"{schema.name}: {found}")
            return
        if schema.clock:
            yield from _clocks(schema.clock)
        if schema.present is None:
            yield DoctorFinding(
                "ok", "database", f"{schema.name}: is not made yet; the first process that starts makes it"
            )
        elif schema.present != schema.head:
            found = f"has schema {schema.present}; the next start of a process migrates it to {schema.head}: back it up"
            yield DoctorFinding("warn", "database", f"{schema.name}: {found}")
        else:
            store = open_store(url)
            try:
                Readiness(store).check()
            finally:
                store.close()
            yield DoctorFinding("ok", "database", f"{schema.name}: schema {schema.head}, takes writes")
    except StoreError as error:
        yield DoctorFinding("fail", "database", str(error))


def check_broker(place: Installation) -> Iterator[DoctorFinding]:
    """Connect as `foretwin ingest` does, and compare what the broker allows with what that needs."""
    if not place.broker:
        yield DoctorFinding("ok", "broker", "none is named; --mqtt names one")
        return
    try:
        limits = ask_broker(place.broker, TOPIC, place.environ)
        body = read_number("FORETWIN_MAX_BODY_BYTES", place.environ)
    except (BrokerError, BadInput) as error:
        yield DoctorFinding("fail", "broker", str(error))
        return
    wrong = []
    if limits.qos is None:
        wrong.append(f"does not let this user subscribe to {TOPIC}; correct its rules of access")
    elif limits.qos < 1:
        wrong.append(f"promises no delivery of {TOPIC}; let it grant QoS 1")
    if limits.largest_packet is not None and limits.largest_packet < body + ENVELOPE:
        size = f"takes packets of {limits.largest_packet} bytes at most, FORETWIN_MAX_BODY_BYTES is {body}"
        wrong.append(f"{size}; raise its limit (Mosquitto: max_packet_size), or lower ours")
    if limits.kept < KEPT:
        wrong.append(f"keeps a session for {limits.kept} s, {KEPT} are asked for; raise that, or readings are lost")
    yield from (DoctorFinding("fail", "broker", f"{limits.name}: {line}") for line in wrong)
    if not wrong:
        queue = "how many messages it keeps for us it does not tell (Mosquitto: max_queued_messages 0)"
        yield DoctorFinding("ok", "broker", f"{limits.name}: delivers {TOPIC} with QoS {limits.qos}; {queue}")


def _clocks(theirs: datetime) -> Iterator[DoctorFinding]:
    apart = abs((datetime.now(UTC) - theirs).total_seconds())
    if apart > APART:
        yield DoctorFinding("fail", "clock", f"differs from the database's by {apart:.0f} s; synchronise both")
