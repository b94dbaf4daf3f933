from dataclasses import replace

import numpy as np
import pytest

from foretwin.errors import BadInput
from foretwin.physics.pump import (
    LIMITS,
    PUBLISHED,
    Duty,
    State,
    WearRates,
    life_ended,
    limits_met,
    new_state,
    operate,
    readings,
    settle,
    step,
    wear_shares,
)

STILL = WearRates(*np.zeros((3, 1)))
STATES = ("w", "Q", "Tt", "Tr", "To", "A", "rRadial", "rThrust")


def duty_of(speed: float | np.ndarray = 3600.0, ambient: float | np.ndarray = 17.0, **pressures: float) -> Duty:
    settings = {"commanded_speed": speed, "ambient_temperature": ambient, **pressures}
    return Duty.from_settings({name: np.atleast_1d(np.asarray(value, float)) for name, value in settings.items()})


def worn(count: int, seed: int = 0) -> State:
    """Pumps at different stages of wear, not yet at rest."""
    generator = np.random.default_rng(seed)
    parts = generator.uniform([[0.75], [1], [1]], [[1], [2], [4]], (3, count))
    return new_state(parts, duty_of(3240 * np.ones(count), generator.uniform(0, 30, count)))


def progpy_life(rates: dict[str, float], hours: list[Duty], start: State) -> list[tuple[dict, bool]]:
    """The state after each hour, and whether a limit is met, by ProgPy at steps of one second."""
    model = pytest.importorskip("progpy.models.centrifugal_pump").CentrifugalPumpBase(process_noise=0)
    model.parameters.update(rates)
    begin = operate(start, hours[0])
    values = (begin.speed, begin.flow, start.thrust_temperature, start.radial_temperature, start.oil_temperature)
    values += (start.impeller_area, start.radial_friction, start.thrust_friction)
    state = model.StateContainer({**dict(zip(STATES, (v.item() for v in values), strict=True)), "QLeak": 0.0})
    life = []
    for duty in hours:
        names = {"Tamb": duty.ambient, "V": duty.voltage, "pdisch": duty.discharge, "psuc": duty.suction}
        inputs = {**names, "wsync": duty.supply_speed}
        inputs = model.InputContainer({name: value.item() for name, value in inputs.items()})
        for _ in range(3600):
            state = model.next_state(state, inputs, 1.0)
        ended = any(np.any(met) for met in model.threshold_met(state).values())
        life.append(({name: np.asarray(state[name]).item() for name in STATES}, ended))
        if ended:
            break
    return life


@pytest.mark.parametrize(
    ("impeller", "thrust", "radial"),
    [(0.0065, 0, 0), (0, 1.2e-10, 0), (0, 0, 1.2e-10), (0.002, 6e-11, 6e-11)],
    ids=["impeller", "thrust", "radial", "all"],
)
def test_hourly_steps_live_and_end_like_progpy_at_one_second(impeller, thrust, radial):
    generator = np.random.default_rng(5)
    hours = [duty_of(3600 * generator.choice([0.9, 0.96, 1.02]), generator.uniform(5, 30)) for _ in range(60)]
    state = new_state(np.ones((3, 1)), hours[0])
    life = progpy_life({"wA": impeller, "wThrust": thrust, "wRadial": radial}, hours, state)
    rates = WearRates(np.array([impeller]), np.array([thrust]), np.array([radial]))

    assert life[-1][1], "the reference must reach a limit, or the end is not compared"
    for duty, (expected, ended) in zip(hours, life, strict=False):
        state = step(state, duty, rates)
        running = operate(state, duty)
        assert state.thrust_temperature.item() == pytest.approx(expected["Tt"], abs=0.05)
        assert state.radial_temperature.item() == pytest.approx(expected["Tr"], abs=0.05)
        assert state.oil_temperature.item() == pytest.approx(expected["To"], abs=0.05)
        assert state.impeller_area.item() == pytest.approx(expected["A"], abs=0.002)
        assert state.thrust_friction.item() == pytest.approx(expected["rThrust"], rel=1e-3)
        assert state.radial_friction.item() == pytest.approx(expected["rRadial"], rel=1e-3)
        assert running.speed.item() == pytest.approx(expected["w"], abs=1e-3)
        assert running.flow.item() == pytest.approx(expected["Q"], rel=3e-4)
        assert limits_met(state).any() == ended


def test_settled_temperatures_are_the_fixed_point_of_the_published_heat_balance():
    duty = duty_of(np.array([3240.0, 3600, 3672]), np.array([-5.0, 17, 35]))
    state = settle(worn(3), duty)
    thrust, radial, oil = state.thrust_temperature, state.radial_temperature, state.oil_temperature
    squared = operate(state, duty).speed ** 2

    thrust_change = state.thrust_friction * squared - 0.0034 * (thrust - duty.ambient) - 0.0026 * (thrust - oil)
    radial_change = state.radial_friction * squared - 0.0018 * (radial - duty.ambient) - 0.020 * (radial - oil)
    oil_change = 1.0 * (thrust - oil) + 3.0 * (radial - oil) + 1.5 * (duty.ambient - oil)

    np.testing.assert_allclose([thrust_change, radial_change], 0, atol=1e-12)
    np.testing.assert_allclose(oil_change, 0, atol=1e-9)
    np.testing.assert_allclose(step(state, duty, STILL).oil_temperature, oil, rtol=1e-12)


