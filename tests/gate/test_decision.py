"""The gate's decisions, from predictions whose errors are known."""

import math
from dataclasses import replace

import numpy as np
import pytest

from foretwin.contract.twin import Twin
from foretwin.errors import RegistryError
from foretwin.evaluation.held_out import HeldOut, Predictions
from foretwin.gate import Candidate, Check, Decision, Rival, decide, obstacles, unchanged
from foretwin.gate.compatibility import breaks
from foretwin.gate.figures import is_surely_above
from support.held_out_windows import ASSETS, BEARING, COUNT, HELD_OUT, MODE, PARAMS, RUL, SIGNS, TWIN, WINDOWS, said
from support.tiny_bundle import FAULTS, REMEDY, tiny_twin

BASELINES = {"constant": said(24, 2), "linear": said(20, 4), "gradient_boosting": said(9, 5)}


def judged(
    candidate: Predictions, champion: Predictions | None = None, contract: Twin = TWIN, held_out: HeldOut = HELD_OUT
) -> Decision:
    rival = None if champion is None else Rival("m version 3", contract, champion)
    return decide(Candidate(contract, candidate, 2.0, 1.5), held_out, BASELINES, rival, PARAMS)


def failed(decision: Decision) -> set[str]:
    return {check.name for check in decision.checks if not check.passed}


def test_a_candidate_that_beats_the_baselines_is_promoted_where_there_is_no_champion():
    decision = judged(said(10))
    assert decision.promoted
    assert failed(decision) == set()
    assert "RUL RMSE 10 h beats the constant baseline's 24 h" in decision.reasons
    assert "RUL RMSE 10 h beats the linear baseline's 20 h" in decision.reasons
    assert any("no champion yet" in reason for reason in decision.reasons)
    assert decision.candidate == {"rul_rmse": pytest.approx(10), "fault_macro_f1": 1}


@pytest.mark.parametrize("rmse", [20.0, 20.1, 23.0])
def test_a_candidate_no_better_than_linear_is_refused_with_that_reason_alone(rmse):
    decision = judged(said(rmse))
    assert not decision.promoted
    assert len(decision.reasons) == 1
    assert "does not beat the linear baseline's 20 h" in decision.reasons[0]


def test_a_baseline_with_a_better_rul_and_worse_faults_does_not_stand_in_the_way():
    decision = judged(said(10))
    beside = [check for check in decision.checks if "gradient boosting" in check.sentence]
    assert [check.passed for check in beside] == [True]
    assert "RUL RMSE 9 h against 10 h, better in 100 % of the resamples" in beside[0].sentence


def test_of_a_baseline_that_would_replace_the_candidate_it_is_told_and_decides_only_where_params_say_so():
    decision = judged(said(10, 5))
    assert decision.promoted
    (told,) = (check.sentence for check in decision.checks if "gradient boosting" in check.sentence)
    assert "gradient boosting has RUL RMSE 9 h against 10 h" in told
    assert told.endswith("it would replace the candidate, but does not decide")
    strict = PARAMS.model_copy(update={"must_beat": ("constant", "linear", "gradient_boosting")})
    decision = decide(Candidate(TWIN, said(10, 5), 1, 1), HELD_OUT, BASELINES, None, strict)
    assert not decision.promoted
    assert "does not beat the gradient boosting baseline's 9 h" in decision.reasons[0]


def test_a_blend_need_not_beat_a_baseline_that_is_one_of_its_candidates():
    alone, blend = (Candidate(TWIN, BASELINES["linear"], 1, 1, parts) for parts in ((), ("network", "linear")))
    assert not decide(alone, HELD_OUT, BASELINES, None, PARAMS).promoted
    decision = decide(blend, HELD_OUT, BASELINES, None, PARAMS)
    assert decision.promoted, decision.reasons
    assert "constant" in decision.reasons[0]


def test_a_baseline_that_is_better_by_chance_does_not_stand_in_the_way():
    noise = np.random.default_rng(3).normal(0, 10, (2, ASSETS)).repeat(WINDOWS, axis=1)
    better, worse = (replace(said(10), rul=RUL + part) for part in sorted(noise, key=lambda part: float(part @ part)))
    told = {**BASELINES, "gradient_boosting": better}
    wide = replace(worse, low=np.where(np.arange(COUNT) % 10, 0.0, 90), high=np.full(COUNT, 100.0))
    decision = decide(Candidate(TWIN, wide, 1, 1), HELD_OUT, told, None, PARAMS)
    assert decision.baselines["gradient_boosting"]["rul_rmse"] < decision.candidate["rul_rmse"]
    assert decision.promoted


