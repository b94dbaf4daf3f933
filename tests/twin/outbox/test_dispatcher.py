"""Delivery against real receivers: each event at least once, whatever the receiver, the broker and the process do."""

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy import select

from foretwin.errors import BadInput
from foretwin.twin.outbox.delivery_targets import Target
from foretwin.twin.outbox.dispatcher import ATTEMPTS, BACKOFF, targets_from, webhook_signature
from foretwin.twin.simulator.processes import free_port, wait_for
from foretwin.twin.store import assets, listing
from foretwin.twin.store.casework import events as outbox
from foretwin.twin.store.casework.outbox import emit
from foretwin.twin.store.tables import deliveries
from support.delivered import delivering
from support.webhook_receiver import SECRET, Receiver

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DUE = listing.Page(10, 0, "due_at", descending=False)


@pytest.fixture
def receiver():
    started = Receiver().start()
    yield started
    started.stop()


def hook(receiver: Receiver) -> Target:
    (target,) = targets_from({"FORETWIN_WEBHOOKS": receiver.url, "FORETWIN_WEBHOOK_SECRET": SECRET})
    return target


def tell(store, count: int, assets_: int = 1, at: datetime = NOON) -> list[str]:
    """`count` events, dealt to assets in turn; returns their ids in the order in which they happened."""
    names = [f"P-{i}" for i in range(assets_)]
    with store.write() as connection:
        known = assets.register_assets(connection, "pump", names, NOON)
        return [
            emit(connection, "case.opened", "pump", known[names[i % assets_]], f"cases/{i}", {"number": i}, at)
            for i in range(count)
        ]


def states(store, target: Target) -> list[str]:
    with store.read() as connection:
        query = select(deliveries.c.state).where(deliveries.c.target == target.name).order_by(deliveries.c.event)
        return list(connection.execute(query).scalars())


def test_a_webhook_receives_signed_cloud_events_in_order(store, receiver):
    ids = tell(store, 5)

    with delivering(store, hook(receiver)):
        wait_for(lambda: states(store, hook(receiver)) == ["delivered"] * 5, "delivery of five events")

    assert receiver.unsound == []
    assert receiver.ids == ids
    headers, body = receiver.calls[0]
    assert headers["content-type"] == "application/cloudevents+json"
    assert headers["webhook-id"] == body["id"]
    assert (body["specversion"], body["source"], body["data"]) == ("1.0", "/foretwin/pump/P-0", {"number": 0})


def test_events_that_come_while_it_delivers_are_delivered(store, receiver):
    with delivering(store, hook(receiver)):
        first = tell(store, 1)
        wait_for(lambda: receiver.ids == first, "the first event")
        second = tell(store, 1)
        wait_for(lambda: receiver.ids == first + second, "the second event")


@pytest.mark.parametrize("apart", [timedelta(days=-400), timedelta(days=-2), timedelta(days=2), timedelta(days=400)])
def test_an_event_is_delivered_whatever_the_clock_of_its_sender_says(store, receiver, apart):
    with delivering(store, hook(receiver)):
        told = tell(store, 1)
        wait_for(lambda: receiver.ids == told, "the first event")
        for moment in (NOON + apart, NOON):
            told += tell(store, 1, at=moment)
            wait_for(lambda told=told: set(receiver.ids) == set(told), f"the event of {moment}")


def test_what_was_due_by_a_clock_that_ran_ahead_is_delivered_once_the_clock_is_set_back(store, receiver):
    told = tell(store, 3)  # of one asset: the later ones become next one by one
    with store.write() as connection:
        outbox.assign(connection, hook(receiver).name, datetime.now(UTC) + timedelta(hours=26))

    with delivering(store, hook(receiver)):
        wait_for(lambda: receiver.ids == told, "events that were due tomorrow")


def test_a_clock_that_is_set_back_meanwhile_is_noticed(store, receiver, monkeypatch):
    with delivering(store, hook(receiver)):
        told = tell(store, 1)
        wait_for(lambda: receiver.ids == told, "the first event")
        with store.write() as connection:
            (asset,) = assets.find_all(connection, ["P-0"]).values()
            told.append(emit(connection, "case.opened", "pump", asset, "cases/7", {}, NOON))
            outbox.assign(connection, hook(receiver).name, datetime.now(UTC) + timedelta(hours=26))
        monkeypatch.setattr(time, "time", lambda now=time.time: now() - 10)
        wait_for(lambda: receiver.ids == told, "an event that was due tomorrow")


