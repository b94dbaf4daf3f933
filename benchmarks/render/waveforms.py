"""The figures of reports/waveforms.json as Markdown."""

from typing import Any

from benchmarks.render.speed import table

WORDS = {
    "usual": "RMS, kurtosis, bands, centroid, envelope",
    "everything": "these, peak, crest factor, orders, cepstrum, spectral kurtosis",
}


def waveforms(report: dict[str, Any]) -> str:
    """Time of each set of features, and its ratio to the bare transform."""
    lines = [["`numpy.fft.rfft` alone", "", f"{report['ms']['rfft']:,}", "1", ""]]
    for name, words in WORDS.items():
        cells = (report["features"][name], report["ms"][name], report["ratios"][name], report["bounds"][name])
        lines.append([words, *(f"{cell:,}" for cell in cells)])
    header = [
        f"{report['snapshots']:,} snapshots of {report['samples']:,} samples",
        "features",
        "CPU, ms",
        "ratio",
        "bound",
    ]
    return f"{table(header, lines)}\nOne thread of {report['machine']['cores']} cores; from `reports/waveforms.json`.\n"


WAVEFORMS = {"waveforms": waveforms}
