"""The decisions in the store: rows, audit entries and events of each change, and the digest of too many at once."""

import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy import event as sql_event

from foretwin.champion.identity import ModelIdentity
from foretwin.contract.policy import CasePolicy
from foretwin.contract.twin import load_twin
from foretwin.errors import Conflict, NotFound
from foretwin.twin.cases import feedback
from foretwin.twin.cases.apply import review
from foretwin.twin.cases.feedback import Verdict
from foretwin.twin.cases.rules import remedy_of
from foretwin.twin.store import assets as registered
from foretwin.twin.store import open_store
from foretwin.twin.store.casework import audit, cases
from foretwin.twin.store.casework.waiting import list_waiting
from foretwin.twin.store.scoring import scores
from foretwin.twin.store.scoring.scores import Score
from foretwin.twin.store.summaries import waiting_faults
from foretwin.twin.store.tables import assets, batches, events, layouts, readings
from foretwin.twin.store.tables import audit as audit_table
from foretwin.twin.store.tables import cases as case_table
from support.store_costs import counted
from support.tiny_bundle import tiny_twin

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
PUMP = load_twin(Path(__file__).parents[3] / "data" / "pump" / "twin.yaml")  # opens at 72 h, closes above 96 h
TINY = tiny_twin(name="tiny")
THRUST, RADIAL = "mode.thrust_bearing", "mode.radial_bearing"


class Fleet:
    """Assets P-1, P-2, ... of one twin; `score` stores the scores of some of them and reviews their cases."""

    def __init__(self, store, contract=PUMP, count=1):
        self.store, self.contract = store, contract
        with store.write() as connection:
            rows = [
                {"twin": contract.name, "name": f"P-{i + 1}", "tags": {}, "registered_at": NOON} for i in range(count)
            ]
            connection.execute(insert(assets), rows)
            names = dict(
                connection.execute(select(assets.c.name, assets.c.id).where(assets.c.twin == contract.name)).all()
            )
            self.ids = [names[row["name"]] for row in rows]
            connection.execute(insert(batches).values(received_at=NOON, via="file"))
            layout = {"twin": contract.name, "channels": ",".join(contract.channel_names)}
            self.layout = connection.execute(insert(layouts).values(layout).returning(layouts.c.id)).scalar_one()
            self.batch = connection.execute(select(func.max(batches.c.id))).scalar_one()
            identity = ModelIdentity("foretwin-pump", "3", "a-run", "a-digest")
            self.model = scores.model_id(connection, contract.name, identity, "a-contract", NOON)

    def said(self, rul_low, which=0, hour=0, run=1, **faults):
        """A score; faults are the probabilities of classes of the first axis."""
        rul = None if rul_low is None else min(rul_low + 10, self.contract.rul.cap)
        known = {axis: dict.fromkeys(self.contract.classes(axis), 0.0) for axis in self.contract.axes}
        known[self.contract.axes[0]] |= faults
        end = (rul, rul_low, rul)
        return Score(self.ids[which], run, 100.0 + hour, self.model, NOON + hour * HOUR, 1.0, 60, *end, known, {}, [])

    def score(self, *said, hour=0):
        with self.store.write() as connection:
            return self.review(connection, said, hour)

    def review(self, connection, said, hour=0):
        row = {"batch": self.batch, "layout": self.layout, "channels": b""}
        for one in said:
            key = (readings.c.asset == one.asset, readings.c.run == one.run, readings.c.time == one.time)
            if connection.execute(select(readings.c.batch).where(*key)).first() is None:
                connection.execute(insert(readings).values(asset=one.asset, run=one.run, time=one.time, **row))
        scores.add_scores(connection, said)
        known = registered.by_id(connection, {one.asset for one in said})
        return review(connection, self.contract, said, known, NOON + hour * HOUR)

    def cases(self, *columns):
        """Every case of the twin in order of number, whole or these columns."""
        with self.store.read() as connection:
            query = select(*(case_table.c[name] for name in columns)) if columns else select(case_table)
            rows = connection.execute(
                query.where(case_table.c.twin == self.contract.name).order_by(case_table.c.id)
            ).all()
        return [row[0] for row in rows] if len(columns) == 1 else rows

    def told(self):
        """The types of all events, in order, and the actions of all audit entries."""
        with self.store.read() as connection:
            types = connection.execute(select(events.c.type).order_by(events.c.at, events.c.id)).scalars().all()
            actions = connection.execute(select(audit_table.c.action).order_by(audit_table.c.id)).scalars().all()
        return [one.removeprefix("foretwin.").removesuffix(".v1") for one in types], list(actions)

    def waiting(self):
        """What the open digest lists."""
        with self.store.read() as connection:
            listed = list_waiting(connection, self.contract.name)
            digest = cases.open_of_fleet(connection, self.contract.name, "digest")
        assert (digest is not None) == bool(listed)
        return listed


