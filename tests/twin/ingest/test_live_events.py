"""Events that machines report live: the channels that are made of them are those of the same events in a table."""

import zipfile
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from foretwin.contract.twin import Twin
from foretwin.project.paths import Paths
from foretwin.sources import adapt, fetch
from foretwin.twin.retention.retain import Retaining, retain_once
from foretwin.twin.store.assets import find_asset
from support.live_project import assert_problem, live, living_project, score
from support.tiny_bundle import tiny_twin

pytestmark = pytest.mark.dated

STEP, LAST = 1.0, 12
EVENTS = [("P-1", "E1", 2.5), ("P-1", "e1 ", 3.0), ("P-1", "E1", 3.25), ("P-1", "stop", 7.0), ("P-2", "E1", 9.5)]


def pump_with_events() -> Twin:
    """The tiny pump, two of whose channels are made of events."""
    content = tiny_twin("pump", channels=1).model_dump(mode="json")
    events = {"path": "events.csv", "asset": "machine", "time": "at", "code": "what"}
    events |= {"counts": {"errors": "E1"}, "since": {"since_stop": "Stop"}}
    content["source"] = {"kind": "table", "path": "rows.csv", "asset": "machine", "time": "at", "events": events}
    made = {"unit": "1", "role": "sensor", "min": 0, "max": 5}
    content["channels"] |= {"errors": made, "since_stop": made}
    return Twin.model_validate(content)


def rows_of_files(contract: Twin, root) -> pd.DataFrame:
    """The canonical rows of two machines and their events as files."""
    paths = Paths(root, "pump")
    paths.raw.mkdir(parents=True)
    machines = np.repeat(["P-1", "P-2"], LAST)
    frame = pd.DataFrame({"machine": machines, "at": np.tile(np.arange(LAST), 2), "speed": np.arange(2.0 * LAST)})
    frame.to_csv(paths.data / "rows.csv", index=False)
    pd.DataFrame(EVENTS, columns=["machine", "what", "at"]).to_csv(paths.data / "events.csv", index=False)
    fetch(contract, paths, paths.raw)
    return adapt(contract, paths.raw)


@pytest.fixture
def plant(tmp_path, store):
    """A client of `foretwin live` over a project whose pump has channels made of events."""
    root = living_project(tmp_path / "project", pump_with_events())
    with live(store, root) as client:
        yield client, root


def send(client, asset: str, time: float, speed: float) -> dict:
    body = {"time": time, "channels": {"speed": speed}}
    return client.post(f"/v1/twins/{asset}/readings?twin=pump", json=body).raise_for_status().json()


def report(client, asset: str, *events: tuple[str, object], **more):
    told = [{"code": code, "time": time} | more for code, time in events]
    return client.post(f"/v1/twins/{asset}/events", json={"events": told})


def stored(client, asset: str) -> list[dict]:
    return [one["channels"] for one in client.get(f"/v1/twins/{asset}/readings").raise_for_status().json()["items"]]


def test_events_sent_live_make_the_channels_of_the_same_events_in_a_table(plant, tmp_path):
    client, _ = plant
    rows = rows_of_files(pump_with_events(), tmp_path / "files")
    for number in range(2 * LAST):
        asset, time = f"P-{number // LAST + 1}", float(number % LAST)
        due = [(code, at) for of, code, at in EVENTS if of == asset and time - STEP < at <= time]
        if due:
            answer = report(client, asset, *due)
            assert answer.status_code == 200, answer.text
            assert answer.json()["stored"] == len(due)
        assert send(client, asset, time, float(number))["stored"] == 1
    for asset, own in rows.groupby("asset"):
        wanted = own[["speed", "errors", "since_stop"]].to_dict("records")
        assert stored(client, str(asset)) == wanted
    assert rows["errors"].sum() == 4
    assert rows["since_stop"].nunique() == 6, "events that change nothing prove nothing"


