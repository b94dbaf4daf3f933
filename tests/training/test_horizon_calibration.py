"""Chances of a failure: they rise with the horizon, fall with the RUL, and come true as often as they say."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from foretwin.contract.twin import Twin
from foretwin.dataset.splits import Development
from foretwin.dataset.windows import deal_folds
from foretwin.evaluation.failure_figures import brier_score, concordance, failure_figures, integrated_brier
from foretwin.predictor.failure_chances import failure_column
from foretwin.predictor.rul_intervals import RulIntervals
from foretwin.training.horizon_calibration import fit_failure_chances
from support.tiny_bundle import asks_chances, random_rows, tiny_twin

HORIZONS = (10.0, 24.0, 60.0)
TWIN = asks_chances(tiny_twin(), *HORIZONS)


def lived(machines: int, seed: int, followed: bool = True) -> Development:
    """Machines that fail after 60 to 300 h; where they are not `followed` for good, a study ends after 30 to 250 h."""
    generator = np.random.default_rng(seed)
    lives = generator.integers(60, 300, machines)
    ends = generator.integers(30, 250, machines)
    seen = lives if followed else np.minimum(lives, ends)
    rows = random_rows(TWIN, {f"m{i:03}": int(count) for i, count in enumerate(seen)}, seed)
    number = rows["asset"].str[1:].astype(int).to_numpy()
    left = lives[number] - rows["time"].to_numpy()
    outlived = seen[number] - rows["time"].to_numpy() >= TWIN.rul.cap
    rul = np.where(seen[number] == lives[number], left, np.where(outlived, np.inf, np.nan))
    rows = rows.assign(rul=rul.astype(np.float32), fault_mode=-1, fault_bearing=-1, fixed_split="", subset="")
    return Development.of(rows, deal_folds(rows, 0, 5, seed), TWIN, 20, seed)


def said_of(development: Development, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What a model says of all known cuts, fold by fold: the capped life with an error of 15 h; and the life."""
    cuts = np.concatenate([development.cuts[development.fold[development.cuts] == one] for one in development.folds])
    left = development.histories.rul[cuts].astype(np.float64)
    left = left[~np.isnan(left)]
    said = np.minimum(left, TWIN.rul.cap) + np.random.default_rng(seed).normal(0, 15, len(left))
    return said.clip(0, TWIN.rul.cap), left


@pytest.mark.parametrize("followed", [True, False])
def test_they_come_true_as_often_as_they_say_of_machines_that_nobody_has_seen(followed):
    development = lived(300, 1, followed)
    chances = fit_failure_chances(said_of(development, 2)[0], development, TWIN)
    said, left = said_of(lived(300, 3), 4)
    columns = np.stack(list(chances.columns(said).values()))
    for column, horizon in zip(columns, HORIZONS, strict=True):
        assert column.mean() == pytest.approx((left <= horizon).mean(), abs=0.03)
        for low, high in pairwise([0, 0.2, 0.5, 0.8, 1]):
            inside = (column >= low) & (column < high)
            if inside.sum() > 100:
                assert column[inside].mean() == pytest.approx((left[inside] <= horizon).mean(), abs=0.12)


def test_they_rise_with_the_horizon_and_fall_with_the_rul():
    development = lived(40, 5)
    chances = fit_failure_chances(said_of(development, 6)[0], development, TWIN)
    curves = np.array(chances.chances)
    assert (np.diff(curves, axis=0) >= -1e-12).all()
    assert (np.diff(curves, axis=1) <= 1e-12).all()
    assert ((curves > 0) & (curves < 1)).all(), "nothing is certain"
    kept = RulIntervals(0.9, (0.0,), (1.0,), (1.0,), chances)
    assert RulIntervals.from_dict(kept.to_dict()) == kept


def test_a_contract_without_horizons_has_none_of_it():
    development = lived(20, 7)
    assert fit_failure_chances(said_of(development, 8)[0], development, tiny_twin()) is None
    assert "failure" not in RulIntervals(0.9, (0.0,), (1.0,), (1.0,)).to_dict()
    assert "horizons" not in tiny_twin().model_dump_json()
    assert failure_figures(tiny_twin(), development, pd.DataFrame(), pd.DataFrame()) == {}


@pytest.mark.parametrize("horizons", [(24, 10), (10, 10), (0, 10), (10, 100), (1, 2, 3, 4, 5, 6)])
def test_horizons_that_cannot_be_answered_are_refused(horizons):
    with pytest.raises(ValidationError, match="horizons"):
        asks_chances(tiny_twin(), *horizons)


def test_an_axis_that_has_the_name_of_the_chances_is_refused():
    content = TWIN.model_dump()
    content["faults"]["p_failure"] = content["faults"]["mode"]
    with pytest.raises(ValidationError, match="p_failure has the name"):
        Twin.model_validate(content)


def test_the_figures_are_those_worked_by_hand():
    failed, even = np.array([True, False, False]), np.ones(3)
    assert brier_score(np.array([0.5, 0.5, 0.0]), failed, even) == pytest.approx(0.5 / 3)
    assert brier_score(np.array([0.5, 0.5, 0.0]), failed, np.array([2.0, 1, 1])) == pytest.approx(0.75 / 4)
    assert integrated_brier([0.1, 0.2], (10.0, 30.0)) == pytest.approx((0.5 + 3) / 30)
    left = np.array([5.0, 20, np.inf, np.inf])
    assert concordance(np.array([1.0, 2, 3, 4]), left, np.ones(4)) == 1
    assert concordance(np.array([4.0, 2, 3, 3]), left, np.ones(4)) == pytest.approx(2 / 5)
    assert concordance(np.array([1.0, 1, 1, 1]), left, np.ones(4)) == 0.5


def test_a_life_that_fails_after_its_last_row_goes_on_until_then():
    rows = random_rows(TWIN, {f"m{i:03}": 41 for i in range(10)}, 1)
    rows = rows.assign(rul=(100 - rows["time"]).astype(np.float32), fault_mode=-1, fault_bearing=-1)
    rows = rows.assign(fixed_split="", subset="")
    development = Development.of(rows, deal_folds(rows, 0, 5, 1), TWIN, 20, 1)
    cut = rows[(rows["asset"] == "m000") & (rows["time"] <= 30)]
    scores = pd.DataFrame({"rul": [70.0]} | {failure_column(one): [0.0] for one in HORIZONS})
    floor = failure_figures(TWIN, development, cut, scores)["floors"]["kaplan_meier"]
    assert floor["brier"]["24"] == 0, "nobody fails at 41 h, where the readings end"