def limited(contract, most):
    return contract.model_copy(update={"cases": CasePolicy(**contract.cases.model_dump() | {"new_per_hour": most})})


@contextmanager
def counted_statements(store):
    """A list that grows with each statement that is sent to the store."""
    seen = []

    def see(connection, cursor, statement, *_):
        seen.append(statement)

    sql_event.listen(store.engine, "before_cursor_execute", see)
    yield seen
    sql_event.remove(store.engine, "before_cursor_execute", see)


def test_a_case_opens_with_its_numbers_its_entry_and_its_events(store):
    fleet = Fleet(store)
    changed = fleet.score(fleet.said(90, thrust_bearing=0.9))
    (case,) = fleet.cases()
    assert changed == [case.id]
    assert (case.twin, case.asset, case.run, case.fault) == ("pump", fleet.ids[0], 1, THRUST)
    assert (case.state, case.severity, case.opened_at, case.opened_time) == ("open", "planned", NOON, 100)
    assert (case.rul, case.rul_low, case.rul_high, case.probability) == (100, 90, 100, 0.9)
    assert (case.time, case.scored_at, case.model) == (100, NOON, fleet.model)
    assert case.evidence["faults"]["mode"]["thrust_bearing"] == 0.9
    assert case.evidence["limits"] == {"rul_low": 72, "probability": 0.8}
    assert fleet.told() == (["case.opened", "service_request.issued"], ["case.opened"])
    with store.read() as connection:
        (entry,) = audit.of_asset(connection, case.asset, None, None, 10)
        told = connection.execute(select(events)).all()
    assert (entry.actor, entry.action, entry.case, entry.at) == ("watch", "case.opened", case.id, NOON)
    assert entry.detail == {"fault": THRUST, "severity": "planned", "run": 1}
    assert {(row.twin, row.asset, row.subject) for row in told} == {("pump", case.asset, f"cases/{case.id}")}
    by_type = {row.type: row.data for row in told}
    assert by_type["foretwin.case.opened.v1"]["asset"] == "P-1"
    assert by_type["foretwin.service_request.issued.v1"]["part"]["name"] == "thrust bearing set"


def test_a_healthy_fleet_has_no_cases_and_tells_nothing(store):
    fleet = Fleet(store, count=3)
    assert fleet.score(*(fleet.said(110, i) for i in range(3))) == []
    assert (fleet.cases(), fleet.told()) == ([], ([], []))


def test_a_later_score_refreshes_the_numbers_without_a_word(store):
    fleet = Fleet(store)
    fleet.score(fleet.said(90, thrust_bearing=0.9))
    before = fleet.told()
    assert fleet.score(fleet.said(80, hour=2, thrust_bearing=0.7), hour=2) == []
    (case,) = fleet.cases()
    assert (case.rul_low, case.probability, case.time, case.scored_at) == (80, 0.7, 102, NOON + 2 * HOUR)
    assert (case.updated_at, case.opened_at, case.opened_time) == (NOON + 2 * HOUR, NOON, 100)
    assert case.evidence["rul_low"] == 90
    assert fleet.told() == before


def test_a_score_of_an_earlier_time_refreshes_nothing(store):
    fleet = Fleet(store)
    fleet.score(fleet.said(90, hour=2, thrust_bearing=0.9))
    fleet.score(fleet.said(60, hour=1, thrust_bearing=0.6))
    assert fleet.cases("rul_low") == [90]


