"""Several seeds as one figure, what chance may have done, and figures by remaining life."""

import numpy as np
import pytest

from foretwin.evaluation.resampling import band_name, bootstrap, by_band, over_seeds, remaining_life_bands


def figures(error: float, f1: float) -> dict:
    return {
        "rul": {
            "clipped": {"rmse": error, "phm08": 10 * error},
            "unclipped": {"rmse": 2 * error, "phm08": 20 * error},
            "interval": {"level": 0.9, "coverage": 0.8 + error / 100, "width": 3 * error},
        },
        "fault": {"mode": {"macro_f1": f1}},
    }


def test_mean_spread_and_ensemble_stand_beside_each_other():
    found = over_seeds([figures(10, 0.5), figures(12, 0.9)], figures(9, 0.8))
    assert found["rul"]["clipped"]["mean"] == {"rmse": 11, "phm08": 110}
    assert found["rul"]["clipped"]["sd"]["rmse"] == 1
    assert found["rul"]["unclipped"]["ensemble"]["rmse"] == 18
    assert found["rul"]["interval"]["level"] == 0.9
    assert found["rul"]["interval"]["width"] == 33
    assert found["rul"]["interval"]["ensemble"]["width"] == 27
    assert found["fault"]["mode"]["macro_f1"] == pytest.approx(0.7)
    assert found["fault"]["mode"]["ensemble"]["macro_f1"] == 0.8


def test_each_subset_has_the_same_figures_over_seeds():
    seeds = [figures(10, 0.5), figures(12, 0.9)]
    parted = [one | {"subsets": {"stable": figures(error, 0.6)}} for one, error in zip(seeds, (4, 6), strict=True)]
    ensemble = figures(9, 0.8) | {"subsets": {"stable": figures(3, 0.7)}}
    found = over_seeds(parted, ensemble)
    stable = found.pop("subsets")["stable"]
    assert found == over_seeds(seeds, figures(9, 0.8))
    assert stable == over_seeds([figures(4, 0.6), figures(6, 0.6)], figures(3, 0.7))


def test_a_figure_that_one_seed_does_not_know_is_unknown_and_not_a_mean_of_the_others():
    found = over_seeds([figures(10, float("nan")), figures(12, 0.9)], figures(9, 0.8))
    assert np.isnan(found["fault"]["mode"]["macro_f1"])


def test_the_bootstrap_draws_whole_assets():
    assets = np.repeat(["a", "b"], 50)
    values = np.repeat([0.0, 1.0], 50)
    means = bootstrap(lambda chosen: float(values[chosen].mean()), assets, seed=1)
    assert means == (0, 1), "with two assets a draw may well hold only one of them"
    alone = bootstrap(lambda chosen: float(values[chosen].mean()), np.arange(100), seed=1)
    assert 0.35 < alone[0] < 0.45
    assert 0.55 < alone[1] < 0.65


def test_the_bootstrap_covers_the_true_figure_about_as_often_as_it_says():
    hits = 0
    for seed in range(40):
        values = np.random.default_rng(seed).normal(5, 1, 60)
        low, high = bootstrap(lambda chosen, v=values: float(v[chosen].mean()), np.arange(60), seed)
        hits += low <= 5 <= high
    assert 34 <= hits <= 40


def test_every_prediction_with_a_known_rul_is_in_one_band():
    truth = np.array([0.0, 19.9, 20, 99.9, 100, 300, np.nan])
    bands = remaining_life_bands(truth, 100)
    assert np.sum(list(bands.values()), axis=0).tolist() == [1] * 6 + [0]
    assert bands["0 to 20"].tolist() == [True, True, False, False, False, False, False]
    assert list(bands.values())[-1].tolist() == [False, False, False, False, True, True, False]


def test_figures_by_band_are_those_of_its_predictions_alone():
    truth = np.array([5.0, 15, 50, 250])
    faults = {"mode": (np.array([1, 0, 2, 0]), np.array([1, 1, 2, 0]), 3)}
    found = by_band(truth, 100, np.array([8.0, 11, 50, 90]), faults)
    assert found["0 to 20"]["count"] == 2
    assert found["0 to 20"]["rmse"] == pytest.approx(np.sqrt((9 + 16) / 2))
    assert found["0 to 20"]["mode"] == pytest.approx((2 / 3 + 0) / 2)
    assert found["40 to 60"]["rmse"] == 0
    assert found["100 or more, or unknown"]["rmse"] == 10
    assert np.isnan(found["80 to 100"]["rmse"])


def test_a_band_s_name_has_no_exponent_which_mlflow_refuses():
    assert band_name(7822.4, 10_560, 4) == "7822 to 10560"
    assert band_name(0, 1.2345678e6, 4) == "0 to 1235000"
    assert band_name(0.5, 1 / 3, 4) == "0.5 to 0.3333"