def test_a_steady_pump_draws_the_power_of_its_equivalent_circuit_and_carries_its_load():
    duty, state = duty_of(np.array([3240.0, 3600, 3672]), np.full(3, 17.0)), worn(3)
    running = operate(state, duty)
    slip = 1 - running.speed / duty.supply_speed
    impedance = 0.36 + 0.076 / slip + 1j * duty.supply_speed * 0.00063
    flow = running.discharge_flow
    friction = (0.008 + state.thrust_friction + state.radial_friction) * running.speed
    fluid = 0.00149204 * running.speed**2 + 5.77703 * running.speed * flow - 9179.4 * flow**2
    pressure = state.impeller_area * running.speed**2 + 17984.6 * running.speed * running.flow

    np.testing.assert_allclose(running.power, 3 * duty.voltage**2 * (1 / impedance.conj()).real, rtol=1e-9)
    np.testing.assert_allclose(running.torque, friction + fluid, rtol=1e-9)
    np.testing.assert_allclose(running.flow, 8.24123e-5 * np.sqrt(pressure - 689475), rtol=1e-9)
    hydraulic = 689475 * flow
    assert (running.power > running.torque * running.speed).all()
    assert (running.torque * running.speed > hydraulic).all()


def test_two_half_hours_warm_a_pump_as_one_hour_does():
    duty, state = duty_of(3672 * np.ones(4), 30 * np.ones(4)), worn(4)

    halves = step(step(state, duty, STILL, 1800), duty, STILL, 1800)
    whole = step(state, duty, STILL, 3600)

    assert (np.abs(whole.oil_temperature - state.oil_temperature) > 1).all(), "nothing warmed: nothing is compared"
    for name in ("thrust_temperature", "radial_temperature", "oil_temperature"):
        np.testing.assert_allclose(getattr(halves, name), getattr(whole, name), rtol=1e-12)


def test_bearing_friction_grows_exponentially_at_constant_speed():
    duty, state = duty_of(), new_state(np.ones((3, 1)), duty_of())
    speed = operate(state, duty).speed

    after = step(state, duty, WearRates(*np.array([[0], [1e-10], [0]])))

    np.testing.assert_allclose(after.thrust_friction, 1.4e-6 * np.exp(1e-10 * speed**2 * 3600), rtol=1e-6)
    np.testing.assert_allclose(after.radial_friction, 1.8e-6, rtol=1e-12)


def test_a_pump_steps_to_the_last_bit_as_it_would_alone():
    count = 37  # odd, so that vector instructions leave a remainder
    state, duty = worn(count), duty_of(np.linspace(3240, 3672, count), np.linspace(0, 30, count))
    rates = WearRates(*(np.array([[2e-3], [3e-11], [3e-11]]) * np.linspace(0.5, 1.5, count)))
    together = step(state, duty, rates)

    for pump in (0, 8, 36):
        one = slice(pump, pump + 1)
        own = Duty(*(value[one] if value.size > 1 else value for value in vars(duty).values()))
        alone = step(
            State(*(v[one] for v in vars(state).values())), own, WearRates(*(v[one] for v in vars(rates).values()))
        )
        for name, value in vars(alone).items():
            assert value[0] == getattr(together, name)[pump], name


def test_the_rated_duty_alone_decides_when_a_life_has_ended():
    state = new_state(np.array([[0.8, 0.74], [1, 1], [1, 1]]), duty_of())
    overheated = replace(state, oil_temperature=state.oil_temperature + 60)

    assert life_ended(state).tolist() == [False, True]
    assert life_ended(overheated).tolist() == [False, True]
    assert limits_met(overheated)[LIMITS.index("oil_temperature")].all()


def test_a_pump_too_slow_to_lift_its_column_moves_nothing():
    state = new_state(np.ones((3, 1)), duty_of(2000))

    assert operate(state, duty_of(2000)).discharge_flow == pytest.approx(0, abs=1e-6)
    assert operate(state, duty_of(3600)).discharge_flow > 0.1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("friction", "speed"), [(10.0, 3600.0), (1.4e-6, 0.0), (1.4e-6, -3600.0), (np.nan, 3600.0)], ids=str
)
def test_a_motor_without_a_steady_speed_is_refused_with_the_pump_named(friction, speed):
    state = new_state(np.ones((3, 2)), duty_of())
    seized = replace(state, thrust_friction=np.array([1.4e-6, friction]))

    with pytest.raises(BadInput, match=r"pump 1 \(from 0, of 2\)") as refusal:
        operate(seized, duty_of(np.array([3600.0, speed])))
    assert refusal.value.field == "duty"


def test_wear_shows_in_the_readings_that_it_should_change():
    new = readings(new_state(np.ones((3, 1)), duty_of()), duty_of())
    impeller, thrust, radial = (
        readings(new_state(np.array(parts)[:, None], duty_of()), duty_of())
        for parts in ([0.8, 1, 1], [1, 2, 1], [1, 1, 4])
    )

    assert impeller["flow"] < 0.9 * new["flow"]
    assert thrust["thrust_temperature"] > new["thrust_temperature"] + 20
    assert radial["radial_temperature"] > new["radial_temperature"] + 20
    assert all(case["vibration"] > 1.2 * new["vibration"] for case in (impeller, thrust, radial))
    assert PUBLISHED.new_area == 12.7084
    np.testing.assert_allclose(wear_shares(new_state(np.array([[0.8], [2], [4]]), duty_of()))[:, 0], [0.2, 1, 3])
