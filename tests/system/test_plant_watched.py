"""Alerts and dashboard of the living twin against a real Prometheus that scrapes the real processes.

An hour passes in a minute: every duration of the rules is a sixtieth. Limits in seconds leave a busy machine some time.
"""

import json
import re
import signal
import subprocess
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import yaml
from sqlalchemy import insert

from benchmarks.servers import Postgres
from foretwin.operations.health.families import FAMILIES
from foretwin.twin.connectors.mqtt.session import connect_broker
from foretwin.twin.simulator.broker import Broker
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import open_store
from foretwin.twin.store.ownership.partitioning import rebalance
from foretwin.twin.store.tables import assets
from support.grafana import lost_by_grafana
from support.live_project import PUMP, living_project, message
from support.plant_processes import PATIENCE, PlantProcesses, plant_processes
from support.prometheus_server import Prometheus, program, prometheus
from support.tiny_bundle import REPOSITORY
from support.webhook_receiver import SECRET, Receiver

RULES = REPOSITORY / "serving" / "prometheus" / "foretwin-twin.rules.yml"
CONFIG = REPOSITORY / "serving" / "prometheus" / "prometheus.yml"
DASHBOARD = json.loads((REPOSITORY / "serving" / "grafana" / "foretwin-twin.json").read_text())
PAGE = (REPOSITORY / "docs" / "health.md").read_text()
VARIABLES = {"$__rate_interval": "15s", "$twin": ".*"}
EXPRESSIONS = [(p["title"], target["expr"]) for p in DASHBOARD["panels"] for target in p["targets"]]
ALERTS = {
    rule["alert"]: rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
}
NAMED = re.compile(r"\b(?:foretwin|process)_[a-z_]+")
MORE_THAN_FIT = 20_000  # windows in the 8 MB of two twins
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
PAUSE = 0.3  # s between two looks
IN_SECONDS = {"> 300": "> 20", "> 900": "> 12"}  # limits -> those of the test
OF_CALLS = {"foretwin_requests_total", "foretwin_request_seconds_bucket", "process_resident_memory_bytes"}
PORTS = {"live": 3201, "watch": 3202, "ingest": 3203, "follow": 3204}


def faster() -> str:
    """The rules with minutes as seconds."""
    text = re.sub(r"\b(\d+)m\b", r"\1s", RULES.read_text())
    for limit, shorter in IN_SECONDS.items():
        assert limit in text
        text = text.replace(limit, shorter)
    return text


@dataclass
class Plant:
    """Processes, what they need, and the Prometheus that watches them."""

    processes: PlantProcesses
    database: Postgres
    broker: Broker
    receiver: Receiver
    settings: dict[str, str]
    server: Prometheus | None = None
    sent: int = 0

    def start(self) -> None:
        self.processes.start("live", "--open", "--port", str(self.processes.port), **self.settings)
        self.processes.start("watch", "--memory", "8", **self.settings)
        self.processes.start("ingest", **self.settings)
        self.processes.start("follow", "--every", "1", **self.settings)
        self.processes.wait_until_ready()

    def send(self, asset: str = "P-1", count: int = 1, **more) -> None:
        """Send readings by MQTT; more of the message replaces what is sound."""
        begin, self.sent = self.sent + 1, self.sent + count
        session = connect_broker(self.broker.url, "mouth", threading.Event())
        body = json.dumps(message(count, float(begin)) | more).encode()
        session.publish(f"foretwin/pump/{asset}/readings", body).result(20)
        session.close()

    def post(self, asset: str) -> None:
        """Send a reading by HTTP, which is taken."""
        assert self.posted(asset).status_code == 200

    def posted(self, asset: str) -> httpx.Response:
        """Send a reading by HTTP; the answer."""
        self.sent += 1
        url = f"{self.processes.url}/v1/twins/{asset}/readings?twin=pump"
        return self.processes.client.post(url, json=message(1, float(self.sent)))

    @property
    def registry(self) -> Path:
        """Where `follow` finds the registry, once there is one."""
        return self.processes.root / "mlflow.db"

    def firing(self) -> set[str]:
        return {one["labels"]["alertname"] for one in self.server.get("alerts")["alerts"] if one["state"] == "firing"}

    def wait_for_alerts(self, *names: str, meanwhile=lambda: None) -> None:
        """Wait for these to fire; `meanwhile` is done again and again, with pauses."""
        wait_for(lambda: meanwhile() or time.sleep(PAUSE) or set(names) <= self.firing(), f"{names}", PATIENCE)

    def shows(self, expression: str) -> bool:
        for name, value in VARIABLES.items():
            expression = expression.replace(name, value)
        assert "$" not in expression
        return any(series["value"][1] not in ("NaN", "+Inf") for series in self.server.ask(expression))


