"""A fan whose vibration is a waveform, of whose snapshots three features are channels."""

from pathlib import Path

from foretwin.contract.twin import Twin

RATE, LENGTH, SNAPSHOTS = 1000, 400, 3
FEATURES = {
    "rms": {"take": "rms"},
    "low": {"take": "band_rms", "low": 10, "high": 100},
    "first": {"take": "order", "order": 1},
}


def waveform_twin(path: Path, speed=None, channels=(), keep=False, **source) -> Twin:
    """A twin whose snapshots lie below `path`."""
    remedy = {"part": "bearing", "instruction": "replace it", "lead_time": 1}
    return Twin.model_validate(
        {
            "name": "fan",
            "title": "Fan",
            "source": {"kind": "table", "path": str(path), "time_format": "row", "runs_end_in_failure": True, **source},
            "clock": {"unit": "h", "step": 1},
            "channels": {
                name: {"unit": "-", "role": "sensor", "min": -1e6, "max": 1e6} for name in (*FEATURES, *channels)
            },
            "waveforms": {
                "vibration": {
                    "rate": RATE,
                    "unit": "m/s2",
                    "speed": speed or {"rpm": 1500},
                    "features": FEATURES,
                    "keep": keep,
                }
            },
            "rul": {"cap": 100, "remedy": remedy},
            "window": {"length": 2},
        }
    )
