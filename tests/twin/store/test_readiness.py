"""Readiness against disks that are really full and databases that really take no writes."""

import threading

import psycopg
import pytest

from benchmarks.servers import Postgres
from foretwin.errors import StoreAway
from foretwin.twin.store import open_store, readiness
from foretwin.twin.store.readiness import Readiness
from support.small_disk import fill, small_disk


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(readiness, "EVERY", 0.0)


def assert_follows_the_disk(ready, folder):
    ready.check()
    filler = fill(folder)
    with pytest.raises(StoreAway, match="No space left on device"):
        ready.check()
    filler.unlink()
    ready.check()


def test_sqlite_on_a_full_disk_is_not_ready():
    with small_disk(8) as folder:
        store = open_store(f"sqlite:///{folder}/twins.db")
        assert_follows_the_disk(Readiness(store), folder)
        store.close()


def test_postgresql_on_a_full_disk_is_not_ready():
    with small_disk(96) as folder:
        home = folder / "postgresql"
        home.mkdir()
        server = Postgres(home, ("max_wal_size=32MB", "min_wal_size=32MB")).start()
        store = open_store(server.new_database("ready"))
        try:
            assert_follows_the_disk(Readiness(store), folder)
        finally:
            store.close()
            server.remove()


def test_a_database_that_may_only_be_read_is_not_ready(postgres):
    url = postgres.new_database("only_read")
    open_store(url).close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER DATABASE only_read SET default_transaction_read_only = on")
    store = open_store(url)
    with pytest.raises(StoreAway, match="read-only"):
        Readiness(store).check()
    store.close()


def test_a_store_whose_folder_is_gone_is_not_ready(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/there/twins.db")
    ready = Readiness(store)
    ready.check()
    (tmp_path / "there").rename(tmp_path / "elsewhere")
    with pytest.raises(StoreAway, match="No such file"):
        ready.check()
    store.close()


def test_a_store_in_which_somebody_writes_is_ready(store):
    if not store.is_sqlite:
        return  # its writers do not wait for each other
    with store.write():
        Readiness(store).check()


def test_one_try_answers_all_who_ask_meanwhile(store, monkeypatch):
    monkeypatch.setattr(readiness, "EVERY", 60.0)
    tries = []
    tried = readiness._failure
    monkeypatch.setattr(readiness, "_failure", lambda one: tries.append(one) or tried(one))
    ready = Readiness(store)
    threads = [threading.Thread(target=ready.check) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tries) == 1


def asked_until_it_fails(ready):
    for _ in range(100):
        ready.check()


def test_a_try_that_does_not_end_is_not_ready(store, monkeypatch):
    monkeypatch.setattr(readiness, "LONGEST", 0.1)
    go = threading.Event()
    monkeypatch.setattr(readiness, "_failure", lambda _: go.wait(10) and None)
    ready = Readiness(store)
    hanging = threading.Thread(target=ready.check)
    hanging.start()
    with pytest.raises(StoreAway, match="has not ended"):
        asked_until_it_fails(ready)
    go.set()
    hanging.join()
