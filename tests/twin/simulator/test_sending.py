"""A fleet replayed over a real broker or to a small HTTP receiver: everything arrives, in order, at its pace."""

import json
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import pandas as pd
import pytest

from foretwin.contract.twin import load_twin
from foretwin.dataset.table import write_rows
from foretwin.errors import BadInput, BrokerError, RowsError
from foretwin.project.loops import Backoff
from foretwin.twin.connectors.mqtt.session import connect_broker
from foretwin.twin.connectors.mqtt.subscription import Subscription
from foretwin.twin.simulator.disturbances import KINDS, Disturbances
from foretwin.twin.simulator.processes import free_port, wait_for
from foretwin.twin.simulator.sending import Failure, ReplayPlan, fleet, replay
from support.tiny_bundle import REPOSITORY, random_rows, tiny_twin

TWIN = tiny_twin()
PUMP = load_twin(REPOSITORY / "data/pump/twin.yaml")


def rows(**lengths) -> pd.DataFrame:
    frame = random_rows(TWIN, lengths)
    last = frame.groupby("asset")["time"].transform("max")
    return frame.assign(failed=(frame["time"] == last) & (frame["asset"] != "B"))


@contextmanager
def ear(url):
    """What arrives at the broker, as (asset, content)."""
    heard = []

    def receive(message):
        heard.append((message.topic.split("/")[2], json.loads(message.body)))
        session.acknowledge([message])

    session = connect_broker(
        url, "ear", threading.Event(), Subscription("foretwin/pump/+/readings", receive), Backoff(0.1, 1)
    )
    yield heard
    session.close()


class Receiver(ThreadingHTTPServer):
    """Takes posts and keeps them; answers with the statuses given, then with 200."""

    def __init__(self, port=0, statuses=()):
        self.heard, self.keys, self.statuses = [], [], list(statuses)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.keys.append(self.headers["authorization"])
                status = receiver.statuses.pop(0) if receiver.statuses else 200
                if status == 200:
                    receiver.heard.append((self.path, self.headers["content-type"], json.loads(body)))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", port), Handler)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def receiver():
    server = Receiver()
    yield server
    server.shutdown()
    server.server_close()


def sent(heard):
    """(asset, run, time) of every reading that arrived, in its order."""
    return [
        (asset, content["run"], time_) for asset, content in heard for time_ in np.atleast_1d(content["time"]).tolist()
    ]


def test_a_fleet_arrives_over_mqtt_in_the_order_of_its_clock(broker):
    table = rows(A=5, B=3, C=5)
    with ear(broker.url) as heard:
        summary = replay(TWIN, table, ReplayPlan(broker.url), threading.Event())
        wait_for(lambda: len(heard) == 13, "readings")
    in_order = table.sort_values(["time", "asset"])
    assert sent(heard) == list(zip(in_order["asset"], in_order["run"], in_order["time"], strict=True))
    for (_, content), (_, row) in zip(heard, in_order.iterrows(), strict=True):
        assert content["channels"] == {name: np.float32(row[name]) for name in TWIN.channel_names}
    assert (summary.messages, summary.readings, summary.refused, summary.unheard) == (13, 13, 0, 0)
    assert summary.disturbed == dict.fromkeys(KINDS, 0)
    assert summary.failures == (Failure("A", 1, 5.0), Failure("C", 1, 5.0))


def test_a_fleet_arrives_over_http(receiver):
    table = rows(**{"A": 4, "B 1/2".replace("/", "-"): 4})
    summary = replay(TWIN, table, ReplayPlan(receiver.url + "/"), threading.Event())
    assert (summary.messages, summary.readings, summary.refused) == (8, 8, 0)
    paths = [urlsplit(path) for path, _, _ in receiver.heard]
    assert [unquote(path.path) for path in paths[:2]] == ["/v1/twins/A/readings", "/v1/twins/B 1-2/readings"]
    assert {path.query for path in paths} == {"twin=pump"}
    assert parse_qs(paths[0].query) == {"twin": ["pump"]}
    assert {kind for _, kind, _ in receiver.heard} == {"application/json"}
    assert [content["time"] for _, _, content in receiver.heard] == [1, 1, 2, 2, 3, 3, 4, 4]


