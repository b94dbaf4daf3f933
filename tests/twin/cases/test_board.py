"""The board of cases: who looks after one, until when it rests, for when it is planned, and its latest safe date."""

import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foretwin.contract.twin import load_twin
from foretwin.errors import BadInput, Conflict, NotFound
from foretwin.serving.access.bounds import Bounds
from foretwin.twin.cases import board
from foretwin.twin.cases.apply import review
from foretwin.twin.cases.board import Assignment, Comment, Move, Rest
from foretwin.twin.cases.feedback import Verdict, give_verdict
from foretwin.twin.cases.service_request import service_request
from foretwin.twin.data_export import export_asset
from foretwin.twin.store import assets, erasure, listing
from foretwin.twin.store.casework import cases, comments
from foretwin.twin.store.scoring import scores
from foretwin.twin.store.scoring.scores import Score
from foretwin.twin.store.summaries import case_comments
from foretwin.twin.timeline import thread
from support.stored_case import NOON, store_case, store_readings
from support.stored_readings import count

PUMP = load_twin(Path(__file__).parents[3] / "data" / "pump" / "twin.yaml")
FAULT = "mode.thrust_bearing"
MINUTE = timedelta(minutes=1)
LATER = NOON + timedelta(hours=3)
PLANNED = NOON + timedelta(days=2)


def found(store, number: int):
    with store.read() as connection:
        return cases.find_case(connection, number)


def entries(store, name: str = "P-017"):
    with store.read() as connection:
        return thread(connection, PUMP, assets.find_asset(connection, name), None, None, 100)


def test_a_case_goes_over_the_board_and_each_step_is_on_record(store):
    case = store_case(store, PUMP, FAULT)
    board.move_case(store, case.id, Move(state="planned", planned_for=PLANNED), "ann", NOON + MINUTE)
    board.assign_case(store, case.id, Assignment(person="bert"), "ann", NOON + 2 * MINUTE)
    board.rest_case(store, case.id, Rest(until=LATER, reason="the hall is closed"), "ann", NOON + 3 * MINUTE)
    told = found(store, case.id)
    assert (told.state, told.planned_for, told.assignee) == ("planned", PLANNED, "bert")
    assert (told.snoozed_until, told.snoozed_because) == (LATER, "the hall is closed")
    assert told.acknowledged_at == NOON + MINUTE
    steps = [(one["action"], one["actor"]) for one in entries(store) if one["kind"] == "case"]
    assert steps == [("opened", "watch"), ("moved", "ann"), ("assigned", "ann"), ("snoozed", "ann")]
    board.acknowledge_case(store, case.id, "ann", NOON)
    assert found(store, case.id).state == "planned", "what has gone on is not taken back"
    board.rest_case(store, case.id, Rest(), "ann", NOON)
    board.move_case(store, case.id, Move(state="waiting_for_part"), "ann", NOON)
    told = found(store, case.id)
    assert (told.state, told.planned_for, told.snoozed_until, told.snoozed_because) == (
        "waiting_for_part",
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("act", "field"),
    [
        (lambda s, n: board.move_case(s, n, Move(state="planned"), "ann", NOON), "planned_for"),
        (
            lambda s, n: board.move_case(
                s, n, Move(state="planned", planned_for=NOON - timedelta(days=1)), "ann", LATER
            ),
            "planned_for",
        ),
        (lambda s, n: board.rest_case(s, n, Rest(until=NOON, reason="no"), "ann", NOON), "until"),
        (lambda s, n: board.rest_case(s, n, Rest(until=LATER), "ann", NOON), "reason"),
        (lambda s, n: board.rest_case(s, n, Rest(reason="no"), "ann", NOON), "until"),
    ],
)
def test_what_is_missing_is_named(store, act, field):
    case = store_case(store, PUMP, FAULT)
    with pytest.raises(BadInput) as refused:
        act(store, case.id)
    assert refused.value.field == field
    assert found(store, case.id) == case


