"""Snapshots that come live have the features of the same snapshots in a file; what is kept is kept for a while."""

import io
import json
import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from foretwin.contract.twin import Twin
from foretwin.errors import BadInput
from foretwin.project.loops import Backoff
from foretwin.sources.table import read_rows_of
from foretwin.twin.connectors.connections.connections_file import plain_peer
from foretwin.twin.connectors.listening import listen
from foretwin.twin.connectors.mqtt.receiving import session_name
from foretwin.twin.connectors.mqtt.session import connect_broker
from foretwin.twin.connectors.mqtt.subscription import Subscription
from foretwin.twin.erasure.file_copies import find_copies
from foretwin.twin.ingest.snapshot_keeping import drop_snapshots
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import listing, open_store
from foretwin.wire.decoder import decode
from support.live_project import live, living_project
from support.waveform_twin import LENGTH, RATE, waveform_twin

SPEED, QUICK = (900.0, 1200.0), Backoff(0.05, 0.5)
ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture
def blocks() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((2, LENGTH)).astype(np.float32)


def fan(**more) -> Twin:
    return waveform_twin("rows.parquet", {"channel": "rpm"}, ["rpm"], time="time", asset="asset", **more)


def arrow(blocks: np.ndarray, **columns) -> bytes:
    waves = pa.array(list(blocks), pa.list_(pa.float32()))
    table, out = pa.table({"time": [1.0, 2.0], "rpm": list(SPEED), "vibration": waves} | columns), io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table)
    return out.getvalue()


def messages(blocks: np.ndarray) -> list[bytes]:
    """One message for each snapshot."""
    parts = zip((1, 2), SPEED, blocks.tolist(), strict=True)
    return [
        json.dumps({"time": time, "channels": {"rpm": rpm}, "waveforms": {"vibration": samples}}).encode()
        for time, rpm, samples in parts
    ]


def of_file(twin: Twin, folder, blocks: np.ndarray):
    columns = {"asset": ["F-1"] * 2, "time": [1.0, 2.0], "rpm": list(SPEED)}
    table = pa.table({**columns, "vibration": pa.array(list(blocks), pa.list_(pa.float32()))})
    pyarrow.parquet.write_table(table, folder / "rows.parquet")
    return read_rows_of(twin, twin.source.model_copy(update={"time_format": None}), folder / "rows.parquet")


def check(stored: list[dict], rows) -> None:
    stored = sorted(stored, key=lambda one: one["time"])
    for name in ("rms", "low", "first", "rpm"):
        live_values = [one["channels"][name] for one in stored]
        np.testing.assert_allclose(live_values, rows[name], rtol=1e-6, err_msg=name)


def readings_of(store) -> list[dict]:
    with store.read() as connection:
        page = listing.Page(10, 0, "time", False)
        fleet = listing.list_fleet(connection, listing.Page(10, 0, "name", False), {}, stale=None, silent_since={})
        return listing.list_readings(connection, fleet[0]["id"], page, None, (None, None)) if fleet else []


@pytest.mark.dated
def test_a_snapshot_over_http_has_the_features_of_the_file_and_is_kept(store, tmp_path, blocks):
    twin = fan(keep=True)
    project = living_project(tmp_path / "project", twin)
    address = "/v1/twins/{}/readings?twin=fan"
    with live(store, project) as client:
        for body in messages(blocks):
            answer = client.post(address.format("F-1"), content=body, headers={"Content-Type": "application/json"})
            assert answer.raise_for_status().json()["stored"] == 1
        stream = client.post(address.format("F-2"), content=arrow(blocks), headers={"Content-Type": ARROW})
        assert stream.raise_for_status().json()["stored"] == 2
        rows = of_file(twin, tmp_path, blocks)
        for name in ("F-1", "F-2"):
            check(client.get(f"/v1/twins/{name}/readings").json()["items"], rows)
        assert client.post(address.format("F-2"), content=arrow(blocks), headers={"Content-Type": ARROW}).is_success
    files = [path for path in find_copies(project, "fan", "F-2", None) if path.parent.parent.name == "waveforms"]
    (kept,) = [pyarrow.parquet.read_table(path) for path in files]
    np.testing.assert_array_equal(np.array(kept["vibration"].to_pylist(), np.float32), blocks)
    assert kept.schema.field("vibration").metadata == {b"rate": b"1000", b"unit": b"m/s2"}
    today = datetime.now(UTC).date()
    assert drop_snapshots(project, twin, today + timedelta(days=30)) == 0
    assert drop_snapshots(project, twin, today + timedelta(days=31)) == 3