@pytest.mark.parametrize(("rmse", "promoted"), [(9.0, True), (10.0, False), (10.1, False), (10.21, False)])
def test_a_candidate_must_be_surely_better_than_the_champion_somewhere(rmse, promoted):
    decision = judged(said(rmse), said(10))
    assert decision.promoted is promoted
    assert promoted or any("not surely better than the champion, m version 3" in reason for reason in decision.reasons)


@pytest.mark.parametrize(("rmse", "promoted"), [(10.1, True), (10.21, False)])
def test_what_is_won_on_one_question_may_cost_the_allowed_share_on_the_other(rmse, promoted):
    decision = judged(said(rmse), said(10, 7))
    assert decision.promoted is promoted
    told = f"RUL RMSE {rmse:g} h is {10 * (rmse - 10):.1f} % more error than the champion's 10 h (m version 3)"
    assert any(told in reason for reason in decision.reasons)


def test_what_is_lost_by_chance_alone_does_not_refuse_a_candidate():
    """The errors of a few machines make the RUL worse by more than is allowed; faults are surely better."""
    scale = np.random.default_rng(4).lognormal(2, 1, ASSETS).repeat(WINDOWS)
    ours, theirs = (replace(said(10), rul=RUL + part * SIGNS) for part in (scale, np.roll(scale, 5 * WINDOWS)))
    ours = replace(ours, rul=RUL + 1.05 * (ours.rul - RUL))
    wrong = np.where(np.arange(COUNT) % 4 == 0, (MODE + 1) % 3, MODE)
    decision = judged(ours, replace(theirs, faults={"mode": wrong, "bearing": BEARING}))
    assert decision.candidate["rul_rmse"] > 1.04 * decision.champion["rul_rmse"]
    assert "champion" not in failed(decision)
    assert any("not surely above the 2 % allowed" in reason for reason in (c.sentence for c in decision.checks))
    surely = judged(replace(ours, rul=RUL + 1.3 * (ours.rul - RUL)), replace(theirs, rul=ours.rul))
    assert "champion" in failed(surely)


@pytest.mark.parametrize(("machines", "sure"), [(5, False), (12, True)])
def test_of_few_machines_it_takes_more_to_be_sure(machines, sure):
    """All of them err more, one much more than the others: which any resample says."""
    more = np.r_[8.0, np.linspace(1, 2, machines - 1)]
    drawn = more[np.random.default_rng(1).integers(machines, size=(2000, machines))].mean(axis=1)
    assert (drawn > 0).all()
    assert is_surely_above(drawn, machines, 0.99) is sure
    assert not is_surely_above(np.full(3, np.nan), machines, 0.9)


def test_what_differs_by_chance_does_not_replace_a_champion():
    noise = np.random.default_rng(3).normal(0, 10, (2, ASSETS)).repeat(WINDOWS, axis=1)
    ours, theirs = (
        replace(said(10), rul=RUL + part) for part in sorted(noise, key=lambda part: float((part**2).sum()))
    )
    decision = judged(ours, theirs)
    assert decision.candidate["rul_rmse"] < decision.champion["rul_rmse"]
    assert "champion" in failed(decision)


def test_windows_of_one_asset_are_drawn_together():
    """Two assets of forty, told right, are drawn in 1 - (38 / 40) ** 40 = 87 % of resamples, however many windows."""
    better = replace(said(10), rul=np.where(np.arange(COUNT) < 2 * WINDOWS, RUL, said(10).rul))
    decision = judged(better, said(10))
    assert not decision.promoted
    assert 83 < float(decision.reasons[0].split("RUL RMSE in ")[1].split(" %")[0]) < 91
    each_its_own = replace(HELD_OUT, assets=np.array([f"a{i}" for i in range(COUNT)]))
    assert judged(better, said(10), held_out=each_its_own).promoted


def test_late_predictions_that_cost_more_refuse_a_candidate_with_a_lower_rmse():
    early, late = said(10), said(9.5)
    decision = judged(replace(late, rul=RUL + 9.5), replace(early, rul=RUL - 10))
    assert failed(decision) == {"phm08"}
    assert "late predictions cost more: PHM08 score" in decision.reasons[0]