def test_a_case_escalates_once(store):
    fleet = Fleet(store)
    fleet.score(fleet.said(90, thrust_bearing=0.9))
    changed = fleet.score(fleet.said(35, hour=1, thrust_bearing=0.9), hour=1)
    assert changed == fleet.cases("id")
    assert fleet.score(fleet.said(30, hour=2, thrust_bearing=0.9), hour=2) == []
    assert fleet.cases("severity", "rul_low") == [("urgent", 30)]
    told, actions = fleet.told()
    assert told[2:] == ["case.escalated", "service_request.issued"]
    assert actions == ["case.opened", "case.escalated"]


def test_an_end_of_life_merges_into_the_case_of_its_fault(store):
    fleet = Fleet(store)
    fleet.score(fleet.said(60))
    fleet.score(fleet.said(55, hour=1, thrust_bearing=0.9), hour=1)
    end, fault = fleet.cases()
    assert (end.fault, end.state, end.closed_because, end.closed_at) == ("end_of_life", "closed", "merged", NOON + HOUR)
    assert end.merged_into == fault.id
    assert (fault.fault, fault.state) == (THRUST, "open")
    told, actions = fleet.told()
    assert told[2:] == ["case.opened", "service_request.issued", "case.merged"]
    assert actions == ["case.opened", "case.opened", "case.merged"]


def test_a_recovered_case_closes_and_may_open_again_as_another(store):
    fleet = Fleet(store)
    fleet.score(fleet.said(90, thrust_bearing=0.9))
    changed = fleet.score(fleet.said(100, hour=1, thrust_bearing=0.1), hour=1)
    assert changed == fleet.cases("id")
    assert fleet.cases("state", "closed_because", "closed_at") == [("closed", "recovered", NOON + HOUR)]
    assert fleet.told()[0][-1] == "case.closed"
    fleet.score(fleet.said(90, hour=2, thrust_bearing=0.9), hour=2)
    assert fleet.cases("state") == ["closed", "open"]


def test_a_new_run_closes_what_the_one_before_left_open(store):
    fleet = Fleet(store)
    fleet.score(fleet.said(35, thrust_bearing=0.9))
    fleet.score(fleet.said(90, hour=1, run=2, thrust_bearing=0.9), hour=1)
    assert fleet.cases("run", "state", "closed_because") == [(1, "closed", "new_run"), (2, "open", None)]


def test_a_score_of_a_run_that_a_verdict_has_ended_opens_nothing(store):
    fleet = Fleet(store)
    said = fleet.said(35, thrust_bearing=0.9)
    with store.write() as connection:
        seen_before = registered.by_id(connection, fleet.ids)
        connection.execute(update(assets).values(run=2))
        assert review(connection, PUMP, [said], seen_before, NOON) == []
    assert fleet.cases() == []


def test_of_several_scores_of_an_asset_the_newest_speaks(store):
    fleet = Fleet(store)
    fleet.score(fleet.said(110, hour=2), fleet.said(35, hour=1, thrust_bearing=0.9), hour=2)
    assert fleet.cases() == []


def test_faults_of_two_axes_have_a_case_each(store):
    fleet = Fleet(store, TINY)
    said = fleet.said(50, wear=0.9)
    fleet.score(replace(said, faults=said.faults | {"bearing": {"good": 0.1, "worn": 0.9}}))
    assert fleet.cases("fault") == ["mode.wear", "bearing.worn"]


def test_a_twin_without_rul_has_cases(store):
    fleet = Fleet(store, tiny_twin(name="tiny", rul=False))
    fleet.score(fleet.said(None, wear=0.9))
    assert fleet.cases("fault", "severity", "rul_low", "probability") == [("mode.wear", "planned", None, 0.9)]


def test_an_acknowledged_case_goes_on(store):
    fleet = Fleet(store)
    fleet.score(fleet.said(90, thrust_bearing=0.9))
    with store.write() as connection:
        for _ in range(2):
            cases.mark_acknowledged(connection, cases.find_case(connection, fleet.cases("id")[0]), "anna", NOON + HOUR)
    assert fleet.cases("state", "acknowledged_at") == [("acknowledged", NOON + HOUR)]
    fleet.score(fleet.said(35, hour=2, thrust_bearing=0.9), hour=2)
    assert fleet.cases("state", "severity") == [("acknowledged", "urgent")]
    fleet.score(fleet.said(110, hour=3), hour=3)
    assert fleet.cases("state", "closed_because") == [("closed", "recovered")]
    assert fleet.told()[1] == ["case.opened", "case.acknowledged", "case.escalated", "case.closed"]