def test_several_readings_share_a_message_of_one_asset_and_run(receiver):
    table = rows(A=7)
    table = pd.concat([table, table.assign(run=2, failed=False)], ignore_index=True)
    replay(TWIN, table, ReplayPlan(receiver.url, rows=3), threading.Event())
    contents = [content for _, _, content in receiver.heard]
    assert [(content["run"], content["time"]) for content in contents] == [
        (1, [1, 2, 3]),
        (1, [4, 5, 6]),
        (1, 7),
        (2, [1, 2, 3]),
        (2, [4, 5, 6]),
        (2, 7),
    ]
    assert contents[0]["channels"]["speed"] == [np.float32(value) for value in table["speed"][:3]]


def test_a_next_run_begins_after_the_one_before(receiver):
    table = rows(A=3, B=6)
    table = pd.concat([table, rows(A=2).assign(run=2)], ignore_index=True)
    steps = []
    replay(
        TWIN,
        table,
        ReplayPlan(receiver.url),
        threading.Event(),
        lambda clock, messages: steps.append((clock, messages)),
    )
    order = [(unquote(path.split("/")[3]), content["run"]) for path, _, content in receiver.heard]
    assert order == [("A", 1), ("B", 1)] * 3 + [("B", 1), ("A", 2), ("B", 1), ("A", 2), ("B", 1)]
    assert steps == [(1, 2), (2, 4), (3, 6), (4, 7), (5, 9), (6, 11)]


def test_the_speed_is_that_of_the_machines_clock(receiver):
    begin = time.monotonic()
    replay(TWIN, rows(A=11, B=11), ReplayPlan(receiver.url, speed=20), threading.Event())
    assert 0.5 <= time.monotonic() - begin < 5, "half a second; ten at the speed of one"


def test_it_stops_at_once_when_it_is_told_to(receiver):
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    begin = time.monotonic()
    summary = replay(TWIN, rows(A=100), ReplayPlan(receiver.url, speed=1), stop)
    assert time.monotonic() - begin < 3
    assert summary.readings == summary.messages == len(receiver.heard) == 1
    assert summary.failures == ()


def test_ctrl_c_ends_it_with_its_summary(receiver, tmp_path):
    script = f"""
from foretwin.cli.project import stop_on_signals
from foretwin.contract.twin import Twin
from foretwin.twin.simulator.sending import ReplayPlan, replay
import pandas as pd
twin = Twin.model_validate_json(open({str(tmp_path / "twin.json")!r}).read())
rows = pd.read_parquet({str(tmp_path / "rows.parquet")!r})
with stop_on_signals() as stop:
    print(replay(twin, rows, ReplayPlan({receiver.url!r}, speed=1), stop))
"""
    (tmp_path / "twin.json").write_text(TWIN.model_dump_json())
    rows(A=100).to_parquet(tmp_path / "rows.parquet")
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: receiver.heard, "first reading")
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=20)
    assert (process.returncode, error) == (0, "")
    assert out.startswith(f"Summary(messages={len(receiver.heard)}, ")


def test_disturbances_are_sent_and_counted(receiver):
    rates = Disturbances(dropouts=0.1, duplicates=0.1, disorder=0.1, spikes=0.1, clock_jumps=0.1)
    table = rows(A=200, B=200)
    summary = replay(TWIN, table, ReplayPlan(receiver.url, disturbances=rates, seed=4), threading.Event())
    counts = summary.disturbed
    assert summary.readings == len(receiver.heard) == 400 - counts["dropouts"] + counts["duplicates"]
    contents = [content for _, _, content in receiver.heard]
    assert sum(max(content["channels"].values()) > 1000 for content in contents) >= counts["spikes"] > 0
    jumps = [content["time"] > 1000 for content in contents]
    assert sum(jumps) >= counts["clock_jumps"] > 0
    again = replay(TWIN, table, ReplayPlan(receiver.url, disturbances=rates, seed=4), threading.Event())
    assert again == summary
    assert [content for _, _, content in receiver.heard[len(contents) :]] == contents


def test_only_what_was_sent_before_it_stopped_is_counted(receiver):
    stop = threading.Event()
    rates = Disturbances(dropouts=0.5, duplicates=0.5)
    plan = ReplayPlan(receiver.url, disturbances=rates)
    summary = replay(TWIN, rows(A=200), plan, stop, lambda clock, _: stop.set() if clock > 20 else None)
    assert 0 < summary.disturbed["dropouts"] < 20
    assert 0 < summary.disturbed["duplicates"] < 20
    assert summary.readings == len(receiver.heard)


