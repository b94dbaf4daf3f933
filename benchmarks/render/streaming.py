"""The figures of reports/streaming.json as Markdown."""

from typing import Any

from benchmarks.render.speed import table

WORDS = {"new": "`foretwin new`", "adapt": "adapt", "validate": "validate", "prepare": "prepare"}


def streaming(report: dict[str, Any]) -> str:
    """Peak memory, time and disk of each command on a table and one ten times as long."""
    small, large = (f"{rows:,} rows" for rows in report["rows"])
    header = ["command", f"peak memory, MB: {small}", large, "ratio", f"seconds: {small}", large]
    header += [f"temporary files, MB: {large}", f"written, MB: {large}"]
    lines = []
    for name, one in report["commands"].items():
        cells = [*one["peak_mb"], report["ratios"][name], *one["seconds"], one["temporary_mb"][1], one["written_mb"][1]]
        lines.append([WORDS[name], *(f"{cell:,}" for cell in cells)])
    text = f"{report['channels']} channels, {report['machine']['cores']} cores; from `reports/streaming.json`.\n"
    return f"{table(header, lines)}\n{text}"


STREAMING = {"streaming": streaming}
