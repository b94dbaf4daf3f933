"""Verdicts: what each of them leaves in the store, and that a case has one alone."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import func, select

from foretwin.contract.twin import load_twin
from foretwin.errors import BadInput, Conflict, NotFound
from foretwin.twin.cases.board import acknowledge_case
from foretwin.twin.cases.feedback import Verdict, Work, give_verdict, record_maintenance
from foretwin.twin.store import assets, tables
from foretwin.twin.store.casework import audit, cases
from support.stored_case import NOON, store_case, store_readings

PUMP = load_twin(Path(__file__).parents[3] / "data" / "pump" / "twin.yaml")
CONTRACTS = {"pump": PUMP}
THRUST, IMPELLER = "mode.thrust_bearing", "mode.impeller_wear"
LATER = NOON + timedelta(hours=3)


def tell(store, case, now=LATER, actor="tessa", **told):
    return give_verdict(store, CONTRACTS, case.id, Verdict.model_validate(told), actor, now)


def rows(store, table, *columns: str) -> list[tuple]:
    with store.read() as connection:
        return [
            tuple(row) for row in connection.execute(select(*(table.c[name] for name in columns)).order_by(table.c.id))
        ]


def found(store, case):
    with store.read() as connection:
        return cases.find_case(connection, case.id), assets.find_asset(connection, "P-017")


def parts(store, asset_id: int) -> list[tuple]:
    with store.read() as connection:
        fitted = assets.fitted_parts(connection, asset_id)
    return [(part.part, part.serial_number, part.provenance) for part in fitted]


VERDICT = ("verdict", "fault", "run", "time", "note", "actor", "at")
WORK = ("kind", "part", "serial_number", "run", "time", "case", "actor", "at")


def test_confirmed_keeps_the_cases_fault_and_closes_the_case(store):
    case = store_case(store, PUMP, THRUST)

    answer = tell(store, case, verdict="confirmed", note="play of 0.4 mm")

    assert rows(store, tables.verdicts, *VERDICT) == [
        ("confirmed", THRUST, 1, 412.0, "play of 0.4 mm", "tessa", LATER),
    ]
    assert rows(store, tables.maintenance, "id") == []
    closed, asset = found(store, case)
    assert (closed.state, closed.closed_because, closed.closed_at, asset.run) == ("closed", "verdict", LATER, 1)
    assert answer == {
        "case": case.id,
        "asset": "P-017",
        "verdict": "confirmed",
        "fault": THRUST,
        "run": 1,
        "time": 412.0,
        "at": "2026-11-21T15:00:00Z",
        "part": None,
        "serial_number": None,
        "note": "play of 0.4 mm",
        "actor": "tessa",
        "next_run": None,
    }


def test_other_fault_keeps_the_one_that_was_found(store):
    case = store_case(store, PUMP, THRUST)

    tell(store, case, verdict="other_fault", fault=IMPELLER, time=400)

    assert rows(store, tables.verdicts, *VERDICT) == [("other_fault", IMPELLER, 1, 400.0, None, "tessa", LATER)]
    assert found(store, case)[0].closed_because == "verdict"


def test_no_fault_found_names_none(store):
    case = store_case(store, PUMP, THRUST)

    tell(store, case, verdict="no_fault_found")

    assert rows(store, tables.verdicts, *VERDICT) == [("no_fault_found", None, 1, 412.0, None, "tessa", LATER)]
    assert found(store, case)[1].run == 1


def test_a_replaced_part_is_fitted_and_begins_the_next_run(store):
    case = store_case(store, PUMP, THRUST)
    asset = found(store, case)[1]
    with store.write() as connection:
        assets.fit_part(connection, asset, "thrust bearing set", "TB-1", None, NOON)

    answer = tell(store, case, verdict="part_replaced", serial_number="TB-2", provenance="Acme, batch 9")

    assert rows(store, tables.verdicts, *VERDICT) == [("part_replaced", THRUST, 1, 412.0, None, "tessa", LATER)]
    assert rows(store, tables.maintenance, *WORK) == [
        ("part_replaced", "thrust bearing set", "TB-2", 1, 412.0, case.id, "tessa", LATER),
    ]
    assert parts(store, asset.id) == [("thrust bearing set", "TB-2", "Acme, batch 9")]
    assert found(store, case)[1].run == answer["next_run"] == 2


def test_a_part_of_another_fault_can_be_the_one_that_was_replaced(store):
    case = store_case(store, PUMP, THRUST)

    tell(store, case, verdict="part_replaced", fault=IMPELLER)

    assert rows(store, tables.verdicts, "fault") == [(IMPELLER,)]
    assert rows(store, tables.maintenance, "part", "serial_number") == [("impeller and wear rings", None)]


def test_the_end_of_a_life_without_a_named_fault_is_repaired_with_its_own_part(store):
    case = store_case(store, PUMP, "end_of_life", probability=None)

    tell(store, case, verdict="part_replaced", serial_number="K-3")

    assert rows(store, tables.verdicts, "fault") == [(None,)]
    assert rows(store, tables.maintenance, "part", "serial_number") == [("overhaul kit", "K-3")]


def test_a_run_that_ended_begins_the_next_one(store):
    case = store_case(store, PUMP, THRUST)

    answer = tell(store, case, verdict="run_ended", time=411.5)

    assert rows(store, tables.verdicts, *VERDICT) == [("run_ended", None, 1, 411.5, None, "tessa", LATER)]
    assert rows(store, tables.maintenance, *WORK) == [
        ("run_ended", None, None, 1, 411.5, case.id, "tessa", LATER),
    ]
    assert parts(store, case.asset) == []
    assert found(store, case)[1].run == answer["next_run"] == 2


def test_a_verdict_about_an_earlier_run_leaves_the_present_one(store):
    case = store_case(store, PUMP, THRUST)
    asset = found(store, case)[1]
    with store.write() as connection:
        assets.begin_run(connection, asset, 4)
        cases.close(connection, case, "new_run", "watch", NOON)
    store_readings(store, PUMP, asset.id, 4, [1.0, 2.0])

    tell(store, case, verdict="run_ended")

    closed, asset = found(store, case)
    assert (asset.run, closed.closed_because) == (4, "new_run")
    assert rows(store, tables.verdicts, "run", "time") == [(1, 412.0)]


def test_it_is_audited_and_told_before_the_case_closes(store):
    case = store_case(store, PUMP, THRUST)

    answer = tell(store, case, verdict="part_replaced", serial_number="TB-2")

    with store.read() as connection:
        newest = connection.execute(select(tables.events).order_by(tables.events.c.at.desc(), tables.events.c.id)).all()
        entries = audit.of_asset(connection, case.asset, None, None, 10)
    told = [event for event in newest if event.at == LATER]
    assert [(event.type, event.subject) for event in told] == [
        ("foretwin.verdict.given.v1", f"cases/{case.id}"),
        ("foretwin.case.closed.v1", f"cases/{case.id}"),
    ]
    assert told[0].data == answer
    given = next(entry for entry in entries if entry.action == "verdict.given")
    assert (given.actor, given.case, given.detail) == ("tessa", case.id, answer)


def test_the_same_verdict_again_has_the_first_answer_and_changes_nothing(store):
    case = store_case(store, PUMP, THRUST)
    told = {"verdict": "part_replaced", "serial_number": "TB-2", "provenance": "Acme"}
    first = tell(store, case, **told)

    again = tell(store, case, now=LATER + timedelta(hours=1), actor="tom", **told)

    assert again == first
    assert found(store, case)[1].run == 2
    for table in (tables.verdicts, tables.maintenance, tables.parts):
        assert len(rows(store, table, "id")) == 1


OTHER_VERDICTS = [
    {"verdict": "confirmed"},
    {"verdict": "part_replaced", "serial_number": "TB-3", "provenance": "Acme"},
    {"verdict": "part_replaced", "serial_number": "TB-2"},
    {"verdict": "part_replaced", "serial_number": "TB-2", "provenance": "Acme", "fault": IMPELLER},
    {"verdict": "part_replaced", "serial_number": "TB-2", "provenance": "Acme", "time": 300},
    {"verdict": "part_replaced", "serial_number": "TB-2", "provenance": "Acme", "note": "n"},
]


def test_another_verdict_is_a_conflict(store):
    case = store_case(store, PUMP, THRUST)
    tell(store, case, verdict="part_replaced", serial_number="TB-2", provenance="Acme")

    for other in OTHER_VERDICTS:
        with pytest.raises(Conflict, match="part_replaced"):
            tell(store, case, **other)

    assert rows(store, tables.verdicts, "verdict", "note") == [("part_replaced", None)]


def test_of_two_verdicts_at_once_one_is_a_conflict(store):
    case = store_case(store, PUMP, THRUST)
    answers = []

    def say(kind: str) -> None:
        try:
            answers.append(tell(store, case, verdict=kind)["verdict"])
        except Conflict:
            answers.append("conflict")

    threads = [threading.Thread(target=say, args=(kind,)) for kind in ("confirmed", "no_fault_found")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    ((kept,),) = rows(store, tables.verdicts, "verdict")
    assert sorted(answers) == sorted([kept, "conflict"])


UNFIT_VERDICTS = [
    ({"verdict": "other_fault"}, "fault"),
    ({"verdict": "other_fault", "fault": "mode.cavitation"}, "fault"),
    ({"verdict": "other_fault", "fault": "mode.none"}, "fault"),
    ({"verdict": "other_fault", "fault": THRUST}, "fault"),
    ({"verdict": "confirmed", "fault": IMPELLER}, "fault"),
    ({"verdict": "no_fault_found", "fault": IMPELLER}, "fault"),
    ({"verdict": "sensor_fault", "fault": IMPELLER}, "fault"),
    ({"verdict": "part_replaced", "fault": "bearing"}, "fault"),
    ({"verdict": "run_ended", "serial_number": "TB-2"}, "serial_number"),
    ({"verdict": "confirmed", "provenance": "Acme"}, "provenance"),
    ({"verdict": "confirmed", "time": 1.7e9}, "time"),
]


def test_a_verdict_that_does_not_fit_the_case_is_refused_and_leaves_nothing(store):
    case = store_case(store, PUMP, THRUST)

    for told, field in UNFIT_VERDICTS:
        with pytest.raises(BadInput) as refusal:
            tell(store, case, **told)
        assert refusal.value.field == field, told

    assert rows(store, tables.verdicts, "id") == []
    assert found(store, case)[0].state == "open"


@pytest.mark.parametrize(
    "told",
    [
        {"verdict": "perhaps"},
        {"verdict": "confirmed", "remark": "x"},
        {"verdict": "confirmed", "time": -1},
        {"verdict": "confirmed", "time": float("nan")},
        {"verdict": "confirmed", "time": "412"},
        {"verdict": "confirmed", "note": "\x00"},
        {"verdict": "part_replaced", "serial_number": ""},
    ],
)
def test_a_verdict_is_read_strictly(told):
    with pytest.raises(ValidationError):
        Verdict.model_validate(told)


def test_a_digest_and_a_case_that_is_not_there_have_no_verdict(store):
    with store.write() as connection:
        digest = cases.insert(
            connection, cases.NewCase("pump", None, None, "digest", "planned", None, {}), "watch", NOON
        )

    with pytest.raises(BadInput) as refusal:
        tell(store, digest, verdict="confirmed")
    assert refusal.value.field == "case"
    with pytest.raises(NotFound):
        give_verdict(store, CONTRACTS, 99, Verdict(verdict="confirmed"), "tessa", NOON)


def test_a_case_is_acknowledged_once_and_not_after_its_end(store):
    case = store_case(store, PUMP, THRUST)

    for _ in range(2):
        acknowledge_case(store, case.id, "tessa", LATER)
    acknowledged = found(store, case)[0]
    assert (acknowledged.state, acknowledged.acknowledged_at) == ("acknowledged", LATER)
    with store.read() as connection:
        query = select(func.count()).where(tables.events.c.type == "foretwin.case.acknowledged.v1")
        assert connection.execute(query).scalar_one() == 1

    tell(store, case, verdict="confirmed")
    with pytest.raises(Conflict):
        acknowledge_case(store, case.id, "tessa", LATER)


def record(store, now=LATER, **told):
    return record_maintenance(store, CONTRACTS, "P-017", Work.model_validate(told), "tessa", now)


def test_an_inspection_is_kept_and_ends_nothing(store):
    case = store_case(store, PUMP, THRUST)

    answer = record(store, kind="inspection", note="oil is clear")

    assert rows(store, tables.maintenance, *WORK) == [("inspection", None, None, 1, 412.0, None, "tessa", LATER)]
    assert answer["next_run"] is None
    assert found(store, case)[1].run == 1


def test_maintenance_without_a_case_fits_the_part_and_begins_the_next_run(store):
    case = store_case(store, PUMP, THRUST)

    answer = record(
        store, kind="part_replaced", part="radial bearing set", serial_number="RB-2", provenance="Acme", time=412.5
    )

    assert rows(store, tables.maintenance, *WORK) == [
        ("part_replaced", "radial bearing set", "RB-2", 1, 412.5, None, "tessa", LATER),
    ]
    assert parts(store, case.asset) == [("radial bearing set", "RB-2", "Acme")]
    assert found(store, case)[1].run == answer["next_run"] == 2
    with store.read() as connection:
        entry = audit.of_asset(connection, case.asset, None, None, 1)[0]
    assert (entry.action, entry.actor, entry.detail) == ("maintenance.recorded", "tessa", answer)


def test_a_run_that_ended_without_a_case_begins_the_next_one(store):
    case = store_case(store, PUMP, THRUST)

    record(store, kind="run_ended")

    assert rows(store, tables.maintenance, *WORK) == [("run_ended", None, None, 1, 412.0, None, "tessa", LATER)]
    assert found(store, case)[1].run == 2
    with pytest.raises(BadInput) as refusal:  # told twice: run 2 has no reading that it could end at
        record(store, kind="run_ended")
    assert refusal.value.field == "kind"


def test_a_part_fitted_before_the_first_reading_begins_no_run(store):
    with store.write() as connection:
        asset = assets.register_assets(connection, "pump", ["P-017"], NOON)["P-017"]

    answer = record(store, kind="part_replaced", part="overhaul kit", serial_number="K-1")

    assert (answer["time"], answer["next_run"]) == (0, None)
    assert parts(store, asset.id) == [("overhaul kit", "K-1", None)]
    with store.read() as connection:
        assert assets.find_asset(connection, "P-017").run == 1


UNFIT_WORK = [
    ({"kind": "part_replaced"}, "part"),
    ({"kind": "part_replaced", "part": "gearbox"}, "part"),
    ({"kind": "inspection", "part": "overhaul kit"}, "part"),
    ({"kind": "run_ended", "serial_number": "K-1"}, "serial_number"),
    ({"kind": "inspection", "time": 1e7}, "time"),
]


def test_maintenance_that_makes_no_sense_is_refused_by_its_field(store):
    store_case(store, PUMP, THRUST)

    for told, field in UNFIT_WORK:
        with pytest.raises(BadInput) as refusal:
            record(store, **told)
        assert refusal.value.field == field, told

    assert rows(store, tables.maintenance, "id") == []


def test_maintenance_of_an_unknown_asset_is_refused(store):
    with pytest.raises(NotFound):
        record(store, kind="inspection")