def test_a_service_that_is_busy_or_away_gets_it_later(caplog):
    port = free_port()
    servers = []
    threading.Timer(0.3, lambda: servers.append(Receiver(port, [503, 429]))).start()
    summary = replay(TWIN, rows(A=3), ReplayPlan(f"http://127.0.0.1:{port}"), threading.Event())
    assert summary.refused == 0
    assert [content["time"] for _, _, content in servers[0].heard] == [1, 2, 3]
    assert "cannot be reached" in caplog.text
    servers[0].shutdown()
    servers[0].server_close()


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_not_taken_ends_the_replay_at_once(status):
    server = Receiver(statuses=[200, status])
    plan = ReplayPlan(server.url, key="ftw_1_2")
    with pytest.raises(BadInput, match=f"FORETWIN_KEY: {server.url} refuses it: {status}"):
        replay(TWIN, rows(A=5), plan, threading.Event())
    assert len(server.heard) == 1
    assert server.keys == ["Bearer ftw_1_2"] * 2
    assert "ftw_1_2" not in repr(plan)
    server.shutdown()
    server.server_close()


def test_what_a_service_refuses_is_counted_and_not_sent_again(caplog):
    server = Receiver(statuses=[422, 200, 404])
    summary = replay(TWIN, rows(A=5), ReplayPlan(server.url), threading.Event())
    assert (summary.messages, summary.refused) == (5, 2)
    assert [content["time"] for _, _, content in server.heard] == [2, 4, 5]
    assert "422" in caplog.text
    server.shutdown()
    server.server_close()


def test_the_first_message_waits_until_somebody_subscribes(broker, caplog):
    heard, sessions = [], []

    def subscribe():
        topic = Subscription("foretwin/+/+/readings", lambda message: heard.append(json.loads(message.body)["time"]))
        sessions.append(connect_broker(broker.url, "late", threading.Event(), topic))

    late = threading.Timer(1.0, subscribe)
    late.start()
    summary = replay(TWIN, rows(A=5), ReplayPlan(broker.url), threading.Event())
    assert (summary.messages, summary.refused, summary.unheard) == (5, 0, 0)
    wait_for(lambda: heard == [1, 2, 3, 4, 5], "all five messages")
    assert caplog.text.count("nobody subscribes yet") == 1
    sessions[0].close()


def test_messages_that_nobody_subscribes_to_any_more_are_counted(broker):
    topic = Subscription("foretwin/+/+/readings", lambda _: None)
    session = connect_broker(broker.url, "leaving", threading.Event(), topic)

    def leave(clock, _):
        if clock == 1:
            session._client.unsubscribe("foretwin/+/+/readings")
            time.sleep(0.3)

    summary = replay(TWIN, rows(A=5), ReplayPlan(broker.url), threading.Event(), leave)
    assert (summary.messages, summary.unheard) == (5, 4)
    session.close()


def test_a_replay_to_nobody_can_be_stopped(broker):
    stop = threading.Event()
    threading.Timer(0.6, stop.set).start()
    summary = replay(TWIN, rows(A=5), ReplayPlan(broker.url), stop)
    assert (summary.messages, summary.unheard) == (1, 1)


def test_a_broker_killed_on_the_way_gets_everything(broker):
    table = rows(**dict.fromkeys("ABCDEFGH", 100))
    done = threading.Event()

    def crash():
        time.sleep(0.4)
        broker.stop(signal.SIGKILL)
        time.sleep(0.2)
        broker.start()
        done.set()

    ear = connect_broker(broker.url, "ear", threading.Event(), Subscription("foretwin/+/+/readings", lambda _: None))
    killer = threading.Thread(target=crash)
    killer.start()
    summary = replay(TWIN, table, ReplayPlan(broker.url, speed=100), threading.Event())
    killer.join()
    assert done.is_set()
    assert (summary.readings, summary.refused) == (800, 0)
    ear.close()


def test_a_broker_that_is_away_can_be_stopped_waiting_for():
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    summary = replay(TWIN, rows(A=5), ReplayPlan(f"mqtt://127.0.0.1:{free_port()}"), stop)
    assert summary.readings == 0