@pytest.mark.dated
def test_the_spectrum_of_the_newest_kept_snapshot_is_told(store, tmp_path):
    project = living_project(tmp_path / "project", fan(keep=True))
    times = np.arange(LENGTH) / RATE
    tones = [(3 + 2 * np.sin(2 * np.pi * hz * times)).astype(np.float32) for hz in (100, 250)]
    with live(store, project) as client:
        for body in messages(np.array(tones)):
            sent = {"content": body, "headers": {"Content-Type": "application/json"}}
            client.post("/v1/twins/F-1/readings?twin=fan", **sent).raise_for_status()
        client.put("/v1/twins/F-2", json={"twin": "fan"}).raise_for_status()
        told = client.get("/v1/twins/F-1/spectrum").raise_for_status().json()
        none = client.get("/v1/twins/F-2/spectrum").raise_for_status().json()
        page = client.get("/machines/F-1", headers={"accept": "text/html"}).raise_for_status().text
        assert client.get("/machines/F-1/spectrum").json() == told
    spectrum = told["waveforms"]["vibration"]
    highest = int(np.argmax(spectrum["amplitude"]))
    assert (told["time"], spectrum["frequency"][highest], spectrum["unit"]) == (2.0, 250.0, "m/s2")
    assert spectrum["amplitude"][highest] == pytest.approx(2 / np.sqrt(2), rel=1e-3)
    assert (none["time"], none["waveforms"]) == (None, {})
    assert 'data-spectrum="/machines/F-1/spectrum"' in page


def test_a_snapshot_over_mqtt_has_the_features_of_the_file_and_is_not_kept_unless_asked(broker, tmp_path, blocks):
    twin, store = fan(), open_store(f"sqlite:///{tmp_path}/twins.db")
    held = Subscription("foretwin/+/+/readings", print)
    connect_broker(broker.url, session_name(store), threading.Event(), held, QUICK).close()
    stop, root = threading.Event(), {"root": tmp_path / "project"}
    peers = [plain_peer(broker.url)]
    thread = threading.Thread(target=listen, args=(store, {"fan": twin}, peers, stop, None, QUICK), kwargs=root)
    thread.start()
    device = connect_broker(broker.url, "device", threading.Event(), None, QUICK)
    try:
        for body in messages(blocks):
            device.publish("foretwin/fan/F-1/readings", body)
        wait_for(lambda: len(readings_of(store)) == 2, "two readings", 30)
    finally:
        stop.set()
        thread.join(20)
        device.close()
    check(readings_of(store), of_file(twin, tmp_path, blocks))
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"waveforms": {"sound": [1.0]}}, "waveforms.sound", "unknown; there is vibration"),
        ({"waveforms": {}}, "waveforms.vibration", "is missing"),
        ({"waveforms": {"vibration": 5}}, "waveforms.vibration", "not a list of numbers"),
        ({"waveforms": {"vibration": ["a"] * 20}}, "waveforms.vibration", "not a list of numbers"),
        ({"waveforms": {"vibration": [1.0, None] * 20}}, "waveforms.vibration", "missing, or not a finite"),
        ({"waveforms": {"vibration": [1e39] * 20}}, "waveforms.vibration", "missing, or not a finite"),
        ({"waveforms": {"vibration": [1.0] * 8}}, "waveforms.vibration", "has 8 samples"),
        ({"channels": {}}, "channels.rpm", "the speed of the shaft"),
        ({"channels": {"rpm": 900, "rms": 1}}, "channels.rms", "a feature of the snapshot"),
        ({"rates": {"vibration": 2000}}, "rates.vibration", "is 2000, 1000 Hz is needed"),
        ({"time": [1, 2]}, "waveforms.vibration", "a list of numbers for each time"),
    ],
)
def test_a_message_whose_waveforms_are_not_those_of_the_contract_is_refused(blocks, change, field, reason):
    body = json.loads(messages(blocks)[0]) | change
    with pytest.raises(BadInput, match=reason) as problem:
        decode(json.dumps(body).encode(), "application/json", {"fan": fan()}, "fan", "F-1")
    assert problem.value.field == field


def test_a_wrong_unit_is_set_aside(blocks):
    body = json.loads(messages(blocks)[0]) | {"units": {"vibration": "g"}}
    decoded = decode(json.dumps(body).encode(), "application/json", {"fan": fan()}, "fan", "F-1")
    assert [(one.field, one.reason) for one in decoded.rejected] == [("units.vibration", "unit")]


def test_a_list_in_a_table_of_a_twin_without_waveforms_is_refused(blocks):
    plain = fan().model_copy(update={"waveforms": {}})
    with pytest.raises(BadInput, match="numbers or text are needed"):
        decode(arrow(blocks), ARROW, {"fan": plain}, "fan", "F-1")