def divide(url: str) -> None:
    """Divide the fleet, so that there is something to tell of partitions."""
    store = open_store(url)
    with store.write() as connection:
        rebalance(connection, 2)
    store.close()


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    """A plant whose processes are ready."""
    folder = tmp_path_factory.mktemp("plant")
    with ExitStack() as ending:
        database, receiver = Postgres(settings=("fsync=off",)).start(), Receiver().start()
        ending.callback(database.remove)
        ending.callback(receiver.stop)
        broker = Broker(folder / "broker").start()
        ending.callback(broker.stop)
        settings = {"FORETWIN_STORE": database.new_database("plant"), "FORETWIN_MQTT_URL": broker.url}
        settings |= {"FORETWIN_WEBHOOKS": receiver.url, "FORETWIN_WEBHOOK_SECRET": SECRET}
        divide(settings["FORETWIN_STORE"])
        processes = ending.enter_context(plant_processes(living_project(folder / "project"), folder))
        made = Plant(processes, database, broker, receiver, settings)
        made.start()
        config = CONFIG.read_text().replace("15s", "1s")
        for name, port in PORTS.items():
            config = config.replace(f"127.0.0.1:{port}", f"127.0.0.1:{processes.health[name]}")
        (folder / "prometheus.yml").write_text(config)
        (folder / RULES.name).write_text(faster())
        made.server = ending.enter_context(prometheus(folder / "prometheus.yml"))
        yield made


# In this order: a plant that is well, and then one thing after the other goes wrong.


def test_on_a_clean_hour_every_panel_shows_something_and_no_alert_fires(plant):
    end = time.monotonic() + 12
    while time.monotonic() < end:
        time.sleep(PAUSE)
        plant.send()
        plant.processes.client.get(f"{plant.processes.url}/v1/twins")
        assert plant.firing() == set()
    wait_for(lambda: plant.receiver.calls, "an event of the case", PATIENCE)
    assert [title for title, expression in EXPRESSIONS if not plant.shows(expression)] == []
    assert plant.firing() == set()


def test_every_metric_that_is_named_is_exposed_by_the_process_that_the_page_names(plant):
    exposed = {name: plant.processes.asked(name, "/metrics").text for name in PORTS}
    for metric, (_, _, processes) in FAMILIES.items():
        family = metric.removesuffix("_total")
        told_by = {
            name for name, text in exposed.items() if re.search(rf"^# TYPE {family}(_total)? ", text, re.MULTILINE)
        }
        assert told_by == set(processes), metric
    named = {
        name for expression in [*ALERTS.values(), *(e for _, e in EXPRESSIONS)] for name in NAMED.findall(expression)
    }
    assert named <= FAMILIES.keys() | OF_CALLS
    assert set(re.findall(r"^\| `(foretwin_\w+)` \|", PAGE, re.MULTILINE)) == set(FAMILIES)


