"""Readings do not wait for what others read, and no read goes on for ever."""

import threading
from dataclasses import replace

import httpx
import pytest
from sqlalchemy import text

from foretwin.errors import StoreAway
from foretwin.twin.api import call
from foretwin.twin.store import open_store
from support.live_project import assert_problem, live, living_project, message

READERS = 20
ENDLESS = "WITH RECURSIVE endless(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM endless) SELECT count(*) FROM endless"


def test_readings_are_stored_while_many_readers_wait_and_these_are_told_to_come_back(postgres, tmp_path, monkeypatch):
    monkeypatch.setattr(call, "READ_SECONDS", 2.0)
    store, answers = open_store(postgres.new_database("lanes")), []
    with live(store, living_project(tmp_path)) as client:
        url = f"{client.base_url}/v1/cases"

        def read():
            answers.append(httpx.get(url, trust_env=False, timeout=60))

        readers = [threading.Thread(target=read) for _ in range(READERS)]
        with store.write() as connection:
            connection.exec_driver_sql("LOCK TABLE cases IN ACCESS EXCLUSIVE MODE")  # a read of cases has to wait
            for one in readers:
                one.start()
            for i in range(20):
                sent = client.post(f"/v1/twins/P-{i}/readings?twin=pump", json=message(), timeout=20)
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