def test_a_closed_case_stays_as_it_is(store):
    fleet = Fleet(store)
    fleet.score(fleet.said(90, thrust_bearing=0.9))
    with store.write() as connection:
        case = cases.find_case(connection, fleet.cases("id")[0])
        cases.close(connection, case, "verdict", "anna", NOON + HOUR)
        with pytest.raises(Conflict, match="closed already"):
            cases.close(connection, case, "recovered", "watch", NOON + 2 * HOUR)
        with pytest.raises(Conflict, match="closed already"):
            cases.mark_acknowledged(connection, case, "bert", NOON + 2 * HOUR)
        with pytest.raises(Conflict, match="closed already"):
            cases.escalate(connection, case, None, "watch", NOON + 2 * HOUR)
    assert fleet.cases("closed_because", "closed_at") == [("verdict", NOON + HOUR)]
    assert fleet.told()[1] == ["case.opened", "case.closed"]


def test_a_case_of_an_unknown_number_is_not_found(store):
    with store.read() as connection, pytest.raises(NotFound, match="case: 4711"):
        cases.find_case(connection, 4711)


def test_an_open_case_cannot_be_opened_twice(store):
    fleet = Fleet(store)
    new = cases.NewCase("pump", fleet.ids[0], 1, THRUST, "planned", None, {})
    with store.write() as connection:
        assert cases.insert(connection, new, "watch", NOON) is not None
        assert cases.insert(connection, new, "watch", NOON) is None
    assert len(fleet.cases()) == 1
    assert fleet.told()[1] == ["case.opened"]


def test_the_same_scores_again_change_nothing(store):
    fleet = Fleet(store, limited(PUMP, 2), count=4)
    said = [*(fleet.said(40 + i, i, thrust_bearing=0.9) for i in range(3)), fleet.said(60, 3)]
    assert len(fleet.score(*said)) == 3  # two cases and a digest of the others
    before = fleet.cases(), fleet.told()
    assert fleet.score(*said) == []
    assert (fleet.cases(), fleet.told()) == before


def test_audit_entries_of_an_asset_are_those_of_the_period_newest_first(store):
    with store.write() as connection:
        for hour in range(5):
            audit.record(connection, "anna", f"step.{hour}", {"hour": hour}, NOON + hour * HOUR, asset=7)
        audit.record(connection, "anna", "step.elsewhere", {}, NOON, asset=8)

        def actions(since, until, limit):
            return [one.action for one in audit.of_asset(connection, 7, since, until, limit)]

        assert actions(None, None, 2) == ["step.4", "step.3"]
        assert actions(NOON + HOUR, NOON + 3 * HOUR, 10) == ["step.3", "step.2", "step.1"]
        assert actions(None, NOON, 10) == ["step.0"]


def test_a_sensor_that_drifts_on_200_assets_opens_25_cases_and_one_digest(store):
    fleet = Fleet(store, count=200)
    changed = fleet.score(*(fleet.said(90 - i / 10, i, radial_bearing=0.9) for i in range(200)))
    opened = fleet.cases("fault", "rul_low", "asset")
    assert [fault for fault, _, _ in opened] == [RADIAL] * 25 + ["digest"]
    assert sorted(low for _, low, _ in opened[:25]) == pytest.approx([90 - i / 10 for i in range(199, 174, -1)])
    assert changed == fleet.cases("id")
    waiting = fleet.waiting()
    assert len(waiting) == 175
    assert {(one["asset"], one["fault"]) for one in waiting} == {(asset, RADIAL) for asset in fleet.ids[:175]}
    told, actions = fleet.told()
    assert told.count("case.opened") == 26
    assert told.count("service_request.issued") == 25
    assert actions == ["case.opened"] * 26


