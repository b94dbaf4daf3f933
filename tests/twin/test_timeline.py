"""The thread of one asset, and what was known of it at a moment of the past."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from foretwin.champion.identity import ModelIdentity
from foretwin.errors import BadInput
from foretwin.twin.cases.feedback import Verdict, give_verdict
from foretwin.twin.ingest.ingest import ingest
from foretwin.twin.store import assets
from foretwin.twin.store.casework import audit, cases
from foretwin.twin.store.casework.cases import NewCase
from foretwin.twin.store.scoring import scores
from foretwin.twin.store.scoring.scores import Score
from foretwin.twin.timeline import state, thread
from foretwin.wire.decoder import decode
from support.live_project import PUMP, message

pytestmark = pytest.mark.dated

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HEALTHY = {"mode": "healthy", "bearing": "good"}


def put(store, now, **sent):
    body = orjson.dumps(message(**sent))
    ingest(
        store,
        {"pump": PUMP},
        [decode(body, "application/json", {"pump": PUMP}, "pump", "P-1")],
        "file",
        now,
        begins="any",
    )


def said(asset, time, rul, now, model, diagnosis=HEALTHY) -> Score:
    faults = {"mode": {"healthy": 1.0}, "bearing": {"good": 1.0}}
    rul = float(rul)
    return Score(asset.id, 1, float(time), model, now, 0.5, 3, rul, rul - 1, rul + 1, faults, dict(diagnosis), [])


def model(connection, version="1") -> int:
    return scores.model_id(connection, "pump", ModelIdentity("foretwin-pump", version, "run", f"d{version}"), "c", NOON)


@pytest.fixture
def asset(store):
    """An asset with 40 readings, one received each minute from noon on."""
    for i in range(40):
        put(store, NOON + timedelta(minutes=2 * i), count=1, start=i + 1)
    with store.read() as connection:
        return assets.find_asset(connection, "P-1")


def entries(store, asset, kind=None, since=None, until=None, limit=1000):
    with store.read() as connection:
        found = thread(connection, PUMP, asset, since, until, limit)
    assert [one["at"] for one in found] == sorted(one["at"] for one in found)
    return [one for one in found if kind is None or one["kind"] == kind]


def test_readings_are_summed_up_per_hour_of_receipt(store, asset):
    first, second = entries(store, asset, "readings")
    assert (first["count"], first["first_time"], first["last_time"], first["run"]) == (30, 1, 30, 1)
    assert (first["since"], first["at"]) == (NOON, NOON + timedelta(minutes=58))
    assert (second["count"], second["first_time"], second["last_time"]) == (10, 31, 40)


def test_a_new_run_is_summed_up_on_its_own(store, asset):
    put(store, NOON + timedelta(minutes=79), count=2, run=2)
    assert [(one["run"], one["count"]) for one in entries(store, asset, "readings")] == [(1, 30), (1, 10), (2, 2)]


def test_of_the_scores_those_are_shown_that_say_something_new(store, asset):
    moments = [NOON + timedelta(minutes=i) for i in range(10)]
    with store.write() as connection:
        old, new = model(connection), model(connection, "2")
        worn = HEALTHY | {"mode": "wear"}
        lives = [90, 85, 80.5, 79, 78, 78, 78, 77, 76, 75]  # the cap is 100: 79 is the first that is 10 below 90
        told = [(old, HEALTHY)] * 4 + [(old, HEALTHY), (old, worn), (new, worn), (new, worn), (new, worn), (new, worn)]
        given = zip(lives, moments, told, strict=True)
        scores.add_scores(connection, [said(asset, i + 1, life, at, *one) for i, (life, at, one) in enumerate(given)])
    shown = entries(store, asset, "score")
    assert [(one["time"], one["because"]) for one in shown] == [
        (1, "first"),
        (4, "rul"),
        (6, "diagnosis"),
        (7, "model"),
        (10, "last"),
    ]
    assert shown[3]["model"] == {"name": "foretwin-pump", "version": "2"}
    assert (shown[1]["rul"], shown[1]["rul_low"], shown[1]["rul_high"]) == (79, 78, 80)


def test_only_the_newest_entries_are_told_where_there_are_more(store, asset):
    with store.write() as connection:
        for i in range(5):
            audit.record(connection, "ann", f"note.{i}", {}, NOON + 3 * HOUR + timedelta(minutes=i), asset=asset.id)
    assert [one["action"] for one in entries(store, asset, limit=3)] == ["note.2", "note.3", "note.4"]
    assert len(entries(store, asset, since=NOON + 2 * HOUR)) == 5
    assert entries(store, asset, "audit", until=NOON + 2 * HOUR) == []
    assert [one["count"] for one in entries(store, asset, until=NOON + timedelta(minutes=10))] == [6]


@pytest.fixture
def case(store, asset):
    """A case that opened at one, became urgent at two and closed with a new part at three."""
    with store.write() as connection:
        new = NewCase("pump", asset.id, 1, "mode.wear", "planned", None, {})
        opened = cases.insert(connection, new, "watch", NOON + HOUR)
    with store.write() as connection:
        cases.escalate(connection, opened, None, "watch", NOON + 2 * HOUR)
    with store.write() as connection:
        cases.mark_acknowledged(connection, cases.find_case(connection, opened.id), "ann", NOON + 2.5 * HOUR)
    verdict = Verdict(verdict="part_replaced", serial_number="N-1")
    give_verdict(store, {"pump": PUMP}, opened.id, verdict, "ann", NOON + 3 * HOUR)
    return opened


def test_what_was_done_is_told_once_each_with_who_did_it(store, asset, case):
    done = [one for one in entries(store, asset) if one["kind"] not in ("readings", "score")]
    assert [(one["action"], one["actor"]) for one in done if one["kind"] == "case"] == [
        ("opened", "watch"),
        ("escalated", "watch"),
        ("acknowledged", "ann"),
        ("closed", "ann"),
    ]
    others = sorted((one["kind"], one.get("action"), one.get("actor")) for one in done if one["kind"] != "case")
    assert others == [("maintenance", "part_replaced", "ann"), ("part", "fitted", None), ("verdict", None, "ann")]
    (part,) = [one for one in done if one["kind"] == "part"]
    assert (part["part"], part["serial_number"]) == ("P-1", "N-1")
    assert {one["fault"] for one in done if one["kind"] == "case"} == {"mode.wear"}


def known(store, asset, at):
    with store.read() as connection:
        return state(connection, PUMP, asset, at, NOON + 24 * HOUR)


def test_the_state_is_what_was_known_then(store, asset, case):
    with store.write() as connection:
        number = model(connection)
        scores.add_scores(connection, [said(asset, 20, 50, NOON + timedelta(minutes=40), number)])
        scores.add_scores(connection, [said(asset, 40, 30, NOON + timedelta(minutes=80), number)])
    early = known(store, asset, NOON + timedelta(minutes=41))
    assert (early["reading"]["time"], early["score"].rul) == (21, 50)
    assert (early["open_cases"], early["parts"], early["age_seconds"]) == ([], [], 60)
    later = known(store, asset, NOON + 1.5 * HOUR)
    assert (later["reading"]["time"], later["score"].rul) == (40, 30)
    states = {hours: known(store, asset, NOON + hours * HOUR) for hours in (1.5, 2.2, 2.7, 3.5)}
    open_cases = {
        hours: [(one["severity"], one["state"]) for one in found["open_cases"]] for hours, found in states.items()
    }
    assert open_cases == {
        1.5: [("planned", "open")],
        2.2: [("urgent", "open")],
        2.7: [("urgent", "acknowledged")],
        3.5: [],
    }
    assert [part.serial_number for part in states[3.5]["parts"]] == ["N-1"]


def test_before_the_first_reading_nothing_was_known(store, asset):
    assert known(store, asset, NOON - HOUR) == {
        "at": NOON - HOUR,
        "stale": False,
        "age_seconds": None,
        "reading": None,
        "score": None,
        "parts": [],
        "open_cases": [],
    }


def test_a_past_silence_was_stale(store, asset):
    strict = PUMP.model_copy(update={"cases": PUMP.cases.model_copy(update={"stale_after": 1.0})})
    with store.read() as connection:
        soon, late = (state(connection, strict, asset, NOON + hours * HOUR, NOON + 24 * HOUR) for hours in (2, 3))
    assert (soon["stale"], late["stale"]) == (False, True)


def test_the_future_is_refused(store, asset):
    with pytest.raises(BadInput, match="future"):
        known(store, asset, NOON + 25 * HOUR)
