"""Partitions of the fleet on a real PostgreSQL: who waits for whom, what a reader of one sees, who owns which."""

import os
import signal
import subprocess
import sys
import threading
import uuid

import numpy as np
import pytest
from sqlalchemy import Connection, select

from foretwin.dataset.machine_names import slot_of
from foretwin.errors import BadInput, StoreAway
from foretwin.twin.ingest.ingest import Sending, ingest, ingest_within
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import open_store
from foretwin.twin.store.ownership.owner import PartitionOwner, share_of
from foretwin.twin.store.ownership.partitioning import (
    WHOLE,
    Partition,
    last_batch,
    rebalance,
    serialise_partitions,
    still_is,
)
from foretwin.twin.store.tables import assets, batches, readings
from foretwin.twin.store.telemetry import windows
from foretwin.twin.store.telemetry.windows import ReadingQuery
from foretwin.wire.decoder import decode
from foretwin.wire.tables import JSON
from support.stored_readings import NOON
from support.tiny_bundle import tiny_twin

TWIN = tiny_twin()
EVEN, ODD = "P-1", "P-2"  # of two partitions


@pytest.fixture
def url(postgres):
    return postgres.new_database(f"t{uuid.uuid4().hex}")


@pytest.fixture
def store(url):
    opened = open_store(url)
    yield opened
    opened.close()


def divide(store, count):
    with store.write() as connection:
        return rebalance(connection, count)


def send(store, *names, time=1.0):
    """One call with a reading of each of these."""
    cells = ",".join(f'"{name}":1.0' for name in TWIN.channel_names)
    bodies = [f'{{"asset":"{name}","time":{time},"channels":{{{cells}}}}}'.encode() for name in names]
    contracts = {TWIN.name: TWIN}
    return ingest(store, contracts, [decode(body, JSON, contracts, TWIN.name, None) for body in bodies], "http", NOON)


def owners(store, count):
    return [PartitionOwner(store) for _ in range(count)]


def numbers(owned):
    return [partition.number for partition in owned]


def test_the_names_of_these_tests_are_of_both_partitions():
    assert (slot_of(EVEN) % 2, slot_of(ODD) % 2) == (0, 1)


def test_all_spellings_of_a_name_have_its_slot():
    assert slot_of("pump-01") == slot_of(" PUMP-01 ") == slot_of("Pump-01")
    assert slot_of("7") == slot_of("007")
    shares = np.bincount([slot_of(f"machine-{i}") % 7 for i in range(7000)])
    assert shares.min() > 850
    assert shares.max() < 1150


def test_who_stores_readings_waits_for_those_of_the_same_partition_alone(store):
    send(store, EVEN, ODD)
    divide(store, 2)
    done = {name: threading.Event() for name in (EVEN, ODD)}

    def store_one(name):
        send(store, name, time=2.0)
        done[name].set()

    with store.write() as connection:
        serialise_partitions(connection, [slot_of(EVEN)])
        waiting = [threading.Thread(target=store_one, args=[name]) for name in done]
        for thread in waiting:
            thread.start()
        assert done[ODD].wait(20)
        assert not done[EVEN].is_set()
    for thread in waiting:
        thread.join(20)
    assert done[EVEN].is_set()


def test_a_call_about_machines_of_several_partitions_is_a_batch_of_each(store):
    divide(store, 2)
    send(store, EVEN, ODD)
    send(store, ODD, time=2.0)
    with store.read() as connection:
        assert sorted(connection.execute(select(batches.c.partition)).scalars()) == [0, 1, 1]
        of = select(assets.c.name, batches.c.partition).join(readings, readings.c.asset == assets.c.id)
        found = connection.execute(of.join(batches, batches.c.id == readings.c.batch)).all()
        newest = dict(connection.execute(select(assets.c.name, assets.c.batch)).all())
        assert newest == {EVEN: last_batch(connection, Partition(0, 2)), ODD: last_batch(connection, Partition(1, 2))}
    assert set(map(tuple, found)) == {(EVEN, 0), (ODD, 1)}


def test_a_duplicate_of_one_partition_leaves_no_batch_of_it(store):
    divide(store, 2)
    send(store, EVEN)
    assert send(store, EVEN, ODD).duplicates == 1
    with store.read() as connection:
        assert sorted(connection.execute(select(batches.c.partition)).scalars()) == [0, 1]


def test_a_reader_of_a_partition_sees_what_a_slower_writer_of_another_has_not_committed(store):
    """A batch that is numbered first and committed last would be lost to a reader of one order for all."""
    divide(store, 2)
    send(store, EVEN, ODD)
    seen, slow = threading.Event(), threading.Event()

    def store_slowly():
        with store.write() as connection:
            serialise_partitions(connection, [slot_of(EVEN)])
            connection.exec_driver_sql("SELECT nextval(pg_get_serial_sequence('batches', 'id'))")
            slow.set()
            seen.wait(20)
            one = decode(body(EVEN, 2.0), JSON, {TWIN.name: TWIN}, TWIN.name, None)
            ingest_within(connection, {TWIN.name: TWIN}, [one], Sending("http", "none", NOON))

    thread = threading.Thread(target=store_slowly)
    thread.start()
    slow.wait(20)
    send(store, ODD, time=2.0)
    upto = {number: upto_of(store, Partition(number, 2)) for number in (0, 1)}
    assert upto[1] > upto[0]
    seen.set()
    thread.join(20)
    with store.read() as connection:
        wanted = ReadingQuery(TWIN.name, TWIN.channel_names, last_batch(connection, Partition(0, 2)), Partition(0, 2))
        (news,) = windows.after(connection, wanted, upto[0], 100)
    assert news.time.tolist() == [2.0]


