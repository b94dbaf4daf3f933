"""The store itself: tables, schema versions, transactions, errors."""

import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, select

from foretwin.errors import StoreAway, StoreError
from foretwin.twin.store import database, open_store
from foretwin.twin.store.tables import batches, metadata

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_migrations_make_exactly_the_tables(store):
    def is_ours(name, kind, _):
        return kind != "table" or not name.startswith("readings_")  # partitions of `readings`

    with store.read() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": is_ours})
        assert compare_metadata(context, metadata) == []


def test_opening_again_keeps_what_is_there(store, store_url):
    with store.write() as connection:
        connection.execute(insert(batches).values(received_at=NOON, via="file"))
    again = open_store(store_url)
    with again.read() as connection:
        assert connection.execute(select(batches.c.via)).scalar_one() == "file"
    again.close()


def test_a_transaction_that_fails_leaves_no_trace(store):
    def fail():
        with store.write() as connection:
            connection.execute(insert(batches).values(received_at=NOON, via="file"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with store.read() as connection:
        assert connection.execute(select(batches)).all() == []


def test_moments_keep_their_instant_whatever_their_zone(store):
    with store.write() as connection:
        later = NOON.astimezone(timezone(timedelta(hours=5)))
        connection.execute(insert(batches).values(received_at=later, via="file"))
    with store.read() as connection:
        moment = connection.execute(select(batches.c.received_at)).scalar_one()
    assert moment == NOON
    assert moment.utcoffset() == timedelta(0)


def test_processes_that_start_together_make_the_tables_once(store_url):
    code = f"from foretwin.twin.store import open_store; open_store({store_url!r})"
    processes = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(4)]
    assert [process.communicate()[1] for process in processes] == [b""] * 4


def test_a_connection_is_opened_while_another_process_writes(store, store_url, monkeypatch):
    monkeypatch.setattr(database, "PATIENCE", 0.1)
    with store.write() as connection:
        connection.execute(insert(batches).values(received_at=NOON, via="file"))
        other = open_store(store_url)
        with other.read() as reading:
            assert reading.execute(select(batches)).all() == []
    other.close()


def test_a_store_of_a_newer_version_is_refused(store, store_url):
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="newer version"):
        open_store(store_url)


def test_a_url_that_is_none_is_refused():
    for url in ("twins.db", "mysql://host/x"):
        with pytest.raises(StoreError, match="FORETWIN_STORE"):
            open_store(url)


def test_a_server_that_is_not_there_is_told_in_one_line():
    with pytest.raises(StoreAway, match="start PostgreSQL") as refused:
        open_store("postgresql://foretwin:secret@127.0.0.1:1/postgres")
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)


def test_either_side_hears_within_half_a_minute_that_the_other_ones_host_is_gone(postgres):
    store = open_store(postgres.new_database("gone"))
    with store.read() as connection:
        names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout")
        idle, interval, count, unanswered = (
            int(connection.exec_driver_sql("SELECT setting FROM pg_settings WHERE name = %s", (name,)).scalar_one())
            for name in names
        )
        assert idle + interval * count <= 30
        assert unanswered <= 30_000
        ours = connection.connection.driver_connection.info.get_parameters()
        told = [ours[name.replace("tcp_keepalives", "keepalives")] for name in names]
        assert [int(value) for value in told] == [idle, interval, count, unanswered]
    store.close()


def test_a_full_disk_is_told_and_nothing_is_kept(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/twins.db")
    with store.write() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 60")  # of this connection, the only one in the pool

    def fill():
        with store.write() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 60")
            connection.execute(insert(batches), [{"received_at": NOON, "via": "x" * 500}] * 5000)

    with pytest.raises(StoreError, match="free some space"):
        fill()
    with store.read() as connection:
        assert connection.execute(select(batches)).all() == []


def test_a_read_only_file_is_told(tmp_path):
    open_store(f"sqlite:///{tmp_path}/twins.db").close()
    sqlite3.connect(tmp_path / "twins.db").execute("PRAGMA journal_mode = DELETE")
    with pytest.raises(StoreError, match="right to write"):
        open_store(f"sqlite:///file:{tmp_path}/twins.db?mode=ro&uri=true")


def test_a_read_only_server_is_told(postgres):
    url = postgres.new_database("readonly")
    open_store(url).close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER DATABASE readonly SET default_transaction_read_only = on")
    store = open_store(url)

    def write():
        with store.write() as connection:
            connection.execute(insert(batches).values(received_at=NOON, via="file"))

    with pytest.raises(StoreError, match="make it writable"):
        write()
    store.close()


def test_a_server_that_restarts_is_used_again(postgres):
    store = open_store(postgres.new_database("restarted"))
    postgres.stop()

    def count():
        with store.read() as connection:
            return len(connection.execute(select(batches)).all())

    with pytest.raises(StoreAway):
        count()
    postgres.start()
    assert count() == 0
    store.close()
