"""The gate's decisions, from figures worked by hand."""

import math

import pytest
from tiny_bundle import FAULTS, REMEDY, tiny_twin

from foretwin.contract import Twin
from foretwin.errors import RegistryError
from foretwin.gate import Decision, Rival, decide, figures, obstacles, unchanged

NAMES = ("constant", "linear", "gradient_boosting")


def measured(rmse: float | None = None, f1: tuple[float, ...] = ()) -> dict:
    result: dict = {}
    if rmse is not None:
        result["rul"] = {"clipped": {"rmse": rmse, "phm08": 1.0, "rmse_late": 1.0}}
    if f1:
        result["fault"] = {f"axis_{i}": {"macro_f1": value, "accuracy": 0.9} for i, value in enumerate(f1)}
    return result


def metrics(network: dict, *baselines: dict) -> dict:
    return {"unit": "h", "network": network, "baselines": dict(zip(NAMES, baselines, strict=False))}


def rul(candidate: float, champion: float | None = None, allowed: float = 0.02) -> Decision:
    rival = None if champion is None else Rival("m version 3", {"rul_rmse": champion})
    return decide(metrics(measured(candidate), measured(40.0), measured(20.0), measured(9.0)), rival, allowed)


def test_a_candidate_that_beats_both_baselines_is_promoted_where_there_is_no_champion():
    decision = rul(10.0)
    assert decision.promoted
    assert "RUL RMSE 10 h beats the constant baseline's 40 h" in decision.reasons
    assert "RUL RMSE 10 h beats the linear baseline's 20 h" in decision.reasons
    assert any("no champion yet" in reason for reason in decision.reasons)


def test_a_better_gradient_boosting_is_shown_but_does_not_decide():
    decision = rul(10.0)
    assert decision.baselines["gradient_boosting"] == {"rul_rmse": 9.0}
    shown = [reason for reason in decision.reasons if "gradient boosting" in reason]
    assert shown == ["beside it, gradient boosting has RUL RMSE 9 h, better than 10 h; it does not decide"]


@pytest.mark.parametrize("candidate", [20.0, 20.1, 39.0, 50.0])
def test_a_candidate_no_better_than_a_baseline_is_refused(candidate):
    decision = rul(candidate)
    assert not decision.promoted
    assert any("does not beat the linear baseline's 20 h" in reason for reason in decision.reasons)


@pytest.mark.parametrize(("candidate", "promoted"), [(9.0, True), (10.0, True), (10.2, True), (10.21, False)])
def test_a_candidate_may_be_worse_than_the_champion_by_the_allowed_share_only(candidate, promoted):
    assert rul(candidate, champion=10.0).promoted is promoted


def test_a_refusal_names_both_figures_the_version_and_the_limit():
    reasons = rul(10.5, champion=10.0).reasons
    assert (
        "RUL RMSE 10.5 h is 5.0 % more error than the champion's 10 h (m version 3), above the 2 % allowed" in reasons
    )


def test_figures_that_differ_are_never_printed_alike():
    assert any("19.9999 h beats the linear baseline's 20 h" in reason for reason in rul(19.9999).reasons)


@pytest.mark.parametrize("champion", [None, 10.0, math.nan])
def test_a_candidate_that_is_not_a_number_never_passes(champion):
    decision = rul(math.nan, champion)
    assert not decision.promoted
    assert len([reason for reason in decision.reasons if "never passes" in reason]) == 1


def test_an_infinite_error_never_passes():
    everything = [measured(math.inf)] * 3
    assert not decide(metrics(measured(math.inf), *everything), None, 0.02).promoted


def test_null_in_json_is_not_a_number():
    assert math.isnan(figures(measured(None) | {"rul": {"clipped": {"rmse": None}}}, "here")["rul_rmse"])


def test_a_baseline_that_is_not_a_number_is_not_beaten():
    assert not decide(metrics(measured(10.0), measured(math.nan), measured(20.0)), None, 0.02).promoted


def test_a_champion_that_is_not_a_number_does_not_hold_up_a_good_candidate():
    decision = rul(10.0, champion=math.nan)
    assert decision.promoted
    assert any("is not a number on these rows" in reason for reason in decision.reasons)


