"""Each disturbance does what it says, to the share of readings that it is told, and the same for the same seed."""

from dataclasses import astuple, fields

import numpy as np
import pytest

from foretwin.contract.channels import Clock
from foretwin.errors import BadInput
from foretwin.twin.simulator.disturbances import (
    KINDS,
    LATEST,
    Disturbances,
    Stream,
    clock_jumps,
    disorder,
    disturb,
    disturbance_bit,
    dropouts,
    duplicates,
    outliers,
    parse_disturbances,
    spikes,
    stuck,
)
from support.tiny_bundle import tiny_twin

TWIN = tiny_twin(channels=4)  # every channel from -1000 to 1000
ASSETS, STEPS = 20, 200


def stream() -> Stream:
    """20 assets, 200 hours each; no value is there twice."""
    count = ASSETS * STEPS
    hour = np.repeat(np.arange(STEPS, dtype=np.float64), ASSETS)
    names = np.tile(np.array([f"P-{i:02d}" for i in range(ASSETS)], object), STEPS)
    values = np.random.default_rng(3).normal(size=(count, 4)).astype(np.float32)
    ends = np.arange(count) >= count - ASSETS
    return Stream(names, np.ones(count, np.int64), hour, values, hour.copy(), ends, np.zeros(count, np.uint8))


def chance():
    return np.random.default_rng(5)


def struck(result, kind):
    return result.marks & disturbance_bit(kind) > 0


def same(one, other) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(astuple(one), astuple(other), strict=True))


def test_without_a_rate_nothing_happens():
    assert same(disturb(stream(), Disturbances(), TWIN, chance()), stream())


def test_the_same_seed_disturbs_the_same_and_another_another():
    rates = Disturbances(*[0.1] * len(KINDS))
    once = disturb(stream(), rates, TWIN, chance())
    assert same(once, disturb(stream(), rates, TWIN, chance()))
    assert not same(once, disturb(stream(), rates, TWIN, np.random.default_rng(6)))
    assert all(struck(once, kind).any() for kind in KINDS)


def test_the_stream_given_is_not_changed():
    given = stream()
    disturb(given, Disturbances(*[0.3] * len(KINDS)), TWIN, chance())
    assert same(given, stream())


def test_dropouts_are_marked_and_stay_to_be_counted():
    result = dropouts(stream(), 0.25, chance())
    assert struck(result, "dropouts").mean() == pytest.approx(0.25, abs=0.03)
    assert np.array_equal(result.channels, stream().channels)
    assert struck(dropouts(stream(), 1, chance()), "dropouts").all()


def test_a_duplicate_follows_what_it_repeats():
    result = duplicates(stream(), 0.2, chance())
    second = np.flatnonzero(struck(result, "duplicates"))
    assert len(result) == len(stream()) + len(second)
    assert len(second) / len(stream()) == pytest.approx(0.2, abs=0.03)
    for column in ("asset", "run", "time", "channels", "due"):
        values = getattr(result, column)
        assert np.array_equal(values[second], values[second - 1])
    assert same(result.pick(np.flatnonzero(~struck(result, "duplicates"))), stream())


def test_a_failure_is_not_doubled_and_what_is_dropped_is_not_sent_twice():
    dropped = dropouts(stream(), 0.5, chance())
    result = duplicates(dropped, 1, chance())
    assert result.failed.sum() == stream().failed.sum()
    assert not (struck(result, "duplicates") & struck(result, "dropouts")).any()


def test_disorder_delays_and_keeps_the_rest_in_order():
    result = disorder(stream(), 0.1, 1.0, chance())
    late = struck(result, "disorder")
    assert late.mean() == pytest.approx(0.1, abs=0.02)
    assert (np.diff(result.due) >= 0).all()
    delay = result.due - result.time
    assert set(delay[late]) == set(range(1, LATEST + 1))
    assert (delay[~late] == 0).all()
    assert sorted(map(tuple, result.channels.tolist())) == sorted(map(tuple, stream().channels.tolist()))