def body(name, time):
    cells = ",".join(f'"{channel}":1.0' for channel in TWIN.channel_names)
    return f'{{"asset":"{name}","time":{time},"channels":{{{cells}}}}}'.encode()


def upto_of(store, partition):
    with store.read() as connection:
        return last_batch(connection, partition)


def test_news_are_those_of_the_partition(store):
    send(store, EVEN, ODD)
    present = divide(store, 2)
    with store.read() as connection:
        known = dict(connection.execute(select(assets.c.name, assets.c.id)).all())
        found = [windows.with_news(connection, TWIN.name, one).asset.tolist() for one in present.all()]
        assert found == [[known[EVEN]], [known[ODD]]]
        # Nothing came since: what came before is up to the beginning of the partitions.
        assert {last_batch(connection, one) for one in present.all()} == {present.since}


def test_another_number_of_partitions_makes_all_of_them_other_ones(store):
    with store.write() as connection:
        assert still_is(connection, WHOLE)
    present = divide(store, 2)
    assert divide(store, 2) == present
    with store.write() as connection:
        assert not still_is(connection, WHOLE)
        assert still_is(connection, present.all()[1])
    send(store, EVEN)
    divide(store, 3)
    divide(store, 2)
    with store.write() as connection:
        assert not still_is(connection, present.all()[1])


def test_workers_share_the_partitions_and_never_own_one_together(store):
    divide(store, 5)
    one, two, three = owners(store, 3)
    assert numbers(one.renew()) == [0, 1, 2, 3, 4]
    assert numbers(two.renew()) == []  # the other has not let go
    assert len(one.renew()) in (2, 3)
    settle(one, two)
    assert sorted(numbers(one.renew()) + numbers(two.renew())) == [0, 1, 2, 3, 4]
    settle(three, one, two)
    shares = [numbers(owner.renew()) for owner in (one, two, three)]
    assert sorted(map(len, shares)) == [1, 2, 2]
    assert sorted(number for share in shares for number in share) == [0, 1, 2, 3, 4]
    two.close()  # the server notices in its own time
    wait_for(lambda: sorted(numbers(one.renew()) + numbers(three.renew())) == [0, 1, 2, 3, 4], "the two's partitions")
    assert not two.holds(Partition(0, 5))
    one.close()
    three.close()


def settle(*workers):
    for _ in range(2):
        for worker in workers:
            worker.renew()


def test_what_a_killed_worker_owned_is_taken_over(store, url):
    divide(store, 2)
    code = (
        "import sys, time; from foretwin.twin.store import open_store;"
        "from foretwin.twin.store.ownership.owner import PartitionOwner;"
        f"owner = PartitionOwner(open_store({url!r})); print(len(owner.renew()), flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "2\n"
    (mine,) = owners(store, 1)
    assert mine.renew() == ()
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    wait_for(lambda: len(mine.renew()) == 2, "what the killed one owned")
    mine.close()


def test_what_a_worker_lets_go_is_the_next_ones_before_the_server_has_ended_its_session(store, monkeypatch):
    one, other = owners(store, 2)
    assert one.renew() == (WHOLE,)
    sessions = []

    def leave(session):
        sessions.append(session)

    with monkeypatch.context() as late:
        late.setattr(Connection, "close", leave)
        one.close()
    assert other.renew() == (WHOLE,)
    other.close()
    sessions[0].close()


def test_a_worker_whose_session_ended_knows_that_it_owns_nothing(store):
    divide(store, 2)
    one, two = owners(store, 2)
    (first, _) = one.renew()
    assert one.holds(first)
    with store.write() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND classid = 7089"
        )
    wait_for(lambda: len(two.renew()) == 2, "what the other owned")
    with pytest.raises(StoreAway, match="terminat"):
        one.holds(first)
    assert two.holds(first)
    two.close()
    one.close()


@pytest.mark.parametrize(("rank", "workers", "partitions", "share"), [(0, 3, 4, 2), (2, 3, 4, 1), (3, 4, 2, 0)])
def test_shares_differ_by_one_at_most(rank, workers, partitions, share):
    assert share_of(rank, workers, partitions) == share
    assert sum(share_of(one, workers, partitions) for one in range(workers)) == partitions


def test_sqlite_has_one_partition(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/twins.db")
    with pytest.raises(BadInput, match="SQLite has one writer"):
        divide(store, 2)
    assert PartitionOwner(store).renew() == (WHOLE,)
    store.close()


def test_there_are_not_more_than_256(store):
    with pytest.raises(BadInput, match="1 to 256"):
        divide(store, 257)
