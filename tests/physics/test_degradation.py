"""The degradation model: fitted, stored, read back, and asked."""

import json
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foretwin.contract.twin import load_twin
from foretwin.dataset.splits import prepare
from foretwin.errors import BadInput, BundleError, SourceError
from foretwin.physics.degradation import (
    DRAWS,
    TENTHS,
    DegradationModel,
    Pipe,
    forecast,
    load_degradation,
    save_degradation,
    save_no_degradation,
)
from foretwin.physics.degradation_fit import fit_degradation
from foretwin.physics.pump import LIMITS, learning
from foretwin.physics.pump.beliefs import Belief
from foretwin.physics.pump.filtering import Recordings
from foretwin.physics.pump.forecasting import estimate
from foretwin.project.paths import Paths
from foretwin.sources import pump
from support.pump_lives import CONTRACT, PREPARE, learnt, lives, pump_twin

ROOT = Path(__file__).parents[2]
STAGE = runpy.run_path(str(ROOT / "pipelines" / "degradation.py"))["main"]


@pytest.fixture(scope="module")
def forward(tmp_path_factory: pytest.TempPathFactory) -> DegradationModel:
    return learnt(tmp_path_factory.mktemp("forward") / "windows")


@pytest.fixture(scope="module")
def seen(forward: DegradationModel) -> tuple[Belief, Recordings]:
    """A pump that the fleet does not hold, at three quarters of its life."""
    times, values = lives(range(1000, 1001), 0.75).rows(0)
    counts = np.array([60])
    recent = Recordings.of(values[None, -60:], counts, pump_twin().channel_names, forward.sensors.names)
    return estimate(forward.fleet, recent, times[-1:], forward.sensors), recent


def test_what_was_learnt_is_kept_to_the_last_digit(forward: DegradationModel, tmp_path: Path) -> None:
    path = tmp_path / "pump" / "forward.json"
    save_degradation(forward, path)
    again = load_degradation(path)

    assert again.digest == forward.digest
    for one, other in (
        (again.fleet.by_age.mean, forward.fleet.by_age.mean),
        (again.fleet.by_age.covariance, forward.fleet.by_age.covariance),
        (again.fleet.law.drift, forward.fleet.law.drift),
        (again.sensors.share, forward.sensors.share),
        (again.trust, forward.trust),
    ):
        np.testing.assert_array_equal(one, other)
    assert (again.pipe, again.ran, again.cap, again.level) == (forward.pipe, forward.ran, 125, 0.9)
    assert again.learnt_from == {"contract": pump_twin().digest}


def test_the_pipe_and_the_range_of_duties_are_found_in_the_readings(forward: DegradationModel) -> None:
    speeds = np.array([3240.0, 3672.0])
    truth = 6.89 * (0.5 + 0.5 * (speeds / 3600) ** 2)
    np.testing.assert_allclose(forward.pipe.lift(speeds), truth, atol=0.05)
    assert forward.ran["commanded_speed"] == (3240, 3672)
    assert set(forward.ran) == {"commanded_speed", "ambient_temperature"}


def test_a_file_that_is_missing_damaged_or_altered_is_refused(forward: DegradationModel, tmp_path: Path) -> None:
    path = tmp_path / "pump" / "forward.json"
    with pytest.raises(BadInput, match=r"pump has no degradation model; run `dvc repro data/pump/dvc.yaml:deg"):
        load_degradation(path)
    save_degradation(forward, path)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "cap": 1000}))
    with pytest.raises(BundleError, match="altered"):
        load_degradation(path)
    path.write_text(json.dumps({**content, "format": 2}))
    with pytest.raises(BundleError, match="of format 1"):
        load_degradation(path)
    path.write_text(path.read_text()[:-20])
    with pytest.raises(BundleError, match="not JSON"):
        load_degradation(path)
    save_no_degradation("pump", "it is a stone", path)
    with pytest.raises(BadInput, match=r"^twin: pump has no degradation model: it is a stone$"):
        load_degradation(path)


def test_the_stage_learns_the_pump_and_says_why_another_twin_has_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(learning, "SPREADS", (0.1,))
    monkeypatch.setattr(learning, "ROUNDS", 1)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    for name in ("pump", "hydraulic"):
        Paths(tmp_path, name).data.mkdir(parents=True)
        Paths(tmp_path, name).contract.write_text((ROOT / "data" / name / "twin.yaml").read_text())
    small, windows = pump_twin(12), Paths(tmp_path, "pump").windows
    windows.mkdir()
    pump.fetch_pump(small, windows)
    prepare(pump.adapt_pump(small, windows), small, PREPARE, windows)

    STAGE("pump", tmp_path)
    STAGE("hydraulic", tmp_path)

    model = load_degradation(tmp_path / "models" / "pump" / "forward.json")
    assert model.level == 0.9
    assert model.learnt_from["contract"] == load_twin(CONTRACT).digest
    assert len(model.learnt_from["development.parquet"]) == 64
    with pytest.raises(BadInput, match=r"^twin: hydraulic .*source\.kind is hydraulic"):
        load_degradation(tmp_path / "models" / "hydraulic" / "forward.json")
    assert model.digest[:12] in capsys.readouterr().out


