"""Contracts that ask only some of their questions."""

import pytest
from pydantic import ValidationError

from foretwin.contract.questions import asking, labelled_questions, questions_of
from foretwin.contract.twin import Twin
from support.tiny_bundle import REMEDY, tiny_twin

TABLE = {"kind": "table", "path": "p.csv", "asset": "a", "time": "t"}


def twin(**parts: object) -> Twin:
    return Twin.model_validate(tiny_twin().model_dump() | {"health": {"remedy": REMEDY}} | parts)


def test_health_is_a_question_that_needs_no_labels():
    assert questions_of(twin()) == ("rul", "mode", "bearing", "health")
    assert labelled_questions(twin()) == ("rul", "mode", "bearing")


def test_a_contract_that_asks_all_is_itself():
    assert asking(twin(), questions_of(twin())) == twin()


def test_what_is_not_asked_is_left_out_with_its_labels_and_limits():
    faults = {axis: {"column": axis, "values": {"1": name}} for axis, name in (("mode", "wear"), ("bearing", "worn"))}
    failures = {"path": "f.csv", "asset": "a", "time": "t", "mode": "m", "axis": "bearing", "values": {"w": "worn"}}
    policy = {"open_below": 4, "close_above": 8, "stale_after": 5}
    full = twin(source=TABLE | {"faults": faults}, cases=policy)
    few = asking(full, ["mode", "health"])
    assert questions_of(few) == ("mode", "health")
    assert few.source.faults.keys() == {"mode"}
    assert (few.cases.open_below, few.cases.stale_after) == (None, 5)
    assert few.window == full.window
    assert Twin.model_validate_json(few.model_dump_json()) == few
    logged = asking(twin(source=TABLE | {"failures": failures}), ["mode", "health"])
    assert (logged.source.failures.axis, logged.source.failures.path) == (None, "f.csv")
    kept = twin(retention={"readings": 90})
    assert asking(kept, ["health"]).retention == kept.retention


def test_the_shortest_window_stays_as_it_was():
    assert asking(twin(window={"length": 8}), ["health"]).window.shortest == 1


def test_a_contract_that_asks_nothing_is_refused():
    with pytest.raises(ValidationError, match="no output to predict"):
        asking(tiny_twin(), [])
