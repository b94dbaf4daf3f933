"""The `waveforms` section of the contract: what belongs together, and what is refused."""

import pytest
from pydantic import ValidationError

from foretwin.contract.twin import Twin

CHANNELS = {name: {"unit": "-", "role": "sensor", "min": 0, "max": 1} for name in ("rms", "line", "rpm")}
WAVE = {"rate": 1000, "unit": "m/s2", "features": {"rms": {"take": "rms"}}}
SHAFT_LINE = {"line": {"take": "envelope", "at": "shaft"}}
BEARING_LINE = {"line": {"take": "envelope", "at": "outer_race"}}
BAND, SPEED = {"low": 100, "high": 400}, {"channel": "rpm"}


def twin(waveforms: dict) -> Twin:
    remedy = {"part": "bearing", "instruction": "replace it", "lead_time": 1}
    return Twin.model_validate(
        {
            "name": "fan",
            "title": "Fan",
            "source": {"kind": "store"},
            "clock": {"unit": "h", "step": 1},
            "channels": CHANNELS,
            "waveforms": waveforms,
            "rul": {"cap": 100, "remedy": remedy},
            "window": {"length": 2},
        }
    )


def test_a_contract_without_waveforms_has_the_digest_that_it_had():
    assert "waveforms" not in twin({}).model_dump()
    assert twin({"vibration": WAVE}).digest != twin({}).digest


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"features": {"crest": {"take": "crest_factor"}}}, "crest is not a channel"),
        ({"features": {"rms": {"take": "band_rms", "low": 10}}}, "band_rms: needs high"),
        ({"features": {"rms": {"take": "rms", "low": 10}}}, "low: is not for rms"),
        ({"features": {"rms": {"take": "band_rms", "low": 10, "high": 501}}}, "above half the rate"),
        ({"features": {"rms": {"take": "band_rms", "low": 10, "high": 10}}}, "must be below high"),
        (
            {"unit": "bar", "features": {"rms": {"take": "band_rms", "of": "velocity", "low": 10, "high": 400}}},
            "velocity is made of an acceleration",
        ),
        ({"features": SHAFT_LINE, "speed": SPEED}, "needs the band to demodulate"),
        ({"features": SHAFT_LINE, "envelope": BAND}, "needs the speed of the shaft"),
        ({"features": BEARING_LINE, "envelope": BAND, "speed": SPEED}, "needs the geometry of the bearing"),
        ({"speed": {"channel": "rms"}}, "rms is not a channel that is measured"),
        ({"speed": {"tachometer": "tacho"}}, "tacho is not a waveform"),
        ({"speed": {"rpm": 100, "channel": "rpm"}}, "say the speed in one way"),
        ({"bearing": {"balls": 9, "ball_diameter": 40, "pitch_diameter": 39}}, "must be below pitch_diameter"),
    ],
)
def test_what_does_not_belong_together_is_refused(fields, reason):
    with pytest.raises(ValidationError, match=reason):
        twin({"vibration": WAVE | fields})


def test_a_waveform_and_a_channel_have_different_names():
    with pytest.raises(ValidationError, match="rms is the name of a channel too"):
        twin({"rms": WAVE})
