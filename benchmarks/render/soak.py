"""The figures of the long runs as Markdown: reports/fuzz.json, soak.json, faults.json, year.json."""

from collections import Counter
from typing import Any

from benchmarks.render.speed import table


def fuzz(report: dict[str, Any]) -> str:
    """What hostile calls were answered with, by the form of their body."""
    by_form: dict[str, Counter[str]] = {}
    for kind, statuses in report["kinds"].items():
        by_form.setdefault(kind.partition(":")[0], Counter()).update(statuses)
    statuses = sorted(report["statuses"])
    header = ["calls begun as", *("no answer" if status == "0" else status for status in statuses)]
    lines = [[form, *(str(found[status] or "") for status in statuses)] for form, found in sorted(by_form.items())]
    memory = report["memory_mb"]
    text = f"{report['bodies']:,} bodies of seed {report['seed']} in {report['seconds']:.0f} s: "
    text += f"{len(report['complaints'])} broke what the service promises. "
    text += f"Resident memory {memory['after warm-up']:.0f} MB after the first fifth, "
    text += f"{memory['end']:.0f} MB in the end, {memory['peak']:.0f} MB at most.\n"
    return f"{table(header, lines)}\n{text}\nFrom `reports/fuzz.json`.\n"


def soak(report: dict[str, Any]) -> str:
    """Load with swaps: what failed, how long calls took, how much memory it held."""
    memory, minutes = report["memory_mb"], report["latency_ms by minute"]
    swaps, seen = report["swaps"], report["seconds until a swap is seen"]
    spread = {name: [minute[name] for minute in minutes] for name in ("p50", "p99")}
    lines = [
        ["peak, calls a second (windows of one asset, 16 connections)", f"{report['peak_per_second']:,}"],
        ["load, calls a second", f"{report['rate_per_second']:,}"],
        ["calls", f"{report['calls']:,}"],
        ["calls that failed", str(report["failed"])],
        [
            "answers by a version that was no champion of the moment",
            str(report["answered by no champion of the moment"]),
        ],
        *([f"swaps by the {how}", f"{count}, seen within {seen[how]} s"] for how, count in swaps.items()),
        *(
            [f"{name} by minute, lowest to highest, ms", f"{min(found)} to {max(found)}"]
            for name, found in spread.items()
        ),
        ["resident memory, median of the second / the last minute, MB", f"{memory['second']} / {memory['last']}"],
    ]
    header = [f"{report['seconds'] / 60:g} minutes, {report['twins']} twins", ""]
    return f"{table(header, lines)}\nFrom `reports/soak.json`.\n"


def faults(report: dict[str, Any]) -> str:
    """What was thrown at the living twin, and what it lost, doubled or could not get over by itself."""
    found, starts = report["found"], report["starts"]
    lines = [
        *([kind, str(times)] for kind, times in report["kinds"].items()),
        ["readings acknowledged", f"{found['readings']:,}"],
        ["of these lost", str(report["lost"])],
        ["stored twice, or other than sent", str(report["doubled"])],
        ["cases opened", str(found["cases"])],
        ["of these opened or told twice", str(report["cases_doubled"])],
        ["processes that somebody had to start by hand", str(report["by_hand"])],
        ["events received / never delivered", f"{report['events_received']} / {report['undelivered_events']}"],
        ["starts by the supervisor", ", ".join(f"{name} {count}" for name, count in starts.items())],
        ["senders, late at the end, s", f"{report['senders_late_s']:g}"],
        ["backlog gone after that, s", f"{report['longest_backlog_s']:g}"],
    ]
    title = f"{report['trials']} faults in {report['seconds'] / 60:g} minutes"
    header = [f"{title}, {report['readings_per_second']:g} readings a second", ""]
    return f"{table(header, lines)}\nFrom `reports/faults.json`.\n"


def year(report: dict[str, Any]) -> str:
    """How large the store of a fleet is after a year."""
    rows = {
        "store after a year, GB": "gigabytes",
        "archive after a year, GB": "archive_gigabytes",
        "a raw reading in the store, bytes": "raw_bytes_per_reading",
        "what stays of a reading, its score included, bytes": "lasting_bytes_per_reading",
        "a reading in the archive, bytes": "archive_bytes_per_reading",
        "share of the scores that are kept": "scores_kept_share",
    }
    found = report["year"]
    lines = [[name, *(f"{one[key]:g}" for one in found.values())] for name, key in rows.items()]
    header = [f"{report['fleet']:,} assets, one reading a minute", *found]
    text = f"Extrapolated from {report['days']} days of {report['assets']} assets; from `reports/year.json`."
    return f"{table(header, lines)}\n{text}\n"


SOAK = {"fuzz": fuzz, "soak": soak, "faults": faults, "year": year}