def test_what_goes_wrong_around_the_processes_raises_its_alarm(plant):
    plant.receiver.answers.append(410)  # it wants no more of that event
    plant.send("P-2", count=5)
    wait_for(lambda: not plant.receiver.answers, "the refused event", PATIENCE)
    plant.receiver.stop()
    plant.send("P-3", count=5)
    plant.registry.write_bytes(b"not what a registry holds")
    store = open_store(plant.settings["FORETWIN_STORE"])
    with store.write() as connection:
        many = (
            {"twin": "pump", "name": f"silent-{i}", "tags": {}, "registered_at": NOON} for i in range(MORE_THAN_FIT)
        )
        connection.execute(insert(assets), list(many))
    store.close()
    plant.wait_for_alerts(
        "ForetwinQuarantine",
        "ForetwinDeliveriesDead",
        "ForetwinDeliveriesWait",
        "ForetwinChampionNotFetched",
        "ForetwinMemoryShort",
        meanwhile=lambda: plant.send(channels={name: [1e9] for name in PUMP.channel_names}),
    )
    plant.processes.wait_until_not_ready("follow", "file is not a database")
    plant.registry.unlink()
    plant.receiver.start()


def test_a_watch_that_hangs_and_a_broker_and_a_store_that_are_away_raise_theirs(plant):
    """The scores come first, and the others tell of them; the broker is away all the while."""
    plant.broker.stop()
    plant.processes.running["watch"].send_signal(signal.SIGSTOP)
    names = ("ScoresOld", "ProcessDown", "PartitionUnowned", "BrokerAway")
    plant.wait_for_alerts(*(f"Foretwin{name}" for name in names), meanwhile=lambda: plant.post("P-4"))
    (told,) = plant.server.ask('max by (twin) (foretwin_scoring_backlog_seconds{twin="pump"})')
    assert float(told["value"][1]) > 20
    plant.database.stop(signal.SIGQUIT)
    plant.processes.running["watch"].send_signal(signal.SIGCONT)
    names = ("StoreAway", "ScoringStands", "NotReady", "NoReadings")
    plant.wait_for_alerts(*(f"Foretwin{name}" for name in names))
    assert plant.posted("P-4").status_code == 503


def test_what_is_there_again_is_used_and_its_alarms_end(plant):
    plant.database.start()
    plant.broker.start()
    plant.processes.wait_until_ready()
    lasting = {"ForetwinDeliveriesDead", "ForetwinMemoryShort"}  # until somebody does what the alarm says
    wait_for(lambda: plant.send() or plant.firing() == lasting, "the end of all other alarms", PATIENCE)


def test_each_log_says_in_the_same_words_what_was_away(plant):
    troubles = {
        "live": {"status": 503, "route": "/v1/twins/{asset}/readings"},
        "watch": {"level": "WARNING", "logger": "foretwin.watch"},
        "ingest": {"level": "WARNING", "logger": "foretwin.mqtt"},
        "follow": {"level": "ERROR", "logger": "foretwin.follow"},
    }
    for name, trouble in troubles.items():
        lines = plant.processes.logged(name)
        assert {"time", "level", "logger", "message"} <= set.intersection(*map(set, lines)), name
        assert SECRET not in plant.processes.said(name)
        assert [line for line in lines if trouble.items() <= line.items()], lines
    assert "the registry is followed again" in [line["message"] for line in plant.processes.logged("follow")]


def test_the_page_lists_the_alerts_in_their_order():
    assert re.findall(r"^\| `(Foretwin\w+)` \|", PAGE, re.MULTILINE) == list(ALERTS)
    assert next(iter(ALERTS)) == "ForetwinScoresOld"


def test_the_dashboard_is_one_that_grafana_can_read():
    assert list(lost_by_grafana(DASHBOARD)) == []
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (at["x"] + x, at["y"] + y)
        for at in (p["gridPos"] for p in panels)
        for x in range(at["w"])
        for y in range(at["h"])
    ]
    assert len(cells) == len(set(cells)), "panels overlap"
    assert all(panel["title"] and panel["description"] for panel in panels)