def changed(result):
    """(N, C): which values are not those of the stream."""
    return result.channels != stream().channels


def test_a_spike_is_beyond_what_physics_allows_in_one_channel():
    result = spikes(stream(), 0.1, TWIN, chance())
    hit = struck(result, "spikes")
    assert hit.mean() == pytest.approx(0.1, abs=0.02)
    assert np.array_equal(changed(result).sum(axis=1), hit)
    values = result.channels[changed(result)]
    assert values.min() >= 1200
    assert values.max() <= 3000
    assert changed(result).any(axis=0).all()


def test_an_outlier_is_within_what_physics_allows_in_one_channel():
    result = outliers(stream(), 0.1, TWIN, chance())
    hit = struck(result, "outliers")
    assert hit.mean() == pytest.approx(0.1, abs=0.02)
    assert np.array_equal(changed(result).sum(axis=1), hit)
    values = result.channels[changed(result)]
    assert np.abs(values).max() <= 1000
    assert values.std() > 400  # spread over the range, far from the standard normal


def test_a_stuck_sensor_shows_one_value_for_a_while_and_then_lives_again():
    result = stuck(stream(), 0.002, TWIN, chance())
    hit = struck(result, "stuck")
    assert hit.any()
    assert np.array_equal(changed(result).any(axis=1), hit)
    for name in set(result.asset[hit]):
        rows = np.flatnonzero(result.asset == name)
        for channel in np.flatnonzero(changed(result)[rows].any(axis=0)):
            frozen = changed(result)[rows, channel]
            assert not frozen[0]
            assert (np.diff(result.channels[rows, channel]) == 0)[frozen[1:]].all()
            lengths = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], frozen, [0]]))))[::2]
            assert lengths.max() <= 60  # from the beginning of one freeze to the end of the next


def test_settings_do_not_get_stuck():
    content = TWIN.model_dump()
    content["channels"]["speed"]["role"] = "setting"
    twin = type(TWIN).model_validate(content)
    assert not changed(stuck(stream(), 0.5, twin, chance()))[:, 0].any()


def test_a_clock_jumps_further_than_the_contract_allows_but_never_at_a_runs_beginning():
    result = clock_jumps(stream(), 0.5, TWIN, chance())
    ahead = result.time - stream().time
    hit = struck(result, "clock_jumps")
    assert np.array_equal(ahead > 0, hit)
    assert (ahead[hit] > 1000).all()
    assert not hit[:ASSETS].any()
    near = TWIN.model_copy(update={"clock": Clock(unit="h", step=1, longest_gap=10)})
    ahead = clock_jumps(stream(), 0.5, near, chance()).time - stream().time
    assert 10 < ahead[ahead > 0].min() < 40


def test_a_clock_does_not_jump_in_the_first_reading_that_is_sent():
    dropped = dropouts(stream(), 0.5, chance())
    result = clock_jumps(dropped, 1, TWIN, chance())
    for name in set(result.asset):
        sent = np.flatnonzero((result.asset == name) & ~struck(result, "dropouts"))
        assert not struck(result, "clock_jumps")[sent[0]]
        assert struck(result, "clock_jumps")[sent[1:]].all()


def test_rates_are_read_from_text():
    rates = parse_disturbances(["dropouts=0.05", "spikes=1e-3"])
    assert rates == Disturbances(dropouts=0.05, spikes=0.001)
    assert parse_disturbances([]) == Disturbances()
    assert [field.name for field in fields(Disturbances)] == list(KINDS)


@pytest.mark.parametrize("text", ["dropouts", "dropouts=", "dropouts=2", "dropouts=-1", "dropouts=nan", "fire=0.1", ""])
def test_a_rate_that_is_none_is_told(text):
    with pytest.raises(BadInput, match="disturb"):
        parse_disturbances([text])
