"""Features of snapshots against answers in closed form, and against SciPy."""

import numpy as np
import pytest
import scipy.fft
import scipy.signal
import scipy.stats

from foretwin.contract.waveforms import Bearing, Waveform
from foretwin.signals.bearings import strikes_per_turn
from foretwin.signals.extraction import extract_features
from foretwin.signals.moments import moments_of
from foretwin.signals.orders import pulse_times
from foretwin.signals.spectra import Spectrum, real_cepstrum

RATE, SAMPLES = 25_600.0, 25_600
GEOMETRY = {"balls": 9, "ball_diameter": 7.94, "pitch_diameter": 39.04, "contact_angle": 10}
TIME = np.arange(SAMPLES) / RATE


def features(x: np.ndarray, channels=None, blocks=None, **fields) -> dict[str, np.ndarray]:
    """The features of snapshots (N, samples) or one, taken of the waveform `x`, by the names of what is taken."""
    wave = {"rate": RATE, "unit": "m/s2", **fields}
    waves = {"x": Waveform.model_validate(wave)} | {name: waves for name, (waves, _) in (blocks or {}).items()}
    held = {"x": np.atleast_2d(x).astype(np.float32)} | {name: block for name, (_, block) in (blocks or {}).items()}
    return extract_features(waves, held, channels or {})


def taken(x: np.ndarray, channels=None, blocks=None, wave=None, **feature) -> np.ndarray:
    """One feature of snapshots."""
    return features(x, channels, blocks, features={"one": feature}, **(wave or {}))["one"]


def sine(frequency: float, amplitude: float = 1.0) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * frequency * TIME)


def test_a_sine_has_the_rms_crest_factor_and_kurtosis_of_a_sine_whatever_its_offset():
    x = 7 + sine(100)
    assert taken(x, take="rms") == pytest.approx(np.sqrt(1 / 2), rel=1e-6)
    assert taken(x, take="peak") == pytest.approx(1, rel=1e-6)
    assert taken(x, take="crest_factor") == pytest.approx(np.sqrt(2), rel=1e-6)
    assert taken(x, take="kurtosis") == pytest.approx(1.5, rel=1e-6)
    assert taken(x, take="centroid") == pytest.approx(100, rel=1e-5)


def test_moments_are_those_of_scipy():
    x = np.random.default_rng(1).standard_gamma(2, (5, 4000)).astype(np.float32)
    x -= x.mean(axis=1, keepdims=True)
    found = moments_of(x)
    np.testing.assert_allclose(found.kurtosis, scipy.stats.kurtosis(x, axis=1, fisher=False), rtol=1e-4)
    np.testing.assert_allclose(found.rms, np.sqrt((x.astype(float) ** 2).mean(axis=1)), rtol=1e-6)


def test_a_band_has_the_rms_of_what_lies_in_it_and_the_velocity_is_the_integral():
    x = sine(100, 2) + sine(3000, 5)
    assert taken(x, take="band_rms", low=10, high=1000) == pytest.approx(np.sqrt(2), rel=1e-5)
    assert taken(x, take="band_rms", low=1000, high=12_800) == pytest.approx(5 / np.sqrt(2), rel=1e-5)
    velocity = 1000 * 2 / (2 * np.pi * 100) / np.sqrt(2)  # mm/s
    assert taken(x, take="band_rms", of="velocity", low=10, high=1000) == pytest.approx(velocity, rel=1e-5)
    in_g = taken(x, take="band_rms", of="velocity", low=10, high=1000, wave={"unit": "g"})
    assert in_g == pytest.approx(9.80665 * velocity, rel=1e-5)


def test_all_bands_together_have_the_power_that_scipy_finds():
    x = np.random.default_rng(2).standard_normal((3, SAMPLES))
    whole = taken(x, take="band_rms", low=0, high=RATE / 2)
    frequency, density = scipy.signal.periodogram(x.astype(np.float32), RATE)
    np.testing.assert_allclose(whole, np.sqrt(density.sum(axis=1) * frequency[1]), rtol=1e-5)
    np.testing.assert_allclose(taken(x, take="centroid"), density @ frequency / density.sum(axis=1), rtol=1e-4)