def test_cases_follow_from_the_digest_as_the_hours_have_room_until_it_dissolves(store):
    fleet = Fleet(store, limited(PUMP, 2), count=5)

    def ask(hour):
        return fleet.score(*(fleet.said(90 - i, i, hour, radial_bearing=0.9) for i in range(5)), hour=hour)

    ask(0)
    digest_id = fleet.cases("id")[-1]
    assert len(fleet.waiting()) == 3
    ask(0.5)
    assert fleet.cases("fault") == [RADIAL, RADIAL, "digest"]
    ask(1)
    assert fleet.cases("fault") == [RADIAL, RADIAL, "digest", RADIAL, RADIAL]
    assert [one["name"] for one in fleet.waiting()] == ["P-1"]
    assert digest_id in ask(2)
    assert fleet.cases("fault", "state", "closed_because")[2] == ("digest", "closed", "dissolved")
    assert fleet.cases("state").count("open") == 5
    assert fleet.told()[0].count("case.closed") == 1


def test_what_waits_leaves_the_digest_when_it_recovers_and_not_while_it_hovers(store):
    fleet = Fleet(store, limited(PUMP, 1), count=3)
    fleet.score(*(fleet.said(90, i, radial_bearing=0.9) for i in range(3)))
    since = fleet.waiting()
    fleet.score(fleet.said(90, 1, 0.2, radial_bearing=0.6), fleet.said(90, 2, 0.2, radial_bearing=0.9), hour=0.2)
    assert fleet.waiting() == since
    fleet.score(fleet.said(110, 1, 0.4, radial_bearing=0.1), hour=0.4)
    assert [one["name"] for one in fleet.waiting()] == ["P-3"]
    fleet.score(fleet.said(110, 2, 0.5, radial_bearing=0.1), hour=0.5)
    assert fleet.cases("fault", "state") == [(RADIAL, "open"), ("digest", "closed")]


def test_what_waits_leaves_the_digest_with_its_run(store):
    fleet = Fleet(store, limited(PUMP, 1), count=4)
    fleet.score(*(fleet.said(90, i, radial_bearing=0.9) for i in range(4)))
    with store.write() as connection:
        connection.execute(update(assets).where(assets.c.id == fleet.ids[1]).values(run=2))  # a verdict ended it
    fleet.score(fleet.said(110, 2, 0.2, run=2), hour=0.2)
    assert [one["name"] for one in fleet.waiting()] == ["P-4"]


def test_a_digest_whose_assets_were_erased_dissolves(store):
    fleet = Fleet(store, limited(PUMP, 1), count=2)
    fleet.score(*(fleet.said(90, i, radial_bearing=0.9) for i in range(2)))
    with store.write() as connection:
        connection.execute(delete(waiting_faults))
    fleet.score(fleet.said(90, 0, 0.1, radial_bearing=0.9), hour=0.1)
    assert fleet.cases("fault", "state") == [(RADIAL, "open"), ("digest", "closed")]


def test_an_urgent_case_comes_before_planned_ones_and_makes_the_digest_urgent(store):
    fleet = Fleet(store, limited(PUMP, 1), count=3)
    fleet.score(fleet.said(60, 0, radial_bearing=0.9), fleet.said(35, 1, radial_bearing=0.9))
    assert fleet.cases("asset", "severity") == [(fleet.ids[1], "urgent"), (None, "planned")]
    changed = fleet.score(fleet.said(30, 2, 0.1, radial_bearing=0.9), hour=0.1)
    assert fleet.cases("asset", "severity") == [(fleet.ids[1], "urgent"), (None, "urgent")]
    assert changed == fleet.cases("id")[1:]
    assert fleet.told()[0][-1] == "case.escalated"


def test_what_waits_and_becomes_urgent_makes_the_digest_urgent(store):
    fleet = Fleet(store, limited(PUMP, 1), count=2)
    fleet.score(*(fleet.said(90, i, radial_bearing=0.9) for i in range(2)))
    fleet.score(fleet.said(35, 1, 0.1, radial_bearing=0.9), hour=0.1)
    assert [one["severity"] for one in fleet.waiting()] == ["urgent"]
    fleet.score(fleet.said(90, 1, 0.2, radial_bearing=0.9), hour=0.2)
    assert [one["severity"] for one in fleet.waiting()] == ["urgent"]
    assert fleet.told()[1].count("case.escalated") == 1