def test_only_what_the_physics_knows_is_learnt(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"source\.kind is hydraulic"):
        fit_degradation(None, load_twin(ROOT / "data" / "hydraulic" / "twin.yaml"), 0.9, {})


def test_the_options_of_one_forecast_share_their_luck(
    forward: DegradationModel, seen: tuple[Belief, Recordings]
) -> None:
    belief, recent = seen
    courses = [{"commanded_speed": np.full(forward.horizon, rpm)} for rpm in (3240.0, 3672.0)]
    together = forecast(forward, belief, recent, courses, np.random.default_rng(1)).left
    slow, fast = (
        forecast(forward, belief, recent, [course], np.random.default_rng(seed)).left[0]
        for seed, course in enumerate(courses, start=2)
    )

    def spread(gained: np.ndarray) -> float:
        low, high = np.quantile(gained, [0.05, 0.95])
        return high - low

    assert together.shape == (2, DRAWS)
    assert (together[0] >= together[1]).all(), "the slower pump outlives the faster one in every draw"
    assert spread(together[0] - together[1]) < 0.75 * spread(slow - fast)


def test_a_slower_pump_works_against_less_pressure(forward: DegradationModel, seen: tuple[Belief, Recordings]) -> None:
    belief, recent = seen
    worn = replace(belief, mean=belief.mean + np.array([0, 0, 0, 2.0, -3, -3, *[0] * (belief.mean.shape[1] - 6)]))
    slower = [{"commanded_speed": np.full(forward.horizon, 3000.0)}]
    stiff = replace(forward, pipe=Pipe(still=forward.pipe.still + forward.pipe.moving, moving=0))
    against_less, against_as_much = (
        forecast(model, worn, recent, slower, np.random.default_rng(1)) for model in (forward, stiff)
    )
    worn_out = against_less.limit == LIMITS.index("impeller_area")
    assert worn_out.mean() > 0.5
    assert (against_less.left <= against_as_much.left)[worn_out].all(), "more flows, and wears the impeller"
    assert against_less.left[worn_out].mean() < 0.97 * against_as_much.left[worn_out].mean()


def test_an_option_that_says_what_happens_anyway_changes_nothing(
    forward: DegradationModel, seen: tuple[Belief, Recordings]
) -> None:
    belief, recent = seen
    steady = replace(recent, settings={**recent.settings, "commanded_speed": np.full((60, 1), 3456.0)})
    courses = [{}, {"commanded_speed": np.full(forward.horizon, 3456.0)}]
    left = forecast(forward, belief, steady, courses, np.random.default_rng(1)).left
    np.testing.assert_array_equal(left[0], left[1])


def test_draws_are_trusted_as_lives_ended_among_them(forward: DegradationModel) -> None:
    trust = np.full_like(forward.trust, 1 / TENTHS)
    trust[-1] = [0.5, 0.5, *[0] * (TENTHS - 2)]
    model = replace(forward, trust=trust)
    hopeful = np.append(np.arange(10) * 10.0, np.full(190, np.inf))

    np.testing.assert_allclose(model.weights(np.arange(200) / 2), 1 / 200)  # a median of 50 h: as the draws say
    weights = model.weights(hopeful)
    assert weights.sum() == pytest.approx(1)
    assert weights[:10].sum() == pytest.approx(0.25)
    assert np.ptp(weights[10:]) == 0, "who outlives the horizon is told apart from nobody"


def test_it_is_learnt_that_forecasts_are_too_hopeful_for_pumps_in_order_only(forward: DegradationModel) -> None:
    tenth = forward.trust @ np.arange(TENTHS)
    np.testing.assert_allclose(forward.trust.sum(axis=1), 1)
    assert 2.5 < tenth[0] < 6.5
    assert tenth[-1] < tenth[:2].min() - 0.5


def test_asking_the_model_needs_nothing_of_training() -> None:
    heavy = {
        "torch",
        "lightning",
        "sklearn",
        "scipy",
        "mlflow",
        "matplotlib",
        "foretwin.dataset.splits",
        "foretwin.sources",
    }
    code = f"import sys, foretwin.physics.degradation; print(*({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