@pytest.mark.parametrize(
    ("low", "high", "reason"),
    [(-0.01, 0.01, "too narrow, 80 % is the least"), (-1e9, 1e9, "too wide, 99 % is the most")],
)
def test_intervals_that_are_too_narrow_or_too_wide_refuse(low, high, reason):
    fine = said(10)
    decision = judged(replace(fine, low=fine.rul + low, high=fine.rul + high))
    assert failed(decision) == {"coverage"}
    assert reason in decision.reasons[0]


def test_a_narrow_interval_that_holds_every_truth_is_no_reason_to_refuse():
    fine = said(10)
    decision = judged(replace(fine, low=fine.rul - 11, high=fine.rul + 11))
    assert failed(decision) == set()
    assert any("holds 100 % of the true RULs" in check.sentence for check in decision.checks)


def test_the_allowed_coverage_follows_the_level():
    fine = replace(said(10), level=0.5)  # it may miss up to all truths, and 5 % at least
    assert judged(fine).promoted
    assert not judged(replace(fine, level=0.97)).promoted  # 94 % at least


def test_a_slow_or_a_large_candidate_is_refused():
    slow = decide(Candidate(TWIN, said(10), 51, 1), HELD_OUT, BASELINES, None, PARAMS)
    assert slow.reasons == ("one window takes 51.0 ms at the median, above the 50 ms allowed",)
    large = decide(Candidate(TWIN, said(10), 1, 51), HELD_OUT, BASELINES, None, PARAMS)
    assert large.reasons == ("the bundle takes 51.00 MB, above the 50 MB allowed",)


def test_a_finding_refuses():
    finding = Check("leaks", False, "asset a is on both sides")
    decision = decide(Candidate(TWIN, said(10), 1, 1), HELD_OUT, BASELINES, None, PARAMS, [finding])
    assert decision.reasons == ("asset a is on both sides",)
    assert finding in decision.checks


def test_figures_that_differ_are_never_printed_alike():
    assert any("19.9999 h beats the linear baseline's 20 h" in reason for reason in judged(said(19.9999)).reasons)


@pytest.mark.parametrize("champion", [None, said(10)])
def test_a_candidate_that_is_not_a_number_never_passes(champion):
    decision = judged(replace(said(10), rul=np.full(COUNT, math.nan)), champion)
    assert not decision.promoted
    assert len([reason for reason in decision.reasons if "never passes" in reason]) == 1


def test_where_no_truth_is_known_nothing_passes():
    truth = replace(HELD_OUT.truth, faults={"mode": np.full(COUNT, -1), "bearing": np.full(COUNT, -1)})
    decision = judged(said(10), said(11), held_out=replace(HELD_OUT, truth=truth))
    assert decision.reasons[0] == "mean fault macro-F1 of the candidate is not a number, which never passes"


def test_a_champion_that_is_not_a_number_does_not_hold_up_a_good_candidate():
    decision = judged(said(10), replace(said(10), rul=np.full(COUNT, math.nan)))
    assert decision.promoted
    assert any("is not a number on these windows" in reason for reason in decision.reasons)


def test_a_champion_that_cannot_be_compared_leaves_the_baselines():
    rival = Rival("m version 3", TWIN, None, ("its rul.cap is 9",))
    decision = decide(Candidate(TWIN, said(10), 1, 1), HELD_OUT, BASELINES, rival, PARAMS)
    assert decision.promoted
    assert any("m version 3, cannot be compared: its rul.cap is 9;" in reason for reason in decision.reasons)
    assert {one.champion for one in decision.slices} == {None}


def test_a_champion_is_compared_on_the_assets_that_it_was_not_trained_on():
    """On those that it knows by heart it cannot be beaten."""
    seen = np.arange(COUNT) < COUNT // 2
    champion = said(10)
    champion = replace(champion, rul=np.where(seen, RUL, champion.rul))
    assert not judged(said(9), champion).promoted
    rival = Rival("m version 3", TWIN, champion, unseen=~seen)
    decision = decide(Candidate(TWIN, said(9), 1, 1), HELD_OUT, BASELINES, rival, PARAMS)
    assert decision.promoted
    assert decision.champion["rul_rmse"] == pytest.approx(10)
    assert any("20 held-out assets that it was trained on are left out" in reason for reason in decision.reasons)
    assert next(one for one in decision.slices if one.kind == "all").assets == 20