def test_a_digest_that_lists_the_same_as_before_stays_as_it_is(store):
    fleet = Fleet(store, limited(PUMP, 1), count=2)
    fleet.score(*(fleet.said(90, i, radial_bearing=0.9) for i in range(2)))
    fleet.score(*(fleet.said(80, i, 0.5, radial_bearing=0.9) for i in range(2)), hour=0.5)
    assert fleet.cases("fault", "updated_at") == [(RADIAL, NOON + HOUR / 2), ("digest", NOON)]


def test_an_end_of_life_does_not_wait_beside_a_fault_of_the_same_asset(store):
    fleet = Fleet(store, limited(PUMP, 1), count=2)
    fleet.score(fleet.said(10, 0), fleet.said(60, 1))
    assert [one["fault"] for one in fleet.waiting()] == ["end_of_life"]
    fleet.score(fleet.said(60, 1, 0.1, thrust_bearing=0.9), hour=0.1)
    assert [one["fault"] for one in fleet.waiting()] == [THRUST]


def test_a_digest_takes_no_room_in_its_hour(store):
    fleet = Fleet(store, limited(PUMP, 1), count=2)
    fleet.score(fleet.said(90, 0, radial_bearing=0.9))
    fleet.score(fleet.said(90, 1, 0.9, radial_bearing=0.9), hour=0.9)
    assert fleet.cases("fault") == [RADIAL, "digest"]
    fleet.score(fleet.said(90, 1, 1, radial_bearing=0.9), hour=1)
    assert fleet.cases("fault") == [RADIAL, "digest", RADIAL]


def test_an_end_of_life_goes_on_as_its_fault_though_the_hour_is_full(store):
    """There is one case before and one after."""
    fleet = Fleet(store, limited(PUMP, 1))
    fleet.score(fleet.said(70))
    fleet.score(fleet.said(60, hour=0.1, thrust_bearing=0.9), hour=0.1)
    assert fleet.cases("fault", "closed_because") == [("end_of_life", "merged"), (THRUST, None)]
    assert fleet.waiting() == []


def test_cases_that_merge_count_once(store):
    fleet = Fleet(store, limited(PUMP, 2), count=3)
    fleet.score(fleet.said(70))
    fleet.score(fleet.said(60, hour=0.1, thrust_bearing=0.9), hour=0.1)
    fleet.score(fleet.said(60, 1, 0.2, radial_bearing=0.9), fleet.said(70, 2, 0.2, radial_bearing=0.9), hour=0.2)
    assert fleet.cases("fault", "asset")[2:] == [(RADIAL, fleet.ids[1]), ("digest", None)]
    assert [one["name"] for one in fleet.waiting()] == ["P-3"]


@pytest.mark.parametrize(("run", "time", "opens"), [(1, 100.9, False), (1, 101, True), (2, 0.9, False), (2, 1, True)])
def test_the_hour_is_over_when_the_machines_own_clock_says_so(store, run, time, opens):
    """As in a replay, where they live days in a second: one case opened at 100 h, the other is due a second later."""
    fleet = Fleet(store, limited(PUMP, 1), count=2)
    fleet.score(fleet.said(90, 0, radial_bearing=0.9))
    with store.write() as connection:
        connection.execute(update(assets).where(assets.c.id == fleet.ids[0]).values(run=run, time=time))
    fleet.score(fleet.said(90, 1, 1 / 3600, radial_bearing=0.9), hour=1 / 3600)
    assert fleet.cases("fault") == [RADIAL, RADIAL if opens else "digest"]


def test_a_clock_of_cycles_leaves_the_hour_to_the_wall(store):
    cycles = PUMP.model_copy(update={"clock": PUMP.clock.model_copy(update={"unit": "cycle"})})
    fleet = Fleet(store, limited(cycles, 1), count=2)
    fleet.score(fleet.said(90, 0, radial_bearing=0.9))
    with store.write() as connection:
        connection.execute(update(assets).where(assets.c.id == fleet.ids[0]).values(time=200))
    fleet.score(fleet.said(90, 1, 0.5, radial_bearing=0.9), hour=0.5)
    fleet.score(fleet.said(90, 1, 1, radial_bearing=0.9), hour=1)
    assert fleet.cases("fault") == [RADIAL, "digest", RADIAL]


