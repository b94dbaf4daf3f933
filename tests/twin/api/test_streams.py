"""GET /v1/events: events as they happen, over a real server, and none missed by who comes back."""

import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx
import orjson
import pytest
from sqlalchemy.exc import IntegrityError

from foretwin.serving.access.authentication import Guard
from foretwin.serving.access.keys import KeyRequest, make_key, revoke_key
from foretwin.twin.api import streams
from foretwin.twin.outbox import feed as feeds
from foretwin.twin.outbox.feed import LONGEST_GAP, EventFeed
from foretwin.twin.store import open_store
from foretwin.twin.store.casework.events import Event, add_event
from foretwin.twin.store.tables import events
from support.live_project import assert_problem, live, living_project

pytestmark = pytest.mark.dated

BEGIN = "00000000-0000-7000-8000-000000000000"  # an id before all events


def happen(store, *numbers: int, twin: str = "pump") -> None:
    """Store events of a whole fleet with these numbers in their ids."""
    with store.write() as connection:
        for number in numbers:
            event_id = f"{number:08x}-0000-7000-8000-000000000000"
            now = datetime.now(UTC)
            add_event(connection, Event(event_id, now, "foretwin.case.opened.v1", twin, None, None, "cases/1", {}))


def told(lines) -> dict:
    """The next event of a stream."""
    found = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if name in ("id", "event", "data"):
            found[name] = value
        if not line and found:
            return found
    raise AssertionError("the stream ended")


def present(client, after: str = BEGIN, **headers) -> list[int]:
    """The numbers of the events that there are after one."""
    query = f"?wait=false&after={after}" if after else "?wait=false"
    answer = client.get(f"/v1/events{query}", headers=headers)
    assert answer.headers["content-type"].startswith("text/event-stream")
    return [int(line[4:12], 16) for line in answer.text.splitlines() if line.startswith("id: ")]


@contextmanager
def service(store, tmp_path, guard=None):
    with live(store, living_project(tmp_path / "project"), guard or Guard(None)) as client:
        yield client


def test_events_come_as_they_happen_and_a_silent_stream_stays(store, tmp_path, monkeypatch):
    monkeypatch.setenv("FORETWIN_PATIENCE", "1")
    with service(store, tmp_path) as client:
        happen(store, 1)
        with client.stream("GET", "/v1/events") as answer:
            lines = answer.iter_lines()
            assert next(lines) == "retry: 3000"
            time.sleep(2.5)  # longer than a client may be silent elsewhere
            happen(store, 2)
            one = told(lines)
        content = orjson.loads(one["data"])
        assert (one["id"][:8], one["event"]) == ("00000002", "foretwin.case.opened.v1")
        assert (content["specversion"], content["id"], content["source"]) == ("1.0", one["id"], "/foretwin/pump")
        happen(store, 4, 3)
        assert present(client, one["id"]) == [4, 3]  # in the order in which they were stored
        assert present(client, "", **{"Last-Event-ID": one["id"]}) == [4, 3]


def test_who_comes_back_after_his_last_event_has_aged_out_gets_what_is_newer(store, tmp_path, monkeypatch):
    monkeypatch.setattr(feeds, "LONGEST_GAP", 0.5)
    with service(store, tmp_path) as client:
        happen(store, 1, 2, 3, 5)
        with store.write() as connection:
            connection.execute(events.delete().where(events.c.id < f"{3:08x}"))
        assert present(client, f"{2:08x}-0000-7000-8000-000000000000") in ([3, 5], [])
        wait_until(lambda: present(client, f"{2:08x}-0000-7000-8000-000000000000") == [3, 5])
        assert present(client, "") == []
        happen(store, 6, twin="fan")
        assert len(client.get(f"/v1/events?wait=false&twin=fan&after={BEGIN}").text.split("id: ")) == 2
        assert_problem(client.get("/v1/events?after=7"), 422, "after", "no id of an event")


def wait_until(holds, seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never held"
        time.sleep(0.2)


def test_nothing_is_told_past_a_transaction_that_has_not_ended(store_url):
    if store_url.startswith("sqlite"):
        pytest.skip("SQLite has one writer at a time")
    store, now = open_store(store_url), [0.0]
    feed = EventFeed(lambda: now[0])

    def look() -> int:
        with store.read() as connection:
            return feed.look(connection)

    happen(store, 1)
    assert look() == 1
    late = threading.Event()
    begun = threading.Event()

    def slow() -> None:
        with store.write() as connection:
            at = datetime.now(UTC)
            event = Event(f"{2:08x}-0000-7000-8000-000000000000", at, "foretwin.a.v1", "pump", None, None, "a", {})
            add_event(connection, event)
            begun.set()
            late.wait(20)

    thread = threading.Thread(target=slow)
    thread.start()
    assert begun.wait(20)
    happen(store, 3)
    assert look() == 1
    late.set()
    thread.join()
    assert look() == 3
    with pytest.raises(IntegrityError):
        happen(store, 4, 4)  # takes a number, and is undone
    happen(store, 5)
    assert look() == 3
    now[0] = LONGEST_GAP + 1  # who has not committed by now never will
    assert look() == 5
    store.close()


def test_a_stream_ends_with_its_key_and_with_the_service(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "BEAT", 0.5)
    root = living_project(tmp_path / "project")
    keys = [
        {"Authorization": "Bearer " + make_key(root / "keys.json", KeyRequest(name, ["read"], 1e3, None), "ann", now)}
        for name, now in (("first", datetime.now(UTC)), ("second", datetime.now(UTC)))
    ]
    store = open_store(f"sqlite:///{root}/twins.db")
    ended = []
    with live(store, root, Guard(root / "keys.json")) as client:
        assert_problem(client.get("/v1/events"), 401, "Authorization")
        assert client.head("/v1/events", headers=keys[0]).status_code == 200

        def follow(name: str, key) -> None:
            url = f"{client.base_url}/v1/events"
            with httpx.stream("GET", url, headers=key, trust_env=False, timeout=30) as answer:
                for _ in answer.iter_lines():
                    pass
            ended.append(name)

        threads = [threading.Thread(target=follow, args=one) for one in zip(("first", "second"), keys, strict=True)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        assert ended == []
        revoke_key(root / "keys.json", "first", "ann", datetime.now(UTC))
        wait_until(lambda: ended == ["first"])
        begin = time.monotonic()
    for thread in threads:
        thread.join(20)
    assert ended == ["first", "second"]
    assert time.monotonic() - begin < 8, "calls that are under way have ten seconds; a stream is ended at once"
    store.close()