def test_a_champion_that_was_trained_on_nearly_all_held_out_assets_cannot_be_compared():
    rival = Rival("m version 3", TWIN, said(1), unseen=np.arange(COUNT) < 4 * WINDOWS)
    decision = decide(Candidate(TWIN, said(10), 1, 1), HELD_OUT, BASELINES, rival, PARAMS)
    assert decision.promoted
    assert any("it was trained on all but 4 of the held-out assets" in reason for reason in decision.reasons)


def test_the_champion_itself_stays():
    decision = unchanged(Candidate(TWIN, said(50), 1, 1), HELD_OUT, BASELINES, "m version 3", PARAMS)
    assert decision.promoted
    assert decision.reasons == (
        "the bundle is the champion already, m version 3: it stays, and no new version is made",
    )


def test_baselines_that_lack_one_that_has_to_be_beaten_are_an_error_and_not_a_verdict():
    with pytest.raises(
        RegistryError, match=r"linear is not among the baselines: constant; .* `dvc repro data/pump/dvc.yaml:evaluate`"
    ):
        decide(Candidate(TWIN, said(10), 1, 1), HELD_OUT, {"constant": said(24)}, None, PARAMS)


def changed(**parts: object) -> Twin:
    return Twin.model_validate(tiny_twin().model_dump() | parts)


def test_a_new_description_or_wider_limits_do_not_hinder_a_comparison():
    channels = {name: c.model_dump() | {"max": 2000} for name, c in tiny_twin().channels.items()}
    assert obstacles(tiny_twin(), changed(description="new", channels=channels)) == ()


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"rul": {"cap": 90, "remedy": REMEDY}}, "its rul.cap is 100 and now 90"),
        ({"window": {"length": 4, "shortest": 2}}, "its window is longer than what these rows keep"),
    ],
)
def test_cap_and_window_hinder_a_comparison_but_break_nothing(parts, sentence):
    assert obstacles(tiny_twin(), changed(**parts)) == (sentence,)
    assert breaks(tiny_twin(), changed(**parts)) == ()


@pytest.mark.parametrize("parts", [{"faults": {"mode": FAULTS["mode"]}}, {"rul": None}])
def test_what_the_candidate_answers_beside_hinders_no_comparison_and_breaks_nothing(parts):
    assert obstacles(changed(**parts), tiny_twin()) == ()
    assert breaks(changed(**parts), tiny_twin()) == ()


def test_who_answers_a_further_question_need_not_be_better_but_not_worse_in_what_both_answer():
    before = changed(faults={"mode": FAULTS["mode"]})
    champion = replace(said(10), faults={"mode": MODE})
    rival = Rival("m version 3", before, champion)
    decision = decide(Candidate(TWIN, said(10), 2.0, 1.5), HELD_OUT, BASELINES, rival, PARAMS)
    assert decision.promoted, decision.reasons
    assert "it answers bearing too, which m version 3 does not" in decision.reasons
    assert decision.champion == {"rul_rmse": pytest.approx(10), "fault_macro_f1": 1}
    worse = decide(Candidate(TWIN, said(11), 2.0, 1.5), HELD_OUT, BASELINES, rival, PARAMS)
    assert not worse.promoted
    assert any("is 10.0 % more error than the champion's 10 h" in reason for reason in worse.reasons)


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"rul": None}, "it answers with an RUL, and now there is none"),
        ({"clock": {"unit": "cycle", "step": 1}}, "its time unit is h and now cycle"),
        ({"faults": {"mode": FAULTS["mode"]}}, "its classes of bearing are (good, worn) and now ()"),
    ],
)
def test_what_callers_would_not_understand_is_named(parts, sentence):
    assert sentence in breaks(tiny_twin(), changed(**parts))
    assert sentence in obstacles(tiny_twin(), changed(**parts))


def test_channels_break_callers_by_name_and_by_unit_and_the_way_forward_is_told():
    channels = {name: c.model_dump() for name, c in tiny_twin().channels.items()}
    moved = {"speed": channels["speed"] | {"unit": "rpm"}, "c1": channels["c1"], "c9": channels["c2"]}
    found = breaks(tiny_twin(), changed(channels=moved))
    assert found == (
        "channel c2 is in bar for it and absent now",
        "channel c9 is absent for it and in bar now",
        "channel speed is in bar for it and in rpm now",
    )
    rival = Rival("m version 3", tiny_twin(), None, found)
    decision = decide(Candidate(changed(channels=moved), said(10), 1, 1), HELD_OUT, BASELINES, rival, PARAMS)
    assert failed(decision) == {"contract"}
    assert 'foretwin promote pump --force "reason"' in decision.reasons[0]