def test_twins_count_and_wait_apart(store):
    pumps, others = Fleet(store, limited(PUMP, 1)), Fleet.__new__(Fleet)
    tiny = limited(TINY, 1)
    others.store, others.contract = store, tiny
    with store.write() as connection:
        row = {"twin": "tiny", "name": "T-1", "tags": {}, "registered_at": NOON}
        others.ids = [connection.execute(insert(assets).values(row).returning(assets.c.id)).scalar_one()]
    others.model, others.batch, others.layout = pumps.model, pumps.batch, pumps.layout
    pumps.score(pumps.said(90, radial_bearing=0.9))
    others.score(others.said(50, wear=0.9))
    assert (pumps.cases("fault"), others.cases("fault")) == ([RADIAL], ["mode.wear"])


def test_two_processes_together_open_no_more_than_one_may(store):
    fleet = Fleet(store, limited(PUMP, 3), count=10)
    halves = [[fleet.said(90, i, radial_bearing=0.9) for i in range(begin, begin + 5)] for begin in (0, 5)]
    other = threading.Thread(target=lambda: fleet.score(*halves[1]))
    with store.write() as connection:
        fleet.review(connection, halves[0])
        other.start()
        other.join(0.5)  # it waits for this transaction, or would have opened its own by now
    other.join()
    assert sorted(fleet.cases("fault")) == ["digest", *[RADIAL] * 3]
    assert len(fleet.waiting()) == 7


def test_a_large_fleet_without_changes_costs_a_few_statements(store):
    fleet = Fleet(store, count=300)
    fleet.score(*(fleet.said(90, i, radial_bearing=0.9) for i in range(10)))
    later = [fleet.said(90, i, 1, radial_bearing=0.9 if i < 10 else 0.1) for i in range(300)]
    with store.write() as connection:
        known = registered.by_id(connection, fleet.ids)
        with counted_statements(store) as seen:
            assert review(connection, PUMP, later, known, NOON + HOUR) == []
    # The open cases, the digest, what waits of these, the clocks and the newer numbers of ten cases; and of each of the
    # ten, whose readings came in a file, whether it has a date by now.
    assert len(seen) == 5 + 10
    assert fleet.cases("time") == [101] * 10


def test_a_fault_more_costs_the_digest_the_same_however_many_wait_already(tmp_path):
    def cost_of_ten_more(waiting: int) -> int:
        store = open_store(f"sqlite:///{tmp_path}/{waiting}.db")
        fleet = Fleet(store, limited(PUMP, 1), count=waiting + 12)
        fleet.score(*(fleet.said(90, i, radial_bearing=0.9) for i in range(waiting + 2)))
        assert len(fleet.waiting()) == min(waiting + 1, 1000)
        more = [fleet.said(90, i, 0.1, radial_bearing=0.9) for i in range(waiting + 2, waiting + 12)]
        with counted(store) as cost:
            fleet.score(*more, hour=0.1)
        store.close()
        return cost.instructions

    assert cost_of_ten_more(2000) < 1.3 * cost_of_ten_more(50)


def test_a_verdict_silences_its_fault_for_the_parts_lead_time(store):
    fleet = Fleet(store)
    fleet.score(fleet.said(90, radial_bearing=0.9))
    (number,) = fleet.cases("id")
    with store.write() as connection:
        connection.execute(update(assets).values(run=1, time=100.0))
    given = Verdict(verdict="no_fault_found")
    feedback.give_verdict(store, {"pump": PUMP}, number, given, "technician", NOON)
    lead_time = remedy_of(PUMP, RADIAL).lead_time
    for hour in (1, lead_time - 1):
        fleet.score(fleet.said(90, hour=hour, radial_bearing=0.9), hour=hour)
        assert fleet.cases("id") == [number]
    fleet.score(fleet.said(90, hour=2, thrust_bearing=0.9), hour=2)
    assert fleet.cases("fault") == [RADIAL, "mode.thrust_bearing"], "another fault is another case"
    fleet.score(fleet.said(90, hour=lead_time, radial_bearing=0.9), hour=lead_time)
    assert fleet.cases("fault")[-1] == RADIAL
    assert len(fleet.cases("id")) == 3