QUARANTINED = 'foretwin_readings_total{outcome="quarantined"}'
WELL = {
    'up{job="foretwin-watch"}': "1x120",
    'foretwin_ready{job="foretwin-watch"}': "1x120",
    'foretwin_store_available{job="foretwin-live"}': "1x120",
    'foretwin_last_pass_timestamp_seconds{job="foretwin-watch"}': "0+60x120",
    'foretwin_scoring_backlog_seconds{twin="pump"}': "2x120",
    'foretwin_partition_backlog_seconds{partition="0"}': "2x120",
    'foretwin_partition_backlog_seconds{partition="1"}': "2x120",
    'foretwin_partition_owned{instance="one", partition="0"}': "1x120",
    'foretwin_partition_owned{instance="two", partition="1"}': "1x120",
    "foretwin_broker_connected": "1x120",
    'foretwin_readings_total{outcome="stored"}': "0+100x120",
    QUARANTINED: "0+2x120",
    'foretwin_delivery_oldest_seconds{target="erp"}': "30x120",
    'foretwin_deliveries_dead{target="erp"}': "0x120",
    'foretwin_windows_wanted{twin="pump"}': "100x120",
    'foretwin_windows_capacity{twin="pump"}': "100x120",
    'foretwin_champions_failing{twin="pump"}': "0x120",
}
ILL = {  # alert -> the series that goes wrong, its values, minutes until it fires
    "ForetwinScoresOld": ('foretwin_scoring_backlog_seconds{twin="pump"}', "0+60x120", 9),
    "ForetwinProcessDown": ('up{job="foretwin-watch"}', "0x120", 3),
    "ForetwinNotReady": ('foretwin_ready{job="foretwin-watch"}', "0x120", 6),
    "ForetwinStoreAway": ('foretwin_store_available{job="foretwin-live"}', "0x120", 2),
    "ForetwinScoringStands": ('foretwin_last_pass_timestamp_seconds{job="foretwin-watch"}', "0x120", 8),
    "ForetwinPartitionUnowned": ('foretwin_partition_owned{instance="two", partition="1"}', "_x120", 6),
    "ForetwinBrokerAway": ("foretwin_broker_connected", "0x120", 6),
    "ForetwinNoReadings": ('foretwin_readings_total{outcome="stored"}', "100x120", 32),
    "ForetwinQuarantine": (QUARANTINED, "0+10x120", 18),
    "ForetwinDeliveriesWait": ('foretwin_delivery_oldest_seconds{target="erp"}', "0+60x120", 22),
    "ForetwinDeliveriesDead": ('foretwin_deliveries_dead{target="erp"}', "1x120", 6),
    "ForetwinMemoryShort": ('foretwin_windows_capacity{twin="pump"}', "99x120", 16),
    "ForetwinChampionNotFetched": ('foretwin_champions_failing{twin="pump"}', "1x120", 11),
}


def test_with_their_own_durations_alerts_fire_when_they_should_and_none_on_a_clean_hour(tmp_path):
    assert ILL.keys() == ALERTS.keys()
    firing = 'count by (alertname) (ALERTS{alertstate="firing"})'
    cases = [("well", WELL, 60, [])]
    for alert, (series, values, minutes) in ILL.items():
        ill = WELL | {series: values}
        if alert == "ForetwinNoReadings":  # else all that comes would be quarantined
            ill[QUARANTINED] = values
        wanted = [{"labels": f'{{alertname="{alert}"}}', "value": 1}]
        cases += [(alert, ill, minutes, wanted), (f"{alert}, early", ill, 0, [])]
    tests = [
        {
            "name": name,
            "interval": "1m",
            "input_series": [{"series": one, "values": values} for one, values in series.items()],
            "promql_expr_test": [{"expr": firing, "eval_time": f"{minutes}m", "exp_samples": wanted}],
        }
        for name, series, minutes, wanted in cases
    ]
    path = tmp_path / "tests.yml"
    path.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run(
        [program("promtool"), "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
