"""Decisions about cases: each rule by hand, then what holds for every sequence of scores."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretwin.contract.policy import CasePolicy
from foretwin.contract.twin import Twin, load_twin
from foretwin.twin.cases.rules import (
    END_OF_LIFE,
    PLANNED,
    URGENT,
    Close,
    Escalate,
    Merge,
    Open,
    OpenCase,
    Refresh,
    closing_limit,
    decide_cases,
    limit,
    present_faults,
    remedy_of,
)
from foretwin.twin.store.scoring.scores import Score
from support.tiny_bundle import tiny_twin

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
PUMP = load_twin(Path(__file__).parents[3] / "data" / "pump" / "twin.yaml")  # opens at 72 h, closes above 96 h
FAULTS_ONLY = tiny_twin(rul=False)
RUL_ONLY = tiny_twin(faults=False)
TINY = tiny_twin()
THRUST, IMPELLER = "mode.thrust_bearing", "mode.impeller_wear"


def score(rul_low: float | None = 110, run: int = 1, rul: float | None = None, **faults: float) -> Score:
    """A score of an asset whose RUL lies 10 above its lower end; `mode__wear=0.9` is the probability of mode.wear."""
    said: dict[str, dict[str, float]] = {}
    for name, probability in faults.items():
        axis, _, fault = name.partition("__")
        said.setdefault(axis, {})[fault] = probability
    middle = rul if rul is not None or rul_low is None else rul_low + 10
    high = None if middle is None else middle + 10
    return Score(1, run, 100.0, 1, NOON, 1.0, 60, middle, rul_low, high, said, {}, [])


def pump(rul_low: float, thrust: float = 0.05, impeller: float = 0.05, run: int = 1) -> Score:
    return score(rul_low, run, mode__thrust_bearing=thrust, mode__impeller_wear=impeller, mode__radial_bearing=0.0)


def case(fault: str, severity: str = PLANNED, state: str = "open", run: int = 1, number: int = 7) -> OpenCase:
    return OpenCase(number, fault, state, severity, run)


LOOK = {"part": "P-1", "instruction": "look at it", "lead_time": 2}
HEALTH_ONLY = Twin.model_validate(FAULTS_ONLY.model_dump() | {"faults": {}, "health": {"remedy": LOOK}})


DEPARTED = "health.departed"
WITH_HEALTH = Twin.model_validate(FAULTS_ONLY.model_dump() | {"health": {"remedy": LOOK}})


def test_a_fault_with_a_name_explains_a_departure():
    unnamed, named = score(None, health__departed=0.99), score(None, health__departed=0.99, mode__wear=0.9)
    assert decide_cases([], unnamed, WITH_HEALTH) == [Open(DEPARTED, PLANNED)]
    assert decide_cases([], named, WITH_HEALTH) == [Open("mode.wear", PLANNED)]
    both = [Open("mode.wear", PLANNED), Merge(case(DEPARTED), "mode.wear")]
    assert decide_cases([case(DEPARTED)], named, WITH_HEALTH) == both
    assert decide_cases([case("mode.wear")], named, WITH_HEALTH) == [Refresh(case("mode.wear"))]


@pytest.mark.parametrize(
    "warning",
    ["off: speed at most 5", "unknown_regime: speed", "check_function: pressure jumps", "short_history: 3 of 60 rows"],
)
def test_a_departure_at_a_standstill_in_an_unknown_regime_of_a_sensor_or_of_few_rows_opens_no_case(warning: str):
    departed = score(None, health__departed=0.99)
    assert decide_cases([], departed, HEALTH_ONLY) == [Open("health.departed", PLANNED)]
    assert decide_cases([], replace(departed, warnings=[warning]), HEALTH_ONLY) == []


def test_a_channel_that_departs_alone_without_a_sensor_s_signature_opens_the_case_of_a_departure():
    alone = replace(
        score(None, health__departed=0.99), warnings=["check_function: heat contradicts the other channels"]
    )
    assert decide_cases([], alone, HEALTH_ONLY) == [Open("health.departed", PLANNED)]


@pytest.mark.parametrize(
    ("warnings", "change"),
    [
        ([], Close),
        (["off: speed at most 5"], Refresh),
        (["unknown_regime: speed"], Refresh),
        (["short_history: 3 of 60 rows"], Refresh),
    ],
)
def test_a_case_of_health_does_not_recover_while_nothing_is_said(warnings: list[str], change: type):
    calm = replace(score(None, health__departed=0.01), warnings=warnings)
    (found,) = decide_cases([case("health.departed")], calm, HEALTH_ONLY)
    assert isinstance(found, change)


def test_a_healthy_asset_opens_nothing():
    assert decide_cases([], pump(110), PUMP) == []
    assert decide_cases([], pump(72.1, thrust=0.79), PUMP) == []


@pytest.mark.parametrize(
    ("rul_low", "severity"),
    [(110, PLANNED), (48, PLANNED), (43.1, PLANNED), (43, URGENT), (0, URGENT)],  # the bearing takes 48 h
)
def test_a_probable_fault_opens_a_case_as_urgent_as_its_part_is_late(rul_low, severity):
    assert decide_cases([], pump(rul_low, thrust=0.8), PUMP) == [Open(THRUST, severity)]


def test_the_lower_end_of_an_interval_alone_makes_nothing_urgent():
    """Else all cases are, since it is by that end that they open."""
    assert decide_cases([], score(50, rul=94.1), PUMP) == [Open(END_OF_LIFE, PLANNED)]
    assert decide_cases([case(END_OF_LIFE)], score(50, rul=94), PUMP) == [Escalate(case(END_OF_LIFE))]


def test_an_asset_near_its_end_without_a_fault_opens_an_end_of_life():
    assert decide_cases([], pump(72), PUMP) == [Open(END_OF_LIFE, PLANNED)]
    assert decide_cases([], pump(62), PUMP) == [Open(END_OF_LIFE, URGENT)]  # the overhaul kit takes 72 h
    assert decide_cases([], pump(72.1), PUMP) == []


def test_the_lead_time_counts_where_it_is_longer_than_the_limit():
    patient = PUMP.model_copy(update={"cases": CasePolicy(open_below=10, close_above=20)})
    assert limit(patient, END_OF_LIFE) == 72
    assert limit(patient, THRUST) == 48
    assert decide_cases([], pump(60), patient) == [Open(END_OF_LIFE, URGENT)]
    assert closing_limit(patient, END_OF_LIFE) > 72


@pytest.mark.parametrize(
    ("low", "rul", "high", "opens"),
    [
        (70.0, 120.0, 125.0, False),  # a healthy pump: its interval reaches the cap, "that or more"
        (70.0, 90.0, 120.0, True),
        (40.0, 100.0, 125.0, True),  # nothing is sure, and the end may well be near
        (80.0, 90.0, 120.0, False),
    ],
)
def test_an_interval_that_reaches_the_cap_opens_no_end_of_life_by_its_lower_end_alone(low, rul, high, opens):
    said = replace(pump(low), rul=rul, rul_high=high)
    found = decide_cases([], said, PUMP)
    assert [type(change) for change in found] == ([Open] if opens else [])


def test_a_long_limit_opens_an_end_of_life_that_is_only_planned():
    early = PUMP.model_copy(update={"cases": CasePolicy(open_below=100, close_above=120)})
    assert decide_cases([], pump(90), early) == [Open(END_OF_LIFE, PLANNED)]
    assert decide_cases([case(END_OF_LIFE)], pump(62), early) == [Escalate(case(END_OF_LIFE))]


def test_faults_of_several_axes_open_a_case_each_the_most_probable_first():
    both = score(90, mode__wear=0.85, bearing__worn=0.95)
    assert decide_cases([], both, TINY) == [Open("bearing.worn", PLANNED), Open("mode.wear", PLANNED)]
    assert present_faults(both, TINY) == ["bearing.worn", "mode.wear"]


def test_the_healthy_class_is_no_fault():
    assert decide_cases([], score(90, mode__healthy=0.99, bearing__good=0.99), TINY) == []
    assert remedy_of(TINY, "mode.healthy") is None


def test_a_fault_that_stays_is_refreshed_between_its_limits():
    for probability in (0.8, 0.79, 0.5):
        assert decide_cases([case(THRUST)], pump(110, thrust=probability), PUMP) == [Refresh(case(THRUST))]


def test_a_case_escalates_and_never_goes_back():
    late = pump(38, thrust=0.9)
    assert decide_cases([case(THRUST)], late, PUMP) == [Escalate(case(THRUST))]
    assert decide_cases([case(THRUST, URGENT)], late, PUMP) == [Refresh(case(THRUST, URGENT))]
    assert decide_cases([case(THRUST, URGENT)], pump(110, thrust=0.9), PUMP) == [Refresh(case(THRUST, URGENT))]


def test_a_fault_recovers_only_where_neither_it_is_probable_nor_the_end_near():
    assert decide_cases([case(THRUST)], pump(96.1, thrust=0.49), PUMP) == [Close(case(THRUST), "recovered")]
    assert decide_cases([case(THRUST)], pump(96, thrust=0.49), PUMP) == [Refresh(case(THRUST))]
    assert decide_cases([case(THRUST)], pump(96.1, thrust=0.5), PUMP) == [Refresh(case(THRUST))]


def test_an_end_of_life_recovers_above_the_closing_limit():
    urgent = case(END_OF_LIFE, URGENT)
    assert decide_cases([urgent], pump(96), PUMP) == [Refresh(urgent)]
    assert decide_cases([urgent], pump(96.1), PUMP) == [Close(urgent, "recovered")]


def test_an_end_of_life_goes_on_in_the_case_of_the_fault_that_shows():
    urgent = case(END_OF_LIFE, URGENT)
    assert decide_cases([urgent], pump(30, thrust=0.9), PUMP) == [Open(THRUST, URGENT), Merge(urgent, THRUST)]


def test_no_end_of_life_opens_beside_the_case_of_a_fault():
    assert decide_cases([case(THRUST, URGENT)], pump(5, thrust=0.6), PUMP) == [Refresh(case(THRUST, URGENT))]
    assert decide_cases([case(THRUST, URGENT), case(END_OF_LIFE, URGENT)], pump(5, thrust=0.6), PUMP) == [
        Refresh(case(THRUST, URGENT)),
        Merge(case(END_OF_LIFE, URGENT), THRUST),
    ]


def test_an_end_of_life_rather_goes_on_in_a_case_that_is_open_already():
    changes = decide_cases([case(THRUST, URGENT), case(END_OF_LIFE, URGENT)], pump(5, impeller=0.9), PUMP)
    assert Open(IMPELLER, URGENT) in changes
    assert Merge(case(END_OF_LIFE, URGENT), THRUST) in changes


def test_an_acknowledged_case_behaves_as_an_open_one():
    seen = case(THRUST, state="acknowledged")
    assert decide_cases([seen], pump(38, thrust=0.9), PUMP) == [Escalate(seen)]
    assert decide_cases([seen], pump(110), PUMP) == [Close(seen, "recovered")]


def test_a_new_run_closes_the_cases_of_the_one_before():
    assert decide_cases([case(THRUST, URGENT)], pump(110, run=2), PUMP) == [Close(case(THRUST, URGENT), "new_run")]
    still = decide_cases([case(THRUST, URGENT)], pump(110, thrust=0.9, run=2), PUMP)
    assert still == [Close(case(THRUST, URGENT), "new_run"), Open(THRUST, PLANNED)]


def test_a_score_of_an_earlier_run_changes_nothing():
    assert decide_cases([case(THRUST, run=2)], pump(5, impeller=0.9), PUMP) == []


def test_a_twin_without_rul_decides_by_its_faults_alone():
    assert decide_cases([], score(None, mode__leak=0.9), FAULTS_ONLY) == [Open("mode.leak", PLANNED)]
    assert decide_cases([case("mode.leak")], score(None, mode__leak=0.6), FAULTS_ONLY) == [Refresh(case("mode.leak"))]
    assert decide_cases([case("mode.leak")], score(None, mode__leak=0.4), FAULTS_ONLY) == [
        Close(case("mode.leak"), "recovered")
    ]
    assert remedy_of(FAULTS_ONLY, END_OF_LIFE) is None


def test_a_twin_without_faults_decides_by_its_rul_alone():
    assert decide_cases([], score(3), RUL_ONLY) == []
    assert decide_cases([], score(2), RUL_ONLY) == [Open(END_OF_LIFE, PLANNED)]
    assert decide_cases([], score(0, rul=2), RUL_ONLY) == [Open(END_OF_LIFE, URGENT)]
    assert decide_cases([case(END_OF_LIFE, URGENT)], score(2.1), RUL_ONLY) == [Refresh(case(END_OF_LIFE, URGENT))]
    assert decide_cases([case(END_OF_LIFE, URGENT)], score(9), RUL_ONLY) == [
        Close(case(END_OF_LIFE, URGENT), "recovered")
    ]


def test_a_rul_at_the_cap_is_not_near_its_end_however_long_a_part_takes():
    remedy = RUL_ONLY.rul.remedy.model_copy(update={"lead_time": 168.0})  # the cap is 100
    slow = RUL_ONLY.model_copy(update={"rul": RUL_ONLY.rul.model_copy(update={"remedy": remedy})})
    assert decide_cases([], score(80, rul=100), slow) == []
    assert decide_cases([], score(80, rul=99), slow) == [Open(END_OF_LIFE, URGENT)]


def test_a_rul_at_the_cap_recovers_though_its_lower_end_never_reaches_the_closing_limit():
    capped = score(90, rul=125, mode__thrust_bearing=0.1)
    assert decide_cases([case(THRUST)], capped, PUMP) == [Close(case(THRUST), "recovered")]
    assert decide_cases([case(THRUST)], replace(capped, rul_low=60), PUMP) == [Refresh(case(THRUST))]


def test_a_fault_that_the_contract_no_longer_knows_stays_until_the_run_ends():
    assert decide_cases([case("mode.gone")], pump(110), PUMP) == [Refresh(case("mode.gone"))]
    assert decide_cases([case("mode.gone")], pump(110, run=2), PUMP) == [Close(case("mode.gone"), "new_run")]


def test_each_fault_has_the_remedy_of_the_contract():
    assert remedy_of(PUMP, THRUST).part == "thrust bearing set"
    assert remedy_of(PUMP, END_OF_LIFE).part == "overhaul kit"
    assert [remedy_of(PUMP, name) for name in ("mode.none", "mode.gone", "gone.gone", "digest")] == [None] * 4


CONTRACTS = [
    PUMP,
    TINY,
    FAULTS_ONLY,
    RUL_ONLY,
    TINY.model_copy(update={"cases": CasePolicy(open_below=1, close_above=30)}),
]
unhurried = settings(deadline=None)  # a busy machine is no fault of the decisions
probabilities = st.sampled_from([0.0, 0.1, 0.49, 0.5, 0.6, 0.79, 0.8, 0.9, 1.0]) | st.floats(0, 1)
lives = st.sampled_from([0.0, 2.0, 2.5, 48.0, 60.0, 72.0, 72.5, 96.0, 97.0, 125.0]) | st.floats(0, 125)


@st.composite
def scores_of(draw: st.DrawFn, contract: Twin, runs: st.SearchStrategy[int] = st.just(1)) -> Score:  # noqa: B008
    faults = {axis: {name: draw(probabilities) for name in contract.classes(axis)} for axis in contract.axes}
    rul = min(draw(lives), contract.rul.cap) if contract.rul else None
    low = None if rul is None else draw(st.sampled_from([rul, rul * 0.6, 0.0]))
    return replace(score(low, draw(runs), rul=rul), faults=faults)


@st.composite
def histories(draw: st.DrawFn) -> tuple[Twin, list[Score]]:
    """A contract, and the scores of one asset through growing runs."""
    contract = draw(st.sampled_from(CONTRACTS))
    scores = draw(st.lists(scores_of(contract, st.integers(1, 3)), min_size=1, max_size=12))
    return contract, sorted(scores, key=lambda one: one.run)


def applied(open_cases: list[OpenCase], changes: list, run: int) -> list[OpenCase]:
    """The open cases after the changes, as a store would keep them; it refuses what cannot be done."""
    kept = {one.id: one for one in open_cases}
    next_id = max(kept, default=0) + 1
    for change in changes:
        if isinstance(change, Open):
            assert change.fault not in {one.fault for one in kept.values()}, "opened twice"
            kept[next_id] = OpenCase(next_id, change.fault, "open", change.severity, run)
            next_id += 1
            continue
        assert kept[change.case.id] == change.case, "speaks of a case that is not open"
        if isinstance(change, Merge):
            assert change.into in {one.fault for one in kept.values()}, "merged into nothing"
        if isinstance(change, Close | Merge):
            del kept[change.case.id]
        elif isinstance(change, Escalate):
            assert change.case.severity == PLANNED, "urgent already"
            kept[change.case.id] = replace(change.case, severity=URGENT)
    return list(kept.values())


def lived(history: tuple[Twin, list[Score]]) -> list[tuple[list[OpenCase], Score, list, list[OpenCase]]]:
    """Of each score: the open cases before, itself, the changes, the open cases after."""
    contract, scores = history
    open_cases: list[OpenCase] = []
    steps = []
    for one in scores:
        changes = decide_cases(open_cases, one, contract)
        after = applied(open_cases, changes, one.run)
        steps.append((open_cases, one, changes, after))
        open_cases = after
    return steps


@unhurried
@given(histories())
def test_every_change_can_be_applied_and_a_fault_has_at_most_one_open_case(history):
    for _, _, _, after in lived(history):  # `applied` refuses the rest
        assert len({one.fault for one in after}) == len(after)


@unhurried
@given(histories())
def test_no_end_of_life_is_open_beside_the_case_of_a_fault(history):
    for _, _, _, after in lived(history):
        faults = {one.fault for one in after}
        assert END_OF_LIFE not in faults or faults == {END_OF_LIFE}


@unhurried
@given(histories())
def test_the_same_score_a_second_time_only_refreshes(history):
    for _, one, _, after in lived(history):
        assert decide_cases(after, one, history[0]) == [Refresh(each) for each in after]


@unhurried
@given(histories())
def test_the_severity_of_a_fault_never_goes_back_while_it_is_open(history):
    for before, one, _, after in lived(history):  # not by another case of it either
        urgent = {each.fault for each in before if each.severity == URGENT and each.run == one.run}
        assert all(each.severity == URGENT for each in after if each.fault in urgent)


@unhurried
@given(histories())
def test_only_cases_of_the_present_run_stay_open(history):
    for _, one, _, after in lived(history):
        assert {each.run for each in after} <= {one.run}


@settings(unhurried, max_examples=200)
@given(st.data())
def test_an_estimate_that_hovers_between_the_limits_changes_nothing(data):
    contract = data.draw(st.sampled_from([PUMP, TINY, RUL_ONLY, FAULTS_ONLY]))
    *_, (_, _, _, open_cases) = lived((contract, [data.draw(scores_of(contract))]))
    between = [0.5, 0.55, 0.6, 0.7, 0.79]
    faults = {
        axis: {name: data.draw(st.sampled_from(between)) for name in contract.classes(axis)} for axis in contract.axes
    }
    low = None
    if contract.rul:
        names = [one.fault for one in open_cases] or [END_OF_LIFE]
        opens_at = max(limit(contract, name) for name in [*names, END_OF_LIFE])
        closes_at = min(closing_limit(contract, name) for name in names)
        low = data.draw(st.floats(opens_at, closes_at, exclude_min=True))
    hovering = replace(score(low), faults=faults)
    assert decide_cases(open_cases, hovering, contract) == [Refresh(one) for one in open_cases]


def test_the_properties_above_see_every_kind_of_change():
    seen = set()

    @settings(unhurried, max_examples=300, database=None, derandomize=True)
    @given(histories())
    def look(history):
        seen.update(type(change) for _, _, changes, _ in lived(history) for change in changes)

    look()
    assert seen == {Open, Escalate, Merge, Close, Refresh}