def test_the_signature_is_that_of_the_standards_own_example():
    """The example of the reference libraries of Standard Webhooks."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'

    headers = webhook_signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", body, datetime.fromtimestamp(1614265330, UTC))

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_failing_receiver_is_tried_again_and_the_order_of_the_asset_is_kept(store, receiver):
    receiver.answers = [500, 503, 307, 404]
    ids = tell(store, 3)

    with delivering(store, hook(receiver)):
        wait_for(lambda: states(store, hook(receiver)) == ["delivered"] * 3, "delivery after failures")

    assert receiver.ids == [ids[0]] * 5 + ids[1:]
    assert receiver.unsound == []  # the redirect was not followed


@pytest.mark.dated
def test_what_is_never_taken_is_dead_after_the_last_attempt_and_can_be_sent_again(store, receiver):
    receiver.answers = [500] * 4
    ids = tell(store, 2)

    with delivering(store, hook(receiver), attempts=4):
        wait_for(lambda: states(store, hook(receiver)) == ["dead", "delivered"], "one dead, one delivered")
        with store.write() as connection:
            (given_up,) = listing.list_deliveries(connection, DUE, {"state": "dead"})
            outbox.revive(connection, [ids[0]], datetime.now(UTC))
        wait_for(lambda: states(store, hook(receiver)) == ["delivered"] * 2, "delivery of the revived one")

    assert (given_up["event"], given_up["attempts"]) == (ids[0], 4)
    assert given_up["error"] == "answered 500 Internal Server Error"
    assert receiver.ids == [ids[0]] * 4 + [ids[1], ids[0]]


def test_a_target_that_answers_gone_is_not_asked_again(store, receiver):
    receiver.answers = [410]
    ids = tell(store, 1)

    with delivering(store, hook(receiver)):
        wait_for(lambda: states(store, hook(receiver)) == ["dead"], "a dead delivery")

    assert receiver.ids == ids


def test_a_receiver_that_goes_away_gets_everything_when_it_comes_back(store, receiver):
    ids = tell(store, 2)
    with delivering(store, hook(receiver), attempts=1000):
        wait_for(lambda: receiver.ids == ids, "the first two")
        receiver.stop()
        ids += tell(store, 3)
        wait_for(lambda: any(error for error in errors(store)), "an attempt that failed")
        receiver.start()
        wait_for(lambda: states(store, hook(receiver)) == ["delivered"] * 5, "delivery of all five")

    assert list(dict.fromkeys(receiver.ids)) == ids


def errors(store) -> list[str | None]:
    with store.read() as connection:
        return list(connection.execute(select(deliveries.c.error)).scalars())


def test_a_target_that_is_away_costs_an_attempt_now_and_then_and_not_one_of_each_event(store, receiver):
    receiver.stop()
    ids = tell(store, 60, assets_=60)
    with delivering(store, hook(receiver), attempts=1000):
        wait_for(lambda: any(errors(store)), "an attempt that failed")
        with store.read() as connection:
            tried = connection.execute(select(deliveries.c.attempts).where(deliveries.c.attempts > 0)).all()
        assert len(tried) < 10  # it would be all of them, and again
        receiver.start()
        wait_for(lambda: states(store, hook(receiver)) == ["delivered"] * 60, "delivery of all at once")
    assert set(receiver.ids) == set(ids)


def test_a_slow_target_and_one_that_is_away_hold_up_nobody_else(store, receiver):
    ids = tell(store, 10)
    slow, away = Receiver(delay=1.5).start(), Receiver()
    with delivering(store, hook(slow), hook(away), hook(receiver)):
        wait_for(lambda: receiver.ids == ids, "ten events while another takes 1.5 s for one", seconds=10)
        assert len(slow.calls) < 10
    slow.stop()


def test_mqtt_events_reach_a_subscriber(store, broker):
    received = []
    subscriber = Client(CallbackAPIVersion.VERSION2)
    subscriber.on_message = lambda client, _, message: received.append(
        (message.topic, message.qos, json.loads(message.payload))
    )
    subscribed = threading.Event()
    subscriber.on_subscribe = lambda *_: subscribed.set()
    subscriber.connect("127.0.0.1", broker.port)
    subscriber.subscribe("foretwin/#", qos=1)
    subscriber.loop_start()
    assert subscribed.wait(10)
    ids = tell(store, 3)
    with store.write() as connection:
        ids.append(emit(connection, "case.opened", "pump", None, "cases/9", {}, NOON))

    with delivering(store, Target(broker.url)):
        wait_for(lambda: states(store, Target(broker.url)) == ["delivered"] * 4, "delivery by MQTT")
        wait_for(lambda: len(received) == 4, "four messages")
    subscriber.loop_stop()

    assert sorted(event["id"] for _, _, event in received) == sorted(ids)
    of_asset = [(topic, event["id"]) for topic, _, event in received if topic == "foretwin/pump/P-0/events"]
    assert [number for _, number in of_asset] == ids[:3]
    assert {topic for topic, _, _ in received} == {"foretwin/pump/P-0/events", "foretwin/pump/events"}
    assert {qos for _, qos, _ in received} == {1}


def test_a_broker_that_starts_late_and_one_that_restarts_lose_nothing(store, broker):
    broker.stop()
    tell(store, 2)
    with delivering(store, Target(broker.url)):
        broker.start()
        wait_for(lambda: states(store, Target(broker.url)) == ["delivered"] * 2, "delivery to the late broker")
        broker.stop(signal.SIGKILL)
        tell(store, 2)
        broker.start()
        wait_for(lambda: states(store, Target(broker.url)) == ["delivered"] * 4, "delivery after the restart", 40)


def test_a_broker_that_is_away_at_the_start_does_not_keep_delivery_from_ending(store):
    tell(store, 1)

    with delivering(store, Target(f"mqtt://127.0.0.1:{free_port()}")):
        pass


DELIVERING = """
import os, sys, threading
from foretwin.project.loops import Backoff
from foretwin.twin.outbox.dispatcher import deliver, targets_from
from foretwin.twin.store import open_store
deliver(open_store(os.environ["FORETWIN_STORE"]), targets_from(os.environ), threading.Event(), Backoff(0.2, 0.4), 100)
"""


@pytest.mark.slow
def test_a_killed_process_delivers_every_event_at_least_once_and_known_by_its_id(store, store_url, receiver):
    ids = tell(store, 60, assets_=20)
    receiver.delay = 0.02
    environment = {"FORETWIN_STORE": store_url, "FORETWIN_WEBHOOKS": receiver.url, "FORETWIN_WEBHOOK_SECRET": SECRET}
    for enough in (10, 30):
        process = subprocess.Popen([sys.executable, "-c", DELIVERING], env=os.environ | environment)
        wait_for(lambda enough=enough: len(receiver.calls) >= enough, f"{enough} calls")
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert "waiting" in states(store, hook(receiver))

    with delivering(store, hook(receiver)):
        wait_for(lambda: states(store, hook(receiver)) == ["delivered"] * 60, "delivery of all")

    assert receiver.unsound == []
    assert set(receiver.ids) == set(ids)
    assert len(receiver.ids) <= 60 + 2  # at most what was under way at each kill came twice
    for asset in range(20):
        mine = ids[asset::20]
        assert [one for one in dict.fromkeys(receiver.ids) if one in mine] == mine


def test_credentials_stand_neither_in_the_store_nor_in_a_target_that_is_shown(store, receiver):
    url = receiver.url.replace("http://", "http://planner:swordfish@") + "?token=swordfish"
    (target,) = targets_from({"FORETWIN_WEBHOOKS": url, "FORETWIN_WEBHOOK_SECRET": "swordfish"})
    tell(store, 1)

    with delivering(store, target):
        wait_for(lambda: any(errors(store)), "a refused attempt")

    assert target.name == receiver.url
    with store.read() as connection:
        rows = connection.execute(select(deliveries)).all()
    assert "swordfish" not in f"{rows} {target!r} {target.name}"


def test_a_target_may_be_away_for_about_three_hours():
    waits = [[BACKOFF.wait(attempts) for attempts in range(1, ATTEMPTS)] for _ in range(200)]

    assert all(2.2 < sum(some) / 3600 < 4.6 for some in waits)
    assert min(map(min, waits)) > 5
    assert len({some[0] for some in waits}) > 100  # jitter


@pytest.mark.parametrize(
    ("environ", "field"),
    [
        ({"FORETWIN_WEBHOOKS": "http://erp/hook"}, "FORETWIN_WEBHOOK_SECRET"),
        ({"FORETWIN_WEBHOOKS": "http://erp/hook", "FORETWIN_WEBHOOK_SECRET": "whsec_%%%"}, "FORETWIN_WEBHOOK_SECRET"),
        ({"FORETWIN_WEBHOOKS": "erp/hook", "FORETWIN_WEBHOOK_SECRET": "s"}, "FORETWIN_WEBHOOKS"),
        ({"FORETWIN_WEBHOOKS": "http://erp:99999/", "FORETWIN_WEBHOOK_SECRET": "s"}, "FORETWIN_WEBHOOKS"),
        ({"FORETWIN_WEBHOOKS": "http://a/?x=1,http://a/?x=2", "FORETWIN_WEBHOOK_SECRET": "s"}, "FORETWIN_WEBHOOKS"),
        ({"FORETWIN_EVENTS_MQTT": "http://broker"}, "FORETWIN_EVENTS_MQTT"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(environ, field):
    with pytest.raises(BadInput) as refusal:
        targets_from(environ)

    assert refusal.value.field == field
    assert "\n" not in str(refusal.value)


def test_settings_name_the_targets():
    names = "FORETWIN_WEBHOOKS", "FORETWIN_WEBHOOK_SECRET", "FORETWIN_EVENTS_MQTT"
    environ = dict(zip(names, (" https://erp/hook , https://cmms/in,", "s", "mqtts://user@broker:8883"), strict=True))

    assert [target.name for target in targets_from(environ)] == [
        "https://erp/hook",
        "https://cmms/in",
        "mqtts://broker:8883",
    ]
    assert targets_from({}) == ()
