"""The `waveforms` section of a first twin.yaml."""

import json
from collections.abc import Collection, Mapping

from foretwin.contract.waveforms import Waveform

MORE = (
    "    # Where a shaft turns, say how fast, and where a bearing rolls, its geometry; then add what shows faults:",
    "    # speed: {rpm: 1480}  # or {channel: ...}, or {tachometer: ...}",
    "    # bearing: {balls: 9, ball_diameter: 7.94, pitch_diameter: 39.04}",
    "    # envelope: {low: ..., high: ...}  # Hz, around a resonance",
    "    # features: order, envelope at outer_race, inner_race, ball or cage, cepstrum; band_rms of velocity in mm/s",
)


def with_channels(waveforms: Mapping[str, Waveform], channels: Collection[str]) -> dict[str, Waveform]:
    """Return the waveforms without features that are no channels."""
    return {
        name: wave.model_copy(update={"features": {one: f for one, f in wave.features.items() if one in channels}})
        for name, wave in waveforms.items()
    }


def waveform_lines(waveforms: Mapping[str, Waveform]) -> list[str]:
    """Return `waveforms`; no line where there are none."""
    lines = ["", "waveforms:  # features of their snapshots are the channels above"] if waveforms else []
    for name, wave in waveforms.items():
        lines += [f"  {name}:", f"    rate: {wave.rate:.12g}  # samples per second"]
        lines += [f"    unit: {json.dumps(wave.unit)}  # guessed: write the unit of the samples", "    features:"]
        for channel, feature in wave.features.items():
            said = feature.model_dump(exclude_defaults=True)
            shown = ", ".join(
                f"{key}: {value:.12g}" if key != "take" else f"take: {value}" for key, value in said.items()
            )
            lines.append(f"      {channel}: {{{shown}}}")
    return [*lines, *MORE] if waveforms else lines
