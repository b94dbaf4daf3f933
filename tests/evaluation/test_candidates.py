"""Models beside each other: which has the least error, and which are not surely worse."""

from dataclasses import replace

import numpy as np
import pytest

from foretwin.evaluation.candidates import compare_models
from foretwin.evaluation.held_out import HeldOut, Predictions, Truth
from support.small_fleet import CAP, fleet_twin

TWIN = fleet_twin()
MACHINES, EACH = 20, 4


@pytest.fixture
def held_out() -> HeldOut:
    generator = np.random.default_rng(1)
    count = MACHINES * EACH
    faults = {axis: generator.integers(0, len(TWIN.classes(axis)), count) for axis in TWIN.axes}
    truth = Truth(generator.uniform(0, 1.5 * CAP, count), faults, np.full(count, ""))
    assets = np.repeat([f"f{number:02d}" for number in range(MACHINES)], EACH)
    return HeldOut(truth, assets, np.zeros(count, np.int64))


def erring(held_out: HeldOut, by: float, wrong: int) -> Predictions:
    """A model whose RUL errs by this much to either side, and whose first class of each axis is wrong so often."""
    generator, truth = np.random.default_rng(2), held_out.truth
    sign = generator.choice([-1.0, 1.0], len(truth.rul))
    faults = {axis: np.where(np.arange(len(true)) < wrong, (true + 1) % 2, true) for axis, true in truth.faults.items()}
    return Predictions(np.minimum(truth.rul, CAP) + by * sign, faults)


def test_the_best_model_is_named_and_how_often_others_err_no_more(held_out: HeldOut) -> None:
    said = {
        "network": erring(held_out, 2, 8),
        "twin of it": erring(held_out, 2, 8),
        "constant": erring(held_out, 9, 60),
    }
    found = compare_models(TWIN, held_out, said)
    assert list(found) == ["rul", *TWIN.axes]
    for told in found.values():
        assert told == {"best": "network", "chances": {"twin of it": 1, "constant": 0}}


def test_a_model_that_errs_more_on_a_few_machines_alone_is_not_surely_worse(held_out: HeldOut) -> None:
    best, other = erring(held_out, 3, 0), erring(held_out, 3, 0)
    rul = other.rul.copy()
    rul[:EACH] += 4 * np.sign(rul[:EACH] - np.minimum(held_out.truth.rul[:EACH], CAP))
    said = {"network": best, "other": replace(other, rul=rul)}
    told = compare_models(TWIN, held_out, said)["rul"]
    assert told["best"] == "network"
    assert told["chances"]["other"] == pytest.approx((1 - 1 / MACHINES) ** MACHINES, abs=0.03), "it is not drawn"


def test_a_question_whose_truth_nobody_knows_is_left_out(held_out: HeldOut) -> None:
    unknown = replace(held_out.truth, rul=np.full(MACHINES * EACH, np.nan))
    assert "rul" not in compare_models(TWIN, replace(held_out, truth=unknown), {"network": erring(held_out, 1, 0)})
