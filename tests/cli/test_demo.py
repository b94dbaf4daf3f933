"""`foretwin demo` where something that it needs is missing; tests/system/test_fleet.py lets it run."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from foretwin.cli.demo.clocks import date_newest
from foretwin.cli.demo.fleet import next_lives
from foretwin.twin.ingest.ingest import ingest
from foretwin.twin.simulator.broker import Broker
from foretwin.twin.store import assets, open_store
from foretwin.twin.store.telemetry.run_clocks import began_at
from foretwin.wire.decoder import decode_table
from support.commands import refusal
from support.tiny_bundle import keep_tiny_champion, random_rows, tiny_twin

pytestmark = pytest.mark.dated


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_mosquitto_the_error_says_what_to_install_and_nothing_is_started(project, monkeypatch):
    keep_tiny_champion(project, tiny_twin())
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert refusal("demo") == "mosquitto: not installed; on Debian `apt install mosquitto` brings it"
    assert not (project / "twins.db").exists()


def test_without_a_champion_no_broker_is_started(project, monkeypatch):
    monkeypatch.setattr(Broker, "start", lambda _: pytest.fail("started"))
    assert "pump has no champion yet" in refusal("demo")


def test_the_next_demonstration_orders_the_pumps_next_lives(project, monkeypatch):
    monkeypatch.setenv("FORETWIN_STORE", f"sqlite:///{project}/twins.db")
    twin, store = tiny_twin(), open_store(f"sqlite:///{project}/twins.db")

    def send(rows, begins) -> int:
        decoded = decode_table(pa.Table.from_pandas(rows, preserve_index=False), twin, None)
        return ingest(store, {twin.name: twin}, [decoded], "mqtt", datetime.now(UTC), begins).stored

    rows = random_rows(twin, {"R-001": 3, "R-002": 3})
    assert send(rows[rows["asset"] == "R-001"].assign(run=4), "any") == 3
    lives = next_lives(rows)
    assert set(lives["run"]) == {5}
    assert send(lives, "next") == 6
    with store.read() as connection:
        assert {one.run for one in assets.find_all(connection, ["R-001", "R-002"]).values()} == {5}
    store.close()


def test_the_newest_reading_of_each_life_is_dated_by_when_it_came_whatever_was_before(tmp_path):
    twin, store = tiny_twin(), open_store(f"sqlite:///{tmp_path}/twins.db")
    begun = datetime.now(UTC)

    def send(run, hours, at):
        rows = random_rows(twin, {"R-001": hours}).assign(run=run)
        decoded = decode_table(pa.Table.from_pandas(rows, preserve_index=False), twin, None)
        ingest(store, {twin.name: twin}, [decoded], "mqtt", at, "any")
        with store.read() as connection:
            return assets.find_asset(connection, "R-001")

    def began(asset, run):
        date_newest(store, twin, ["R-001", "R-002"], begun)
        with store.read() as connection:
            return began_at(connection, asset.id, run)

    former = send(1, 9, begun - timedelta(minutes=5))
    assert began(former, 1) is None, "a life of an earlier demonstration has the dates that it had"
    for hours, seconds in ((3, 1), (30, 2)):
        at = begun + timedelta(seconds=seconds)
        asset = send(2, hours, at)
        assert began(asset, 2) == pytest.approx(at.timestamp() - asset.time * twin.clock.seconds, abs=1e-3)
    store.close()
