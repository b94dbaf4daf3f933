"""The wear filter alone and the age alone, as the rules of cases take them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.accuracy import cases, plain_scores
from benchmarks.accuracy.censoring import lives
from benchmarks.accuracy.followed_cases import alarms_by_asset
from benchmarks.accuracy.plain_scores import EVERY, AgeAlone, WearFilter
from foretwin.dataset.windows import Histories
from foretwin.physics.degradation import DegradationModel, Pipe
from foretwin.physics.pump import learning
from foretwin.physics.pump_prognosis import data_sheets, lives_of
from support.pump_lives import pump_twin

PUMP = pump_twin()


@pytest.fixture(scope="module")
def recorded() -> pd.DataFrame:
    """The development pumps."""
    return lives(8, 7, PUMP)


@pytest.fixture(scope="module")
def truth() -> pd.DataFrame:
    """The pumps that are followed, of which the one that lives longer comes last."""
    rows = lives(3, 11, PUMP)
    return rows[rows["asset"] != "P-001"].reset_index(drop=True)


@pytest.fixture(scope="module")
def followed(truth: pd.DataFrame, recorded: pd.DataFrame) -> pd.DataFrame:
    known = lives_of(Histories.from_rows(recorded, PUMP), PUMP)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(learning, "SPREADS", (0.1,))
        patched.setattr(learning, "ROUNDS", 1)
        patched.setattr(plain_scores, "DRAWS", 20)
        fleet = learning.learn_fleet(known, data_sheets())
        model = DegradationModel("pump", fleet, data_sheets(), Pipe(0, 0), {}, 125, 0.9, np.ones((5, 10)), {})
        return WearFilter(model, known, PUMP).scores(truth, seed=1)


def test_the_filter_forecasts_each_pump_again_and_again_and_sees_its_end(
    truth: pd.DataFrame, followed: pd.DataFrame
) -> None:
    rows = truth.groupby("asset", sort=False).size() - PUMP.window.shortest + 1
    assert followed.groupby("asset").size().to_dict() == (-(-rows // EVERY)).to_dict()
    both = followed.merge(truth[["asset", "time", "rul"]].rename(columns={"rul": "left"}), on=["asset", "time"])
    assert len(both) == len(followed)
    assert ((both["rul_low"] <= both["rul"]) & (both["rul"] <= both["rul_high"])).all()
    near = both[both["left"] < 24]
    assert (near["rul"] - near["left"]).abs().mean() < 15
    assert both[both["left"] > 125]["rul"].mean() > 2 * near["rul"].mean()


def test_a_case_by_the_filter_names_no_fault_and_opens_before_the_end(
    truth: pd.DataFrame, followed: pd.DataFrame
) -> None:
    alarms = alarms_by_asset(followed, PUMP)
    found = cases.figures(alarms, truth, PUMP)
    assert found["failures"] == 2
    assert all(one.stands for one in alarms.values())
    assert found["median_warning"] > 24


def test_of_the_age_alone_is_known_how_many_pumps_lived_on(truth: pd.DataFrame, recorded: pd.DataFrame) -> None:
    scores = AgeAlone.of(Histories.from_rows(recorded, PUMP), PUMP, 0.9).scores(truth)
    assert len(scores) == (truth.groupby("asset").size() - PUMP.window.shortest + 1).sum()
    of_age = scores.groupby("time")[["rul", "rul_low", "rul_high"]]
    assert (of_age.max() == of_age.min()).all(axis=None), "all pumps of an age are told the same"
    ends = np.sort(recorded.groupby("asset", sort=False)["time"].max().to_numpy())
    first = scores.iloc[0]
    left = np.minimum(ends - first["time"], 125)
    assert first["rul"] == pytest.approx(left.mean(), abs=0.6)
    at = scores[scores["time"] == 150].iloc[0]
    left = ends[ends > 150] - 150
    assert at["rul_low"] == pytest.approx(left.min(), abs=1)


def test_a_run_that_was_stopped_goes_on_from_the_fleets_that_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed_fleets: list[int] = []

    class Few:
        pump, digest = PUMP, "few"

        def figures_of_fleet(self, fleet: int) -> dict[str, dict[str, float]]:
            followed_fleets.append(fleet)
            if fleet == 2 and followed_fleets.count(2) == 1:
                raise KeyboardInterrupt
            return {"served": {"failures": 30, **dict.fromkeys(cases.FIGURES, 0.5 + fleet)}}

    monkeypatch.setattr(cases.Judged, "load", lambda _: Few())
    with pytest.raises(KeyboardInterrupt):
        cases.main(3, tmp_path)
    cases.main(3, tmp_path)
    assert followed_fleets == [0, 1, 2, 2]
    assert '"mean": 1.5' in (tmp_path / "reports" / "cases.json").read_text()
    assert not list(tmp_path.rglob("fleet-*.json")), "what is kept is for an unfinished run alone"
