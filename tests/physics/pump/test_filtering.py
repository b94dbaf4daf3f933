"""The filter, what it learns and what it forecasts, on pumps whose hidden wear is known."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from foretwin.physics.pump import (
    LIMITS,
    PUBLISHED,
    Duty,
    State,
    WearRates,
    equilibrium,
    life_ended,
    new_state,
    readings,
    step,
    wear,
)
from foretwin.physics.pump import learning as learning_module
from foretwin.physics.pump.beliefs import Belief, image
from foretwin.physics.pump.filtering import (
    RATES,
    SETTINGS,
    WEAR,
    Recordings,
    Sensors,
    WearLaw,
    last_known,
    state_of,
    track,
)
from foretwin.physics.pump.forecasting import estimate, hours_left, run_on
from foretwin.physics.pump.learning import Fleet, first_guess, learn_fleet, smooth

SENSORS = Sensors(
    ("speed", "flow", "thrust_temperature", "radial_temperature", "oil_temperature", "motor_power", "vibration"),
    share=np.array([0, 0.015, 0, 0, 0, 0.012, 0.1]),
    absolute=np.array([2, 0, 0.9, 0.9, 0.9, 0, 0]),
)
STEADY = WearLaw(drift=np.zeros(3), memory=np.ones(3), spread=np.zeros(3))
ORDINARY = np.array([[-8.5], [-26.5], [-26.5]])  # log wear rates that wear a part out in some 300 h


@dataclass(frozen=True)
class Simulated:
    """N pumps watched from new on, and what was hidden in them."""

    recordings: Recordings
    wear: np.ndarray  # (T, N, 3) logarithms
    rates: np.ndarray  # (T, N, 3) logarithms
    bias: np.ndarray  # (N, S) in standard deviations of the noise


def simulated(pumps: int, hours: int, spread: float, slower: float = 0) -> Simulated:
    """Pumps whose log wear rates wander by `spread` an hour, read by biased and noisy sensors."""
    generator = np.random.default_rng(1)
    shape = (hours, pumps)
    settings = {
        "commanded_speed": 3600 * generator.choice([0.9, 0.96, 1.02], shape),
        "ambient_temperature": generator.uniform(5, 30, shape),
        "suction_pressure": np.full(shape, 2.4),
        "discharge_pressure": np.full(shape, 9.0),
    }
    bias = generator.standard_normal((pumps, len(SENSORS.names)))
    rates = ORDINARY - slower + 0.7 * generator.standard_normal((3, pumps))
    state, wear, moved, measured = None, [], [], []
    for hour in range(hours):
        duty = Duty.from_settings({name: settings[name][hour] for name in SETTINGS})
        if state is None:
            state = new_state(generator.normal(1, [[0.01], [0.05], [0.05]], (3, pumps)), duty)
        else:
            rates = rates + spread * generator.standard_normal(rates.shape)
            state = step(state, duty, WearRates(*np.exp(rates)))
        ideal = np.stack([readings(state, duty)[name] for name in SENSORS.names], axis=-1)
        measured.append(ideal + SENSORS.errors(ideal) * (bias + generator.standard_normal(bias.shape)))
        wear.append(np.log([state.impeller_area, state.thrust_friction, state.radial_friction]).T)
        moved.append(rates.T)
    recordings = Recordings(settings, np.stack(measured), np.full(pumps, hours))
    return Simulated(recordings, np.stack(wear), np.stack(moved), bias)


def newborn(recordings: Recordings, spread: float) -> Fleet:
    """What a fleet is thought to be before anything was learnt."""
    return replace(first_guess(recordings), law=replace(STEADY, spread=np.full(3, spread)))


@pytest.fixture(scope="module")
def fleet() -> Simulated:
    return simulated(pumps=12, hours=100, spread=0.05)


def test_a_linear_function_of_a_belief_and_its_correction_are_exact():
    generator = np.random.default_rng(3)
    root, matrix = generator.normal(size=(2, 4, 4)), generator.normal(size=(4, 3))
    belief = Belief(generator.normal(size=(2, 4)), root @ root.swapaxes(1, 2))
    observed, noise = generator.normal(size=(2, 3)), np.array([[0.1, 0.2, 0.3]] * 2)

    seen = image(belief, lambda points: points @ matrix + 5)
    corrected = seen.corrected(belief, observed, noise)

    for pump in range(2):
        before = belief.covariance[pump]
        spread = matrix.T @ before @ matrix + np.diag(noise[pump])
        gain = before @ matrix @ np.linalg.inv(spread)
        mean = belief.mean[pump] @ matrix + 5
        error = observed[pump] - mean
        np.testing.assert_allclose(seen.mean[pump], mean)
        np.testing.assert_allclose(seen.cross[pump], before @ matrix)
        np.testing.assert_allclose(corrected.mean[pump], belief.mean[pump] + gain @ error)
        np.testing.assert_allclose(corrected.covariance[pump], before - gain @ matrix.T @ before)
        density = -(np.log(np.linalg.det(spread)) + error @ np.linalg.inv(spread) @ error) / 2
        np.testing.assert_allclose(seen.log_density(observed, noise)[pump], density)


def test_a_curved_function_shifts_the_mean_as_the_logarithmic_normal_does():
    spread = 0.5
    curved = image(Belief(np.zeros((1, 1)), np.full((1, 1, 1), spread**2)), np.exp)

    assert curved.mean.item() == pytest.approx(np.exp(spread**2 / 2), rel=1e-3)
    assert curved.covariance.item() == pytest.approx(np.expm1(spread**2) * np.exp(spread**2), rel=0.1)


def test_wear_and_its_rates_are_found_from_noisy_readings_as_well_as_the_filter_says(fleet):
    recordings = fleet.recordings
    start = newborn(recordings, 0.05)
    believed = estimate(start, recordings, np.full(12, 99.0), SENSORS)

    deviation = np.sqrt(np.diagonal(believed.covariance, axis1=1, axis2=2))
    for part, truth in ((WEAR, fleet.wear[-1]), (RATES, fleet.rates[-1])):
        error = believed.mean[:, part] - truth
        assert 0.6 < np.sqrt(np.mean((error / deviation[:, part]) ** 2)) < 1.5
    grown = fleet.wear[-1] - np.log([PUBLISHED.new_area, PUBLISHED.new_thrust_friction, PUBLISHED.new_radial_friction])
    error = believed.mean[:, WEAR] - fleet.wear[-1]
    assert (np.sqrt(np.mean(error**2, axis=0)) < 0.25 * np.sqrt(np.mean(grown**2, axis=0))).all()


def test_the_hidden_state_holds_temperatures_and_biases_too(fleet):
    recordings = fleet.recordings
    believed = estimate(newborn(recordings, 0.05), recordings, np.full(12, 99.0), SENSORS)

    shown = readings(state_of(believed.mean), Duty.from_settings({n: v[-1] for n, v in recordings.settings.items()}))
    assert np.corrcoef(fleet.bias[:, 5], believed.mean[:, 9 + 5])[0, 1] > 0.8, "a power meter's bias is found out"
    warmth = recordings.measured[-1, :, 2]
    np.testing.assert_allclose(shown["thrust_temperature"], warmth, atol=4 * 0.9 * 2**0.5)


def test_a_shorter_recording_ends_where_it_ends_and_disturbs_no_other(fleet):
    counts = np.concatenate([np.full(6, 100), np.full(6, 40)])
    shorter = replace(fleet.recordings, counts=counts)
    beyond = fleet.recordings.measured.copy()
    beyond[40:, 6:] = np.nan
    start = newborn(shorter, 0.05)
    age = counts - 1.0

    believed = estimate(start, replace(shorter, measured=beyond), age, SENSORS)
    whole = track(start.at(np.zeros(12)), fleet.recordings, start.law, SENSORS)

    np.testing.assert_allclose(believed.mean[:6], whole[99].known.mean[:6], rtol=1e-9)
    np.testing.assert_allclose(believed.mean[6:], whole[39].known.mean[6:], rtol=1e-9)


def test_smoothing_knows_the_past_better_than_the_filter_did_and_the_end_as_well(fleet):
    start = newborn(fleet.recordings, 0.05)
    hours = track(start.at(np.zeros(12)), fleet.recordings, start.law, SENSORS)
    smoothed = smooth(hours)

    filtered = np.mean((hours[30].known.mean[:, RATES] - fleet.rates[30]) ** 2)
    assert np.mean((smoothed[30].worn.mean[:, RATES] - fleet.rates[30]) ** 2) < 0.7 * filtered
    last = last_known(hours, fleet.recordings.counts)
    np.testing.assert_array_equal(smoothed[-1].worn.mean, last.mean[:, :6])


@pytest.mark.parametrize("spread", [0.02, 0.12])
def test_how_far_wear_rates_wander_is_learnt(spread, monkeypatch):
    monkeypatch.setattr(learning_module, "SPREADS", (0.02, 0.12))
    seen = simulated(pumps=10, hours=70, spread=spread, slower=0.3)

    learnt = learn_fleet(seen.recordings, SENSORS)

    assert (learnt.law.spread == spread).all()
    np.testing.assert_allclose(learnt.law.memory, 1, atol=0.05)
    assert len(learnt.by_age) == 70
    mean = learnt.at(np.array([69.0, 500.0])).mean
    np.testing.assert_allclose(mean[0, WEAR], seen.wear[-1].mean(axis=0), atol=0.06)
    np.testing.assert_array_equal(mean[0], mean[1])


def hidden_of(state: State, rates: np.ndarray) -> np.ndarray:
    """(N, 1, 9) what is hidden in pumps with log wear `rates` (3, N)."""
    worn = np.log([state.impeller_area, state.thrust_friction, state.radial_friction])
    warmth = [state.thrust_temperature, state.radial_temperature, state.oil_temperature]
    return np.concatenate([worn, rates, warmth]).T[:, None]


def test_under_steady_rates_a_life_lasts_as_long_as_the_physics_says():
    duty = Duty.rated()
    rates = np.array([[-6.0, -20], [-30, -23.5], [-30, -25]])
    state = new_state(np.ones((3, 2)), duty)
    left = hours_left(hidden_of(state, rates), STEADY, [duty] * 60, np.random.default_rng(1))

    ended = []
    for _ in range(60):
        state = step(state, duty, WearRates(*np.exp(rates)))
        ended.append(life_ended(state))
    assert left[:, 0].tolist() == [1 + np.argmax(life) for life in np.array(ended).T]
    assert 5 < left.min() < left.max() < 60


def test_a_life_may_have_ended_outlast_the_duties_or_end_within_hours_however_fast_it_wears():
    duty = Duty.rated()
    state = new_state(np.array([[0.7, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]), duty)
    rates = np.array([[-20.0, -20, 50, -20], [-40, -40, -40, 50], [-40, -40, -40, -40]])
    left = hours_left(hidden_of(state, rates), STEADY, [duty] * 5, np.random.default_rng(1))

    assert left[:, 0].tolist() == [0, np.inf, 2, 1]


def test_forecasts_differ_as_the_law_says():
    duty = Duty.rated()
    hidden = np.tile(hidden_of(new_state(np.ones((3, 1)), duty), ORDINARY + 2), (1, 200, 1))
    still, wandering = (
        hours_left(hidden, replace(STEADY, spread=np.full(3, s)), [duty] * 90, np.random.default_rng(1))
        for s in (0, 0.1)
    )

    assert np.ptp(still) == 0
    assert 10 < np.ptp(np.quantile(wandering, [0.05, 0.95])) < 80


@pytest.mark.parametrize("near_steps", [equilibrium.NEAR_STEPS, 0])
def test_wear_without_temperatures_is_that_of_a_step_however_few_steps_are_tried(near_steps, monkeypatch):
    monkeypatch.setattr(equilibrium, "NEAR_STEPS", near_steps)
    duty = Duty.rated()
    state = new_state(np.array([[1.0, 0.9, 1, 1], [1, 2, 1, 1], [1, 1, 3, 1]]), duty)
    rates = WearRates(*np.exp(np.array([[-6.0, -8, -7, -2.7], [-26, -24, -23.5, -20], [-26, -25, -24, -20]])))
    stepped, worn = step(state, duty, rates), wear(state, duty, rates)

    for name in ("impeller_area", "thrust_friction", "radial_friction"):
        np.testing.assert_allclose(getattr(worn, name), getattr(stepped, name), rtol=1e-13)
    assert worn.oil_temperature.tolist() == state.oil_temperature.tolist()
    assert (worn.thrust_friction > 2 * state.thrust_friction)[3], "even where an hour takes much of a life"


def test_forecasts_tell_which_limit_ends_a_life_and_read_the_future_to_its_end():
    duty = Duty.rated()
    state = new_state(np.ones((3, 3)), duty)
    rates = np.array([[-6.0, -30, -30], [-40, -23.5, -40], [-40, -40, -40]])
    hours = iter([(duty, np.zeros(3))] * 100)
    ends = run_on(hidden_of(state, rates), STEADY, hours)

    assert [LIMITS[limit] for limit in ends.limit[:2, 0]] == ["impeller_area", "thrust_temperature"]
    assert (ends.limit[2, 0], ends.left[2, 0]) == (-1, np.inf)
    assert next(hours, None) is None
    np.testing.assert_array_equal(
        ends.left, hours_left(hidden_of(state, rates), STEADY, [duty] * 100, np.random.default_rng(1))
    )


def test_an_hour_without_readings_is_expected_and_not_corrected(fleet):
    start = newborn(fleet.recordings, 0.05)
    measured = fleet.recordings.measured.copy()
    measured[40] = np.nan
    holed = replace(fleet.recordings, measured=measured)
    hours = track(start.at(np.zeros(12)), holed, start.law, SENSORS)

    np.testing.assert_allclose(hours[40].known.mean, hours[40].expected.mean, rtol=1e-9)
    np.testing.assert_allclose(hours[40].known.covariance, hours[40].expected.covariance, rtol=1e-6, atol=1e-12)
    whole = track(start.at(np.zeros(12)), fleet.recordings, start.law, SENSORS)
    np.testing.assert_array_equal(hours[39].known.mean, whole[39].known.mean)
    assert np.abs(hours[60].known.mean - whole[60].known.mean)[:, WEAR].max() < 0.02