def test_a_closed_case_is_not_moved_but_may_be_commented_on(store):
    case = store_case(store, PUMP, FAULT)
    give_verdict(store, {"pump": PUMP}, case.id, Verdict(verdict="confirmed"), "ann", NOON)
    for act in (
        lambda: board.move_case(store, case.id, Move(state="open"), "ann", NOON),
        lambda: board.assign_case(store, case.id, Assignment(person=None), "ann", NOON),
        lambda: board.acknowledge_case(store, case.id, "ann", NOON),
    ):
        with pytest.raises(Conflict):
            act()
    assert board.add_comment(store, case.id, Comment(text="it was the seal"), "ann", NOON)["asset"] == "P-017"
    with pytest.raises(NotFound):
        board.add_comment(store, 99, Comment(text="nothing"), "ann", NOON)


def test_comments_are_in_timeline_and_export_and_go_with_the_asset(store, tmp_path, monkeypatch):
    case = store_case(store, PUMP, FAULT)
    store_case(store, PUMP, FAULT, "P-018")
    board.add_comment(store, case.id, Comment(text="noisy since Monday"), "ann", NOON)
    board.add_comment(store, case.id + 1, Comment(text="as P-017 was"), "ann", NOON)
    assert [one["text"] for one in entries(store) if one["kind"] == "comment"] == ["noisy since Monday"]
    assert not [one for one in entries(store) if one.get("action") == "case.commented"], "it is told once"
    out = export_asset(store, tmp_path, {"pump": PUMP}, "P-017", tmp_path / "copy.zip", NOON)
    assert b"noisy since Monday" in zipfile.ZipFile(out).read("case_comments.json")
    monkeypatch.setattr(board, "MOST_COMMENTS", 1)
    with pytest.raises(Conflict):
        board.add_comment(store, case.id, Comment(text="again"), "ann", NOON)
    with store.write() as connection:
        erasure.erase(connection, assets.find_asset(connection, "P-017"))
    with store.read() as connection:
        (left,) = comments.comments_on(connection, case.id + 1)
    assert count(store, case_comments) == 1
    assert "P-017" not in left["text"]


def test_an_urgent_case_wakes(store):
    case = store_case(store, PUMP, FAULT)
    board.rest_case(store, case.id, Rest(until=PLANNED, reason="strike"), "ann", NOON)
    with store.write() as connection:
        asset = assets.by_id(connection, [case.asset])[case.asset]
        said = {"faults": {"mode": {"thrust_bearing": 0.9}}, "diagnosis": {}, "warnings": []}
        urgent = Score(asset.id, 1, 413.0, case.model, LATER, 0.0, 60, 30.0, 10.0, 50.0, **said)
        assert review(connection, PUMP, [urgent], {asset.id: asset}, LATER) == [case.id]
    assert (found(store, case.id).severity, found(store, case.id).snoozed_until) == ("urgent", None)


def test_the_safe_date_follows_the_scores_and_is_that_of_the_service_request(store):
    case = store_case(store, PUMP, FAULT)
    store_readings(store, PUMP, case.asset, 1, [413.0, 414.0], ("http", LATER))
    with store.write() as connection:
        asset = assets.by_id(connection, [case.asset])[case.asset]
        said = {"faults": {"mode": {"thrust_bearing": 0.9}}, "diagnosis": {}, "warnings": []}
        later = Score(asset.id, 1, 414.0, case.model, LATER, 60.0, 60, 120.0, 90.0, 125.0, **said)
        scores.add_scores(connection, [later])
        review(connection, PUMP, [later], {asset.id: asset}, LATER)
    told = found(store, case.id)
    assert told.latest_safe_date == LATER - timedelta(seconds=60) + timedelta(hours=90)
    with store.read() as connection:
        assert datetime.fromisoformat(service_request(connection, PUMP, told, LATER)["latest_safe_date"]) == (
            replace(told).latest_safe_date
        )


