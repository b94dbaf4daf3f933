"""The how-to of docs/living-twin.md as typed: a device that sends single values, unaware of runs, is scored."""

import json
import re
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foretwin.project.loops import Backoff
from foretwin.twin.connectors.connections.connections_file import plain_peer
from foretwin.twin.connectors.listening import listen
from foretwin.twin.connectors.mqtt.receiving import TOPIC, session_name
from foretwin.twin.connectors.mqtt.session import connect_broker
from foretwin.twin.connectors.mqtt.subscription import Subscription
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import listing, open_store
from support.live_project import PUMP, living_project, score

PAGE = (Path(__file__).parents[3] / "docs" / "living-twin.md").read_text()
QUICK = Backoff(0.05, 0.5)


@pytest.mark.dated
def test_a_device_that_sends_single_values_over_mqtt_is_scored(broker, tmp_path):
    (command,) = re.findall(r"mosquitto_pub -q 1 -t (\S+) \\\n\s+-m '(.*)'", PAGE)
    topic, written = command[0], json.loads(command[1])
    project = living_project(tmp_path / "project", PUMP)
    store = open_store(f"sqlite:///{tmp_path}/twins.db")
    held = Subscription(TOPIC, print)  # so that the broker keeps what comes before somebody listens
    connect_broker(broker.url, session_name(store), threading.Event(), held, QUICK).close()
    stop = threading.Event()
    peers = [plain_peer(broker.url)]
    thread = threading.Thread(target=listen, args=(store, {"pump": PUMP}, peers, stop, None, QUICK))
    thread.start()
    device = connect_broker(broker.url, "device", threading.Event(), None, QUICK)
    begun = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=12)

    def asset() -> dict | None:
        with store.read() as connection:
            page = listing.Page(10, 0, "name", False)
            found = listing.list_fleet(connection, page, filters={}, stale=None, silent_since={})
        return found[0] if found else None

    try:
        for hour in range(5):
            for channel in PUMP.channel_names:
                stamp = (begun + timedelta(hours=hour)).isoformat().replace("+00:00", "Z")
                body = written | {"time": stamp, "channel": channel, "value": 1.0 + hour}
                device.publish(topic, json.dumps(body).encode())
        wait_for(lambda: (asset() or {}).get("readings") == 5, "five readings", 60)
        assert score(store, project) == 1
    finally:
        stop.set()
        thread.join(20)
        device.close()
    shown = asset()
    assert (shown["name"], shown["run"], shown["time"]) == (topic.split("/")[2], 1, 4.0)
    assert shown["score"]["rul"] is not None