def test_both_questions_must_pass_where_a_twin_asks_both():
    good, weak = measured(10.0, (0.9, 0.8)), measured(10.0, (0.5, 0.5))
    baselines = [measured(40.0, (0.2, 0.2)), measured(20.0, (0.6, 0.6))]
    assert decide(metrics(good, *baselines), None, 0.02).promoted
    refused = decide(metrics(weak, *baselines), None, 0.02)
    assert not refused.promoted
    assert "mean fault macro-F1 0.5 does not beat the linear baseline's 0.6" in refused.reasons


@pytest.mark.parametrize(("f1", "promoted"), [(0.95, True), (0.9, True), (0.899, True), (0.897, False)])
def test_macro_f1_is_compared_by_what_it_leaves_to_one(f1, promoted):
    baselines = [measured(f1=(0.2,)), measured(f1=(0.6,))]
    rival = Rival("m version 3", {"fault_macro_f1": 0.9})  # an error of 0.1: up to 0.102 is allowed
    assert decide(metrics(measured(f1=(f1,)), *baselines), rival, 0.02).promoted is promoted


def test_one_axis_that_is_not_a_number_spoils_the_mean():
    baselines = [measured(f1=(0.2, 0.2)), measured(f1=(0.3, 0.3))]
    assert not decide(metrics(measured(f1=(0.9, math.nan)), *baselines), None, 0.02).promoted


def test_a_champion_of_another_contract_is_named_and_not_compared():
    decision = decide(
        metrics(measured(10.0), measured(40.0), measured(20.0)), Rival("m version 3", None, ("its rul.cap is 9",)), 0.02
    )
    assert decision.promoted
    assert any("m version 3, cannot be compared: its rul.cap is 9;" in reason for reason in decision.reasons)


def test_the_champion_itself_stays():
    decision = unchanged(metrics(measured(50.0), measured(40.0), measured(20.0)), "m version 3")
    assert decision.promoted
    assert decision.reasons == (
        "the bundle is the champion already, m version 3: it stays, and no new version is made",
    )


@pytest.mark.parametrize(
    "broken",
    [
        {"unit": "h", "network": measured(1.0), "baselines": {"constant": measured(2.0)}},
        metrics({}, measured(2.0), measured(2.0)),
        metrics({"rul": {}}, measured(2.0), measured(2.0)),
        metrics({"rul": {"clipped": {"rmse": "1"}}}, measured(2.0), measured(2.0)),
        metrics(measured(1.0), measured(2.0), measured(f1=(0.5,))),
        {"network": measured(1.0), "baselines": {"constant": measured(2.0), "linear": measured(2.0)}},
    ],
)
def test_metrics_that_lack_a_figure_are_an_error_and_not_a_verdict(broken):
    with pytest.raises(RegistryError, match="evaluate"):
        decide(broken, None, 0.02)


def changed(**parts: object) -> Twin:
    return Twin.model_validate(tiny_twin().model_dump() | parts)


def test_a_new_description_or_wider_limits_do_not_hinder_a_comparison():
    channels = {name: c.model_dump() | {"max": 2000} for name, c in tiny_twin().channels.items()}
    assert obstacles(tiny_twin(), changed(description="new", channels=channels)) == ()


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"rul": {"cap": 90, "remedy": REMEDY}}, "its rul.cap is 100 and now 90"),
        ({"rul": None}, "its rul.cap is 100 and now absent"),
        ({"clock": {"unit": "cycle", "step": 1}}, "its time unit is h and now cycle"),
        ({"faults": {"mode": FAULTS["mode"]}}, "its classes of bearing are (good, worn) and now ()"),
        ({"window": {"length": 4, "shortest": 2}}, "its window is longer than what these rows keep"),
    ],
)
def test_what_hinders_a_comparison_is_named(parts, sentence):
    assert obstacles(tiny_twin(), changed(**parts)) == (sentence,)


def test_channels_hinder_a_comparison_by_name_and_by_unit():
    channels = {name: c.model_dump() for name, c in tiny_twin().channels.items()}
    moved = {"speed": channels["speed"] | {"unit": "rpm"}, "c1": channels["c1"], "c9": channels["c2"]}
    assert obstacles(tiny_twin(), changed(channels=moved)) == (
        "channel c2 is in bar for it and absent now",
        "channel c9 is absent for it and in bar now",
        "channel speed is in bar for it and in rpm now",
    )
