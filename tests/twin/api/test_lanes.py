"""Readings do not wait for what others read, and no read goes on for ever."""

import io
import threading
import zipfile
from dataclasses import replace

import httpx
import numpy as np
import pandas as pd
import pytest
from sqlalchemy import text

from foretwin.errors import StoreAway
from foretwin.twin.api import call, streams, twins
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import open_store
from foretwin.twin.store.telemetry import history
from support.live_project import PUMP, assert_problem, live, living_project, message
from support.stored_readings import store_rows

READERS = 20
ENDLESS = "WITH RECURSIVE endless(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM endless) SELECT count(*) FROM endless"


def test_readings_are_stored_while_many_readers_wait_and_these_are_told_to_come_back(postgres, tmp_path, monkeypatch):
    monkeypatch.setattr(call, "READ_SECONDS", 2.0)
    store, answers = open_store(postgres.new_database("lanes")), []
    with live(store, living_project(tmp_path)) as client:
        url = f"{client.base_url}/v1/cases"

        def read():
            answers.append(httpx.get(url, trust_env=False, timeout=60))

        for i in range(20):  # the first reading of a machine does ask for its cases, by which the fleet is counted
            client.post(f"/v1/twins/P-{i}/readings?twin=pump", json=message()).raise_for_status()
        readers = [threading.Thread(target=read) for _ in range(READERS)]
        with store.write() as connection:
            connection.exec_driver_sql("LOCK TABLE cases IN ACCESS EXCLUSIVE MODE")  # a read of cases has to wait
            for one in readers:
                one.start()
            for i in range(20):
                sent = client.post(f"/v1/twins/P-{i}/readings?twin=pump", json=message(start=4), timeout=20)
                assert sent.json()["stored"] == 3
            assert client.get("/readyz").status_code == 200
            while not answers:
                threading.Event().wait(0.05)
        for one in readers:
            one.join()
        assert client.get("/v1/cases").status_code == 200
    refused = [one for one in answers if one.status_code != 200]
    assert refused
    for one in refused:
        assert_problem(one, 503, "store", "/v1/cases", "longer than a read may")
        assert int(one.headers["retry-after"]) > 0
    store.close()


def test_more_readers_than_may_wait_are_refused_and_not_piled_up(postgres, tmp_path, monkeypatch):
    monkeypatch.setattr("foretwin.twin.api.app.MOST_READS", 4)
    store, answers = open_store(postgres.new_database("lanes_full")), []
    with live(store, living_project(tmp_path)) as client:
        url = f"{client.base_url}/v1/cases"
        readers = [
            threading.Thread(target=lambda: answers.append(httpx.get(url, trust_env=False, timeout=60)))
            for _ in range(6)
        ]
        with store.write() as connection:
            connection.exec_driver_sql("LOCK TABLE cases IN ACCESS EXCLUSIVE MODE")
            for one in readers:
                one.start()
            while len(answers) < 2:
                threading.Event().wait(0.05)
        for one in readers:
            one.join()
    refused = [one for one in answers if one.status_code != 200]
    assert len(refused) == 2
    assert_problem(refused[0], 503, "store", "wait")
    store.close()


def test_a_read_that_does_not_end_is_ended_by_either_database(store):
    bounded = replace(store, read_seconds=0.2)
    with pytest.raises(StoreAway, match="longer than a read may"), bounded.read() as connection:
        connection.execute(text(ENDLESS))
    with bounded.read() as connection:  # and the connection is as good as before
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


def test_copies_of_assets_that_nobody_reads_hold_up_nobody_and_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(call, "MOST_EXPORTS", 2)
    monkeypatch.setattr(streams, "MOST_EXPORTS", 2)
    monkeypatch.setattr(history, "AT_ONCE", 5_000)
    store = open_store(f"sqlite:///{tmp_path}/twins.db")
    rows = pd.DataFrame({"asset": "P-1", "run": 1, "time": np.arange(200_000.0)})
    chance = np.random.default_rng(1)
    store_rows(store, PUMP, rows.assign(**{name: chance.random(len(rows)) for name in PUMP.channel_names}))
    with live(store, living_project(tmp_path / "project")) as client:
        path = "/v1/twins/P-1/export"
        with client.stream("GET", path) as first, client.stream("GET", path) as second:
            assert first.status_code == second.status_code == 200
            assert_problem(client.get(path), 503, "store", "2 copies")
            assert client.get("/v1/twins/P-1/readings?limit=1").status_code == 200
            assert client.post("/v1/twins/P-1/readings", json=message(start=200_000)).json()["stored"] == 3
            assert_problem(client.get("/v1/twins/P-9/export"), 503, "store")
        wait_for(lambda: client.head(path).status_code == 200, "places of those that left")
        copy = zipfile.ZipFile(io.BytesIO(client.get(path).content))
        assert len(pd.read_parquet(io.BytesIO(copy.read("readings.parquet")))) == 200_003
    store.close()


def test_a_copy_that_breaks_off_is_no_whole_answer(tmp_path, monkeypatch):
    def broken(*_):
        yield b"PK"
        raise StoreAway("the database is gone")

    monkeypatch.setattr(twins, "export_pieces", broken)
    store = open_store(f"sqlite:///{tmp_path}/twins.db")
    with live(store, living_project(tmp_path / "project")) as client:
        for _ in range(call.MOST_EXPORTS + 1):
            with pytest.raises(httpx.RemoteProtocolError):
                client.get("/v1/twins/P-1/export")
    store.close()
