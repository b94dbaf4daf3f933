"""How candidates are mixed: on folds left out, near the end too, without a look at held-out pumps."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.accuracy.blend_means import Cuts, figures, ways
from benchmarks.render.cases import CASES

LATE = 0.6


def table_of(seed: int = 1) -> pd.DataFrame:
    """Two candidates of 40 pumps in 4 folds, each of which misses other pumps near their ends."""
    generator = np.random.default_rng(seed)
    truth = generator.uniform(0, 1, 1600)
    pump = np.repeat(np.arange(40), 40)
    missed = {name: (pump // 4 % 4 == i) & (truth < 0.5) for i, name in enumerate(("network", "linear"))}
    late = {name: truth + 0.4 * one + generator.normal(0, 0.05, 1600) for name, one in missed.items()}
    said = {f"{name}/rul": values.clip(0, 1) for name, values in late.items()}
    truth[::50] = np.nan
    return pd.DataFrame({"fold": pump % 4, "asset": pump, "truth/rul": truth, **said})


def test_a_way_is_judged_on_folds_that_it_has_not_learnt_from() -> None:
    table = table_of()
    cuts, other = Cuts.of(table, LATE, 0.05), table.copy()
    other.loc[other["fold"] == 2, "truth/rul"] = other["truth/rul"].mean()
    before, after = ways(cuts), ways(Cuts.of(other[table["truth/rul"].notna()], LATE, 0.05))
    for name, said in before.items():
        np.testing.assert_array_equal(said[cuts.folds == 2], after[name][cuts.folds == 2], err_msg=name)
    assert not np.array_equal(before["weighted_sum"], after["weighted_sum"])


def test_a_power_mean_is_less_late_where_each_misses_other_pumps_and_the_table_says_so() -> None:
    cuts = Cuts.of(table_of(), LATE, 0.05)
    found = figures(cuts, ways(cuts), cap=125.0)
    plain, chosen = found["weighted_sum"], found["chosen"]
    assert chosen["late_rmse"] < 0.7 * plain["late_rmse"]
    assert abs(chosen["late_bias"]) < 0.5 * plain["late_bias"]
    assert (chosen["better"], chosen["late_better"]) == (1.0, 1.0)
    near = cuts.truth <= LATE / 3 + 1e-9
    error = 125 * (cuts.answers[near, 0] - cuts.truth[near])
    assert found["network"]["late_bias"] == pytest.approx(error.mean(), abs=0.01)

    report = {"unit": "h", "late": 25.0, "cuts": len(cuts.truth), "pumps": 40, "ways": found}
    text = CASES["blend-means"](report)
    assert f"| chosen | {chosen['rmse']:.2f} | 100.0% |" in text
    assert f"| weighted sum | {plain['rmse']:.2f} |  |" in text