def test_the_pump_fleet_is_simulated_from_another_seed_than_the_champions():
    simulated = fleet(PUMP, REPOSITORY, assets=3)
    assert list(simulated["asset"].unique()) == ["R-001", "R-002", "R-003"]
    assert simulated["failed"].dtype == bool
    ends = simulated.groupby("asset").tail(1)
    assert simulated["failed"].sum() == ends["failed"].sum()
    assert not simulated.equals(fleet(PUMP, REPOSITORY, assets=3, seed=PUMP.source.seed))
    assert simulated.equals(fleet(PUMP, REPOSITORY, assets=3, seed=PUMP.source.seed + 1000))
    assert list(fleet(PUMP, REPOSITORY, assets=1)["asset"].unique()) == ["R-001"]


def test_another_twin_replays_its_recorded_rows(tmp_path):
    content = TWIN.model_dump()
    content["source"] = {"kind": "table", "path": "x.csv", "asset": "a", "time": "t"}
    content["name"] = "mill"
    twin = type(TWIN).model_validate(content)
    with pytest.raises(RowsError, match=r"dvc repro data/mill/dvc.yaml:adapt"):
        fleet(twin, tmp_path)
    (tmp_path / "data/mill/rows").mkdir(parents=True)
    table = rows(B=4, A=3)
    table["rul"] = np.where(table["asset"] == "A", 3 - table["time"], np.nan)
    write_rows(table.drop(columns="failed"), twin, tmp_path / "data/mill/rows/rows.parquet")
    recorded = fleet(twin, tmp_path)
    assert recorded["asset"].tolist() == ["B"] * 4 + ["A"] * 3
    assert recorded["failed"].tolist() == [False] * 6 + [True]
    assert set(fleet(twin, tmp_path, assets=1)["asset"]) == {"B"}


def test_a_file_is_replayed_with_the_failures_that_it_names(tmp_path):
    rows(A=3, B=2).to_parquet(tmp_path / "fleet.parquet")
    loaded = fleet(PUMP.model_copy(update={"channels": TWIN.channels}), tmp_path, file=tmp_path / "fleet.parquet")
    assert loaded["failed"].tolist() == [False, False, True, False, False]
    with pytest.raises(RowsError, match="no such file"):
        fleet(TWIN, tmp_path, file=tmp_path / "none.parquet")
    (tmp_path / "bad.parquet").write_text("x")
    with pytest.raises(RowsError, match="not a Parquet table"):
        fleet(TWIN, tmp_path, file=tmp_path / "bad.parquet")


@pytest.mark.parametrize(
    ("plan", "word"),
    [
        (ReplayPlan("ftp://x"), "begins with none"),
        (ReplayPlan("http://127.0.0.1:1", speed=-1), "speed"),
        (ReplayPlan("http://127.0.0.1:1", speed=float("inf")), "speed"),
        (ReplayPlan("http://127.0.0.1:1", rows=0), "rows"),
    ],
)
def test_a_plan_that_cannot_be_is_told(plan, word):
    with pytest.raises(BadInput, match=word):
        replay(TWIN, rows(A=1), plan, threading.Event())


def test_an_asset_whose_name_fits_no_topic_is_told():
    with pytest.raises(BadInput, match="asset"):
        replay(TWIN, rows(**{"A/1": 1}), ReplayPlan("mqtt://127.0.0.1:1"), threading.Event())


def test_a_fleet_of_nobody_is_told():
    with pytest.raises(BadInput, match="fleet"):
        replay(TWIN, rows(A=1).head(0), ReplayPlan("mqtt://127.0.0.1:1"), threading.Event())
    with pytest.raises(BadInput, match="assets"):
        fleet(PUMP, REPOSITORY, assets=0)


def test_a_broker_that_refuses_ends_it(tmp_path):
    from foretwin.twin.simulator.broker import Broker

    (tmp_path / "users").touch(0o700)
    refusing = Broker(tmp_path, (f"password_file {tmp_path}/users",)).start()
    try:
        with pytest.raises(BrokerError, match="Not authorized"):
            replay(TWIN, rows(A=1), ReplayPlan(refusing.url), threading.Event())
    finally:
        refusing.stop()