def test_the_envelope_of_a_modulated_resonance_swells_with_the_depth_of_the_modulation():
    x = (1 + 0.4 * np.cos(2 * np.pi * 91.3 * TIME)) * sine(4000, 3)  # between two lines of the spectrum
    wave = {"envelope": {"low": 3000, "high": 5000}, "speed": {"rpm": 91.3 * 60}}
    assert taken(x, take="envelope", at="shaft", wave=wave) == pytest.approx(3 * 0.4, rel=5e-3)


def test_an_envelope_is_that_of_scipy():
    x = np.random.default_rng(3).standard_normal(SAMPLES)
    lines = scipy.fft.rfft(x)
    lines[:3000] = lines[5001:] = 0
    whole = np.abs(scipy.signal.hilbert(scipy.fft.irfft(lines)))
    window = np.hanning(SAMPLES + 1)[:-1]
    squares = np.abs(scipy.fft.rfft((whole - whole.mean()) * window)) ** 2 * 4 / (3 / 8) / SAMPLES**2
    expected = np.sqrt(squares[98:103].sum())
    wave = {"envelope": {"low": 3000, "high": 5000}, "speed": {"rpm": 100 * 60}}
    assert taken(x, take="envelope", at="shaft", wave=wave) == pytest.approx(expected, rel=5e-2)


def impacts(strikes_per_second: float) -> np.ndarray:
    """A bearing: a resonance of 4 kHz that each strike of a fault excites and that rings down within 2 ms, in noise."""
    since = TIME % (1 / strikes_per_second)
    noise = np.random.default_rng(4).standard_normal(SAMPLES)
    return np.exp(-since / 5e-4) * np.sin(2 * np.pi * 4000 * since) + 0.1 * noise


@pytest.mark.parametrize("part", ["outer_race", "inner_race", "ball"])
def test_a_simulated_bearing_shows_the_line_of_its_own_fault(part):
    bearing = Bearing.model_validate(GEOMETRY)
    x = impacts(1770 / 60 * strikes_per_turn(bearing, part))
    found = features(
        x,
        envelope={"low": 2500, "high": 5500},
        bearing=GEOMETRY,
        speed={"rpm": 1770},
        features={at: {"take": "envelope", "at": at} for at in ("outer_race", "inner_race", "ball", "cage")},
    )
    others = [float(found[at][0]) for at in found if at != part]
    assert found[part][0] > 5 * max(others)


def test_strikes_are_those_of_the_textbook():
    """Frequencies of the bearing 6205 in turns of the shaft, as its maker gives them."""
    known = {"outer_race": 3.585, "inner_race": 5.415, "cage": 0.398, "ball": 2.357}
    bearing = Bearing.model_validate(GEOMETRY | {"contact_angle": 0})
    for part, strikes in known.items():
        assert strikes_per_turn(bearing, part) == pytest.approx(strikes, abs=2e-3)


def test_an_order_is_found_at_a_steady_speed_between_lines():
    x = np.stack([sine(2.5 * 20.37, 3), sine(2.5 * 31.1, 3)])
    found = taken(x, {"rpm": np.array([20.37, 31.1]) * 60}, take="order", order=2.5, wave={"speed": {"channel": "rpm"}})
    np.testing.assert_allclose(found, 3, rtol=1e-3)


def test_an_order_is_followed_through_a_changing_speed_by_a_tachometer():
    turns = 10 * TIME + 15 * TIME**2  # from 600 to 2400 rpm in a second
    pulses = (np.mod(2 * turns, 1) < 0.1).astype(np.float32)[None]
    wave = {"speed": {"tachometer": "tacho", "pulses": 2}}
    tacho = {"tacho": (Waveform(rate=RATE, unit="V"), pulses)}
    x = 3 * np.sin(2 * np.pi * 2 * turns)
    assert taken(x, blocks=tacho, take="order", order=2, wave=wave) == pytest.approx(3, rel=1e-2)
    assert taken(x, blocks=tacho, take="order", order=3, wave=wave) < 0.05
    smeared = taken(x, take="order", order=2, wave={"speed": {"rpm": 1500}})
    assert smeared < 1