def test_a_case_of_readings_that_ran_ahead_says_why_it_has_no_date(store):
    case = store_case(store, PUMP, FAULT)
    store_readings(store, PUMP, case.asset, 1, [500.0], ("http", NOON + timedelta(minutes=1)))
    with store.write() as connection:
        asset = assets.by_id(connection, [case.asset])[case.asset]
        said = {"faults": {"mode": {"radial_bearing": 0.95}}, "diagnosis": {}, "warnings": []}
        ahead = Score(asset.id, 1, 500.0, case.model, LATER, 0.0, 60, 120.0, 90.0, 125.0, **said)
        review(connection, PUMP, [ahead], {asset.id: asset}, LATER)
        (opened,) = [one for one in cases.open_of(connection, [asset.id])[asset.id] if one.fault != FAULT]
    assert (opened.latest_safe_date, opened.undated) == (None, "the readings came faster than they were taken")


def test_the_list_is_by_the_safe_date_and_knows_who_rests(store):
    dates = {"P-1": 90.0, "P-2": 30.0, "P-3": 60.0}
    numbers = {name: store_case(store, PUMP, FAULT, name, rul_low=low).id for name, low in dates.items()}
    with store.write() as connection:
        for name in ("P-2", "P-3"):
            case = cases.find_case(connection, numbers[name])
            at = NOON + timedelta(hours=dates[name])
            cases.change_case(connection, case, "assigned", {"assignee": name, "latest_safe_date": at}, "ann", NOON)
    board.rest_case(store, numbers["P-3"], Rest(until=PLANNED, reason="no crew"), "ann", NOON)

    def names(**filters) -> list[str]:
        page = listing.Page(2, 0, "latest_safe_date", descending=False)
        with store.read() as connection:
            first = listing.list_cases(connection, page, filters)
            rest = listing.list_cases(connection, replace(page, after=first.cursors[-1]), filters) if first else []
        return [one["asset_name"] for one in [*first, *rest]]

    assert names() == ["P-2", "P-3", "P-1"], "without a date comes last"
    assert names(awake=NOON) == ["P-2", "P-1"]
    assert names(resting=NOON) == ["P-3"]
    assert names(awake=PLANNED) == ["P-2", "P-3", "P-1"], "its rest is over"
    assert names(assignee="P-2") == ["P-2"]
    assert names(due_before=NOON + timedelta(hours=31)) == ["P-2"]
    assert names(due_since=NOON + timedelta(hours=31)) == ["P-3"]


def test_past_cases_say_how_they_ended_within_the_bounds(store):
    first, second, other = (store_case(store, PUMP, FAULT, name) for name in ("P-1", "P-2", "P-3"))
    told = Verdict(verdict="part_replaced", note="worn", time=420.0)
    give_verdict(store, {"pump": PUMP}, first.id, told, "ann", NOON)
    give_verdict(store, {"pump": PUMP}, other.id, Verdict(verdict="no_fault_found"), "ann", NOON)
    with store.read() as connection:
        both = comments.ended_like(connection, second, Bounds(), 10)
        one = comments.ended_like(connection, second, Bounds(assets=("P-1",)), 10)
    assert [(row["asset_name"], row["verdict"], row["note"], row["lasted"]) for row in both] == [
        ("P-3", "no_fault_found", None, 0.0),
        ("P-1", "part_replaced", "worn", 8.0),
    ]
    assert [row["asset_name"] for row in one] == ["P-1"]


@pytest.mark.parametrize("text", ["monday", "2026-13-01", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00"])
def test_a_moment_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match=r"is \"|is no year"):
        Move(state="planned", planned_for=text)


def test_a_day_is_a_moment():
    assert Move(state="planned", planned_for="2026-12-01").planned_for == datetime(2026, 12, 1, tzinfo=UTC)