def test_an_event_changes_the_next_score_and_a_repeated_reading_changes_nothing(plant, store):
    client, root = plant
    for asset in ("P-1", "P-2"):
        for time in range(4):
            send(client, asset, time, 0.0)
    report(client, "P-1", *[("E1", 3 + i / 4) for i in range(1, 4)]).raise_for_status()
    for asset in ("P-1", "P-2"):
        send(client, asset, 4.0, 0.0)
    assert score(store, root) == 2
    ruls = [client.get(f"/v1/twins/{asset}").json()["last_score"]["rul"]["value"] for asset in ("P-1", "P-2")]
    assert abs(ruls[0] - ruls[1]) > 0.01
    told = report(client, "P-1", ("E1", 1.5), ("E1", 3.25), ("unheard", 4.5)).json()
    counts = {name: told[name] for name in ("stored", "duplicates", "late", "ignored")}
    assert counts == {"stored": 1, "duplicates": 1, "late": 2, "ignored": 1}
    again = send(client, "P-1", 4.0, 0.0), send(client, "P-1", 2.0, 0.0)
    assert [one["duplicates"] for one in again] == [1, 1]
    assert [one["errors"] for one in stored(client, "P-1")] == [0, 0, 0, 0, 3]


def test_what_a_sender_says_of_such_a_channel_itself_counts(plant):
    client, _ = plant
    body = {"time": [0, 1], "channels": {"speed": [1, 1], "errors": [4, None], "since_stop": [5, 5]}}
    client.post("/v1/twins/P-1/readings?twin=pump", json=body).raise_for_status()
    assert [one["errors"] for one in stored(client, "P-1")] == [4, 0]


def test_an_event_whose_time_cannot_be_placed_is_refused_and_nothing_is_kept(plant):
    client, _ = plant
    send(client, "P-1", 0.0, 1.0)
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    for time, words in (("noon", "2026-11-21T12"), (soon, "to come"), (-1, "since the run began"), ("2026-01-01", "h")):
        assert_problem(report(client, "P-1", ("E1", 0.5), ("E1", time)), 422, "events.1.time", words)
    assert_problem(report(client, "P-9", ("E1", 0.5)), 404, "asset")
    assert report(client, "P-1", ("E1", 0.5)).json()["stored"] == 1
    assert_problem(client.post("/v1/twins/P-1/events", json={"events": []}), 422, "events")


def test_a_moment_is_placed_on_the_clock_of_its_run(plant):
    client, _ = plant
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=9)
    for hour in range(3):
        value = {"time": (began + timedelta(hours=hour)).isoformat(), "channel": "speed", "value": 1.0}
        client.post("/v1/twins/P-1/readings?twin=pump", json=value).raise_for_status()
    assert report(client, "P-1", ("E1", (began + timedelta(hours=2, minutes=30)).isoformat())).json()["stored"] == 1
    for hour in range(3, 5):
        value = {"time": (began + timedelta(hours=hour)).isoformat(), "channel": "speed", "value": 1.0}
        client.post("/v1/twins/P-1/readings?twin=pump", json=value).raise_for_status()
    assert [one["errors"] for one in stored(client, "P-1")] == [0, 0, 0, 1]


def test_events_are_exported_aged_out_with_their_runs_and_erased(plant, store, tmp_path):
    client, root = plant
    send(client, "P-1", 0.0, 1.0)
    report(client, "P-1", ("E1", 0.5)).raise_for_status()
    client.post("/v1/twins/P-1/maintenance", json={"kind": "run_ended"}).raise_for_status()
    send(client, "P-1", 0.0, 1.0)
    report(client, "P-1", ("E1", 0.5)).raise_for_status()

    def exported() -> int:
        out = tmp_path / "copy.zip"
        out.write_bytes(client.get("/v1/twins/P-1/export").raise_for_status().content)
        with zipfile.ZipFile(out) as archive:
            return archive.read("machine_events.json").count(b'"code":"e1"')

    assert exported() == 2
    retain_once(Retaining(store, root, {"pump": pump_with_events()}), datetime.now(UTC) + timedelta(days=40))
    with store.read() as connection:
        asset = find_asset(connection, "P-1")
        left = connection.exec_driver_sql("SELECT run FROM machine_events").fetchall()
    assert left == [(asset.run,)], "those of the present run are kept"
    assert exported() == 2, "from the archive too"
    assert client.delete("/v1/twins/P-1").raise_for_status()
    with store.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM machine_events").scalar_one() == 0
