"""What a planner is told: the part, its number, how to exchange it, and dates that are computed here by hand."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import orjson
import pytest
from sqlalchemy import delete

from foretwin.contract.twin import load_twin
from foretwin.errors import BadInput
from foretwin.twin.cases.service_request import as_text, service_request
from foretwin.twin.store import assets
from foretwin.twin.store.casework import cases
from foretwin.twin.store.scoring import scores
from foretwin.twin.store.tables import readings as reading_table
from foretwin.twin.store.tables import scores as score_table
from support.stored_case import NOON, store_case, store_readings
from support.tiny_bundle import tiny_twin

PUMP = load_twin(Path(__file__).parents[3] / "data" / "pump" / "twin.yaml")
THRUST = "mode.thrust_bearing"  # its part takes 48 h


def request(store, case, contract=PUMP, now: datetime = NOON) -> dict:
    with store.read() as connection:
        return service_request(connection, contract, case, now)


def test_a_request_names_part_serial_number_and_instruction(store):
    case = store_case(store, PUMP, THRUST)
    with store.write() as connection:
        asset = assets.find_asset(connection, "P-017")
        told = {"serial_number": "SN-4711", "location": "hall 3", "tags": {"line": "A"}}
        assets.describe_asset(connection, asset, told)
        assets.fit_part(connection, asset, "thrust bearing set", "TB-88", "Acme, batch 7", NOON - timedelta(days=300))
        assets.fit_part(connection, asset, "radial bearing set", "RB-12", None, NOON)

    document = request(store, case)

    assert document["asset"] == {"twin": "pump", "name": "P-017", **told}
    assert document["part"] == {
        "name": "thrust bearing set",
        "fitted": {"serial_number": "TB-88", "provenance": "Acme, batch 7", "fitted_at": "2026-01-25T12:00:00Z"},
    }
    assert document["instruction"] == PUMP.faults["mode"].classes["thrust_bearing"].instruction
    assert document["skills"] == ["pump mechanic"]
    assert document["lead_time"] == {"value": 48, "unit": "h"}
    fault = document["fault"]
    assert (fault["name"], fault["axis"], fault["title"], fault["probability"]) == (
        THRUST,
        "Dominant wear",
        "Dominant wear: thrust bearing",
        0.91,
    )
    assert fault["evidence"]["last_score"]["faults"] == {"mode": {"thrust_bearing": 0.91}}
    assert document["model"] == {"name": "foretwin-pump", "version": "3", "run": "run-of-pump"}
    assert document["links"] == {"case": f"/v1/cases/{case.id}"}
    assert orjson.loads(orjson.dumps(document)) == document


def test_dates_follow_from_reading_interval_and_lead_time(store):
    """The reading came at 11:58 (the score was made at noon, 120 s later); it has at least 60 h: 2 d 12 h."""
    document = request(store, store_case(store, PUMP, THRUST), now=NOON + timedelta(hours=1))

    assert document["rul"] == {"value": 100, "low": 60, "high": 130, "level": 0.9, "unit": "h"}
    assert document["latest_safe_date"] == "2026-11-23T23:58:00Z"
    assert document["remaining"] == {"value": 60, "unit": "h"}
    assert document["window"] == {
        "earliest": "2026-11-23T13:00:00Z",  # 13:00 and 48 h
        "latest": "2026-11-23T23:58:00Z",
        "late": False,
    }


def test_a_part_that_comes_after_the_latest_safe_date_is_late(store):
    case = store_case(store, PUMP, THRUST, rul_low=47.0, severity="urgent")

    document = request(store, case)

    assert document["window"] == {"earliest": "2026-11-23T12:00:00Z", "latest": None, "late": True}
    assert "the part comes too late, at the earliest 2026-11-23T12:00:00Z" in as_text(document)


def test_a_part_that_only_may_come_too_late_is_said_so(store):
    """The expected life of 100 h is longer than the 48 h of the part, its lower end is not."""
    case = store_case(store, PUMP, THRUST, rul_low=47.0, severity="planned")

    assert "| the part may come too late, at the earliest 2026-11-23T12:00:00Z |" in as_text(request(store, case))


def test_a_closed_case_has_no_dates(store):
    case = store_case(store, PUMP, THRUST)
    with store.write() as connection:
        cases.close(connection, case, "verdict", "ann", NOON)
        closed = cases.find_case(connection, case.id)

    document = request(store, closed)

    assert (document["state"], document["latest_safe_date"], document["remaining"]) == ("closed", None, None)
    assert document["window"] == {"earliest": None, "latest": None, "late": False}
    text = as_text(document)
    assert "| State | closed |" in text.splitlines()
    assert not any(word in text for word in ("safe date", "window", "None"))


HOURS = timedelta(hours=1)
STEADY = [(time, NOON - (412 - time) * HOURS) for time in range(350, 412)]


@pytest.mark.parametrize(
    ("earlier", "via", "dated"),
    [
        ([], "http", True),  # it has just begun to send
        ([], "file", False),
        ([(411, NOON - HOURS)], "file", True),  # a file each hour
        ([(411, NOON - timedelta(seconds=1))], "http", False),  # a replay
        (STEADY, "mqtt", True),
        ([(time, NOON - timedelta(seconds=412 - time)) for time in range(350, 412)], "mqtt", False),
        ([*STEADY[:-1], (411, NOON - timedelta(seconds=1))], "http", True),  # a message was held up on the way
        ([(time, NOON - 400 * HOURS) for time in range(300, 411)] + [(411, NOON - HOURS)], "http", True),  # an archive
        (STEADY[:31] + [(time, NOON - timedelta(seconds=1)) for time in range(381, 412)], "mqtt", True),  # in bursts
    ],
)
def test_dates_are_told_only_where_readings_came_as_they_were_taken(store, earlier, via, dated):
    case = store_case(store, PUMP, THRUST)
    with store.write() as connection:
        connection.execute(delete(score_table))
        connection.execute(delete(reading_table))
    for time, at in earlier:
        store_readings(store, PUMP, case.asset, 1, [float(time)], (via, at))
    store_readings(store, PUMP, case.asset, 1, [412.0], (via, NOON))

    document = request(store, case)

    assert (document["latest_safe_date"] is not None) == dated == (document["undated"] is None)
    assert document["remaining"] == {"value": 60, "unit": "h"}
    assert ("| Latest safe date | unknown: the reading" in as_text(document)) == (not dated)


def test_a_clock_that_counts_cycles_needs_no_dates(store):
    engine = tiny_twin("engine")
    engine = engine.model_copy(update={"clock": engine.clock.model_copy(update={"unit": "cycle"})})

    assert request(store, store_case(store, engine, "mode.wear", rul_low=5.0), engine)["undated"] is None


def test_the_number_stays_until_the_severity_changes(store):
    case = store_case(store, PUMP, THRUST)

    first, later = request(store, case), request(store, case, now=NOON + timedelta(hours=5))

    assert first["number"] == later["number"] == f"SR-{case.id}-planned"
    assert request(store, replace(case, severity="urgent"))["number"] == f"SR-{case.id}-urgent"


def test_an_end_of_life_without_a_named_fault_calls_for_the_overhaul(store):
    document = request(store, store_case(store, PUMP, "end_of_life", probability=None))

    assert document["part"] == {"name": "overhaul kit", "fitted": None}
    assert document["fault"]["axis"] is None
    assert document["fault"]["title"] == "Near the end of its life"


@pytest.mark.parametrize(("rul_low", "late"), [(5.0, False), (1.0, True)])
def test_a_clock_that_counts_cycles_gives_what_remains_and_no_dates(store, rul_low, late):
    engine = tiny_twin("engine")
    engine = engine.model_copy(update={"clock": engine.clock.model_copy(update={"unit": "cycle"})})

    document = request(store, store_case(store, engine, "mode.wear", rul_low=rul_low), engine)  # 2 cycles of lead time

    assert document["latest_safe_date"] is None
    assert document["remaining"] == {"value": rul_low, "unit": "cycle"}
    assert document["window"] == {"earliest": None, "latest": None, "late": late}
    assert ("too late" in as_text(document)) == late


def test_a_twin_without_rul_has_a_window_with_no_end(store):
    rig = tiny_twin("rig", rul=False)
    case = store_case(store, rig, "mode.leak", rul=None, rul_low=None, rul_high=None)

    document = request(store, case, rig)

    assert (document["rul"], document["latest_safe_date"], document["remaining"]) == (None, None, None)
    assert document["window"] == {"earliest": "2026-11-21T14:00:00Z", "latest": None, "late": False}
    assert "Remaining life" not in as_text(document)


def test_the_text_says_the_same_to_a_person(store):
    case = store_case(store, PUMP, THRUST)
    with store.write() as connection:
        asset = assets.find_asset(connection, "P-017")
        assets.describe_asset(connection, asset, {"serial_number": "SN-4711"})
        (score,) = scores.history(connection, asset.id, None, None, 10)
        scores.add_scores(connection, [replace(score, warnings=["vibration beyond what it was trained on"])])

    text = as_text(request(store, case))

    assert text.startswith(f"# Service request SR-{case.id}-planned\n")
    for line in (
        "| Asset | P-017, serial number SN-4711 |",
        "| Fault | Dominant wear: thrust bearing, probability 91% |",
        "| Remaining life | 100 h, from 60 to 130 (90% interval) |",
        "| Proposed window | from 2026-11-23T12:00:00Z to 2026-11-23T23:58:00Z |",
        "| Part | thrust bearing set |",
        "| Model | foretwin-pump, version 3, run run-of-pump |",
        "- vibration beyond what it was trained on",
    ):
        assert line in text.splitlines()
    assert "Lower the speed until the exchange" in text
    assert "None" not in text


def test_a_digest_and_a_fault_that_is_no_longer_known_are_refused(store):
    case = store_case(store, PUMP, THRUST)
    with store.write() as connection:
        digest = cases.insert(
            connection, cases.NewCase("pump", None, None, "digest", "planned", None, {}), "watch", NOON
        )

    for wrong in (digest, replace(case, fault="mode.cavitation")):
        with pytest.raises(BadInput) as refusal:
            request(store, wrong)
        assert refusal.value.field == "case"