def test_pulses_are_dated_between_samples():
    np.testing.assert_allclose(pulse_times(np.array([0, 0, 0.25, 1, 1, 0, 0.5], np.float32), 10), [0.2333, 0.6], 1e-3)


def test_lines_that_are_a_shaft_s_turns_apart_show_in_the_cepstrum_which_is_that_of_its_definition():
    noise = 1e-2 * np.random.default_rng(6).standard_normal(SAMPLES)
    train = (np.arange(SAMPLES) % 1024 == 0) + noise  # lines 25 Hz apart
    wave = {"speed": {"rpm": 25 * 60}}
    assert taken(train, take="cepstrum", at="shaft", wave=wave) > 5 * taken(
        sine(2000) + noise, take="cepstrum", at="shaft", wave=wave
    )
    x = np.random.default_rng(5).standard_normal((2, 1000)).astype(np.float32)
    whole = np.fft.irfft(np.log(np.abs(np.fft.rfft(x)) * np.sqrt(2) / 1000))
    np.testing.assert_allclose(real_cepstrum(Spectrum.of(x, RATE))[:, 1:400], whole[:, 1:400], atol=2e-3)


def test_spectral_kurtosis_is_low_for_sines_and_noise_and_high_for_impacts():
    noise = np.random.default_rng(7).standard_normal(SAMPLES)
    assert abs(taken(noise, take="spectral_kurtosis")) < 1
    assert taken(sine(3987.5, 10), take="spectral_kurtosis") < 0.6
    assert taken(impacts(37), take="spectral_kurtosis") > 2


def test_nothing_turns_where_the_shaft_stands_still_and_nothing_sounds_where_it_is_silent():
    wave = {"envelope": {"low": 3000, "high": 5000}, "speed": {"channel": "rpm"}}
    kinds = {"order": {"order": 1}, "envelope": {"at": "shaft"}, "cepstrum": {"at": "shaft"}}
    for take, fields in kinds.items():
        assert taken(sine(50), {"rpm": np.array([0.0])}, take=take, wave=wave, **fields) == 0
    for take in ("rms", "peak", "crest_factor", "kurtosis", "centroid", "spectral_kurtosis"):
        assert taken(np.full(4096, 5.0), take=take) == 0


def test_a_snapshot_alone_has_the_features_that_it_has_among_others():
    x = np.random.default_rng(8).standard_normal((19, 5000))
    wave = {
        "envelope": {"low": 2000, "high": 6000},
        "speed": {"rpm": 1500},
        "features": {
            **{take: {"take": take} for take in ("rms", "peak", "crest_factor", "kurtosis", "centroid")},
            "band": {"take": "band_rms", "of": "velocity", "low": 10, "high": 1000},
            "line": {"take": "envelope", "at": "shaft"},
            "order": {"take": "order", "order": 1},
            "cepstrum": {"take": "cepstrum", "at": "shaft"},
            "spectral_kurtosis": {"take": "spectral_kurtosis"},
        },
    }
    together, alone = features(x, **wave), features(x[17], **wave)
    for name, values in together.items():
        np.testing.assert_allclose(alone[name][0], values[17], rtol=1e-6, err_msg=name)


def test_a_snapshot_that_is_too_short_for_a_feature_is_refused():
    with pytest.raises(ValueError, match="x: has 8 samples"):
        taken(np.zeros(8), take="rms")
    with pytest.raises(ValueError, match=r"two turns"):
        taken(np.ones(100) * TIME[:100], take="cepstrum", at="shaft", wave={"speed": {"rpm": 60}})
    with pytest.raises(ValueError, match="no line from 10 to 20 Hz"):
        taken(np.ones(100) * TIME[:100], take="band_rms", low=10, high=20)
