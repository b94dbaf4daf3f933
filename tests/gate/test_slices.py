"""Parts of the held-out windows, and what chance does to them."""

from dataclasses import replace

import numpy as np
import pytest

from foretwin.evaluation.held_out import Predictions
from foretwin.evaluation.resampling import RESAMPLES as DRAWS
from foretwin.evaluation.resampling import Resamples
from foretwin.gate.figures import Check
from foretwin.gate.slices import slice_figures
from foretwin.metrics import macro_f1, rmse
from support.held_out_windows import ASSETS, BEARING, COUNT, HELD_OUT, MODE, PARAMS, RUL, SIGNS, TWIN, WINDOWS, said

PARTED = replace(
    HELD_OUT,
    truth=replace(HELD_OUT.truth, subset=np.where(np.arange(COUNT) < COUNT // 2, "cold", "warm")),
    regimes=np.arange(COUNT) % 2,
)
RESAMPLES = Resamples(PARTED.assets)


def sliced(ours: Predictions, theirs: Predictions | None = None) -> tuple[dict, list[Check]]:
    figures, checks = slice_figures(TWIN, PARTED, RESAMPLES, ours, theirs, PARAMS)
    return {(one.kind, one.name, one.question): one for one in figures}, checks


def test_every_part_of_the_data_has_its_figures():
    figures, checks = sliced(said(10, 4))
    assert checks == []
    names = {(kind, name) for kind, name, _ in figures}
    assert names == {
        ("all", "all"),
        ("subset", "cold"),
        ("subset", "warm"),
        *(("fault", f"mode: {name}") for name in ("healthy", "wear", "leak")),
        *(("fault", f"bearing: {name}") for name in ("good", "worn")),
        ("regime", "regime 0"),
        ("regime", "regime 1"),
        *(("life", f"{name} h") for name in ("25 to 50", "50 to 75")),  # no window has less left, or more
    }
    cold = figures["subset", "cold", "rul_rmse"]
    assert (cold.assets, cold.windows, cold.champion) == (ASSETS // 2, COUNT // 2, None)
    assert cold.candidate == pytest.approx(10)
    leaks = MODE == 2
    wrong = (said(10, 4).faults["mode"] != MODE)[leaks].mean()
    assert figures["fault", "mode: leak", "fault_error"].candidate == pytest.approx(wrong)
    both = (said(10, 4).faults["mode"] != MODE).mean() / 2  # the other axis is told right
    assert figures["all", "all", "fault_error"].candidate == pytest.approx(both)


def test_an_interval_holds_its_figure_and_narrows_with_more_assets():
    noisy = replace(said(10), rul=RUL + np.random.default_rng(1).normal(0, 10, COUNT))
    figures, _ = sliced(noisy)
    whole, part = figures["all", "all", "rul_rmse"], figures["subset", "cold", "rul_rmse"]
    for one in (whole, part):
        assert one.low < one.candidate < one.high
    assert part.high - part.low > whole.high - whole.low


def worse_where(chosen: np.ndarray, rmse: float) -> Predictions:
    """An RUL that errs by 8 h, and by `rmse` in the chosen windows."""
    return replace(said(8), rul=RUL + np.where(chosen, rmse, 8) * SIGNS)


@pytest.mark.parametrize(
    ("chosen", "kind"),
    [
        (np.asarray(PARTED.truth.subset == "cold"), "in subset cold (20 assets)"),
        (PARTED.regimes == 1, "in operating regime 1 (40 assets)"),
        (RUL >= 50, "in 50 to 75 h of life left"),
    ],
)
def test_a_slice_that_is_worse_by_more_than_its_limit_refuses_though_the_whole_is_better(chosen, kind):
    ours, theirs = worse_where(chosen, 11.2), said(10)
    assert rmse(ours.rul, RUL) < 10
    _, checks = sliced(ours, theirs)
    assert all(not check.passed for check in checks)
    told = [check.sentence for check in checks if check.sentence.startswith(kind)]
    assert len(told) == 1
    assert "RUL RMSE 11.2 h against the champion's 10 h" in told[0]
    _, checks = sliced(worse_where(chosen, 10.4), theirs)
    assert [check.passed for check in checks] == [True]


def test_a_fault_class_that_is_told_worse_refuses():
    mode = np.where(MODE == 2, 0, MODE)  # it never sees a leak
    ours = replace(said(8), faults={"mode": mode, "bearing": BEARING})
    _, checks = sliced(ours, said(10, 4))
    assert any(check.sentence.startswith("in windows of mode: leak") and not check.passed for check in checks)


def test_a_slice_of_few_assets_decides_nothing():
    few = np.arange(COUNT) < 4 * WINDOWS
    held_out = replace(PARTED, truth=replace(PARTED.truth, subset=np.where(few, "odd", "")))
    ours = worse_where(few, 30)
    figures, checks = slice_figures(TWIN, held_out, RESAMPLES, ours, said(10), PARAMS)
    odd = next(one for one in figures if one.name == "odd")
    assert odd.candidate > 2 * odd.champion
    assert not any("odd" in check.sentence for check in checks)


def test_equally_good_models_are_seldom_refused_for_a_slice():
    """Of a dozen slices, one is soon worse by chance; two models that err alike must not be held up by that."""
    generator, refused = np.random.default_rng(5), 0
    for _ in range(40):
        noise = generator.normal(0, 8, (2, COUNT)) + generator.normal(0, 6, (2, ASSETS)).repeat(WINDOWS, axis=1)
        ours, theirs = (replace(said(10), rul=RUL + part) for part in noise)
        _, checks = sliced(ours, theirs)
        refused += not all(check.passed for check in checks)
    assert refused <= 5


def test_resampled_figures_are_those_of_the_drawn_predictions():
    """Held against the plain metrics on the predictions that a resample draws."""
    generator = np.random.default_rng(2)
    assets = np.array(["b", "a", "c", "a", "b", "c", "c"])
    truth, predicted = np.array([0, 1, 2, -1, 1, 0, 2]), generator.integers(0, 3, 7)
    values = np.array([1.0, 2, np.nan, 4, 5, 6, 7])
    resamples = Resamples(assets)
    scores, means = resamples.macro_f1(predicted, truth, 3), resamples.means(values[:, None])[:, 0]
    _, number = np.unique(assets, return_inverse=True)
    for draw in range(0, DRAWS, 97):
        chosen = np.repeat(np.arange(7), resamples._draws[draw, number].astype(int))
        assert scores[draw] == pytest.approx(macro_f1(predicted[chosen], truth[chosen], 3), nan_ok=True)
        drawn = values[chosen]
        expected = np.nanmean(drawn) if (~np.isnan(drawn)).any() else np.nan
        assert means[draw] == pytest.approx(expected, nan_ok=True)


def test_the_same_question_gets_the_same_answer():
    one, two = (Resamples(PARTED.assets) for _ in range(2))
    assert np.array_equal(one.sums(RUL[:, None]), two.sums(RUL[:, None]))
