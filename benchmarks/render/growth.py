"""The figures of reports/growth.json, reports/mixed_load.json and reports/console.json as Markdown."""

from typing import Any

from benchmarks.render.speed import table

WORDS = {
    "ingest_postgresql": "a reading stored, PostgreSQL",
    "ingest_new_hour_postgresql": "a reading that begins an hour, PostgreSQL",
    "ingest_sqlite": "a reading stored, SQLite",
    "ingest_new_hour_sqlite": "a reading that begins an hour, SQLite",
    "scoring": "an asset scored that has a new reading, all windows in memory",
    "digest": "a fault more in the digest of waiting cases",
    "outbox": "a look into the outbox, a target being away",
    "monitor": "an asset looked at by the monitor",
    "lists": "an asset on a page in the middle of the fleet",
    "urgency_postgresql": "an asset on the first two pages by urgency, PostgreSQL",
    "urgency_sqlite": "an asset on the first two pages by urgency, SQLite",
    "overview_postgresql": "the counts of the fleet by health, PostgreSQL",
    "overview_sqlite": "the counts of the fleet by health, SQLite",
    "kpis": "an asset in the key figures",
    "thread": "the first page of an asset's thread",
    "newest_readings": "an asset's newest hundred readings",
}


def growth(report: dict[str, Any]) -> str:
    """What each work costs in a small fleet or life and in a large one."""
    text = ""
    for of in ("assets", "readings"):
        works = {name: found for name, found in report["works"].items() if of in found}
        if works:
            sizes = next(iter(works.values()))[of]
            header = ["µs per item", *(f"{size:,} {of}" for size in sizes), "ratio", "of processor time", "bound"]
            lines = []
            for name, one in works.items():
                ratios = one["ratio"], one.get("cpu_ratio", ""), one["bound"]
                lines.append([WORDS[name], *(f"{cost:,.0f}" for cost in one["cost_per_item"]), *map(str, ratios)])
            text += table(header, lines) + "\n"
    return text + f"On {report['machine']['cores']} cores; from `reports/growth.json`.\n"


def mixed_load(report: dict[str, Any]) -> str:
    """How long a reading waits, alone and beside readers."""
    found = report["mixed_load"]
    header = ["a reading posted, ms", "alone", f"beside {report['readers']} readers"]
    lines = [
        [name, *(f"{found[key][where]:.1f}" for where in ("alone", "beside"))]
        for name, key in (("median", "median_ms"), ("p99", "p99_ms"), ("longest", "longest_ms"))
    ]
    reads = ", ".join(f"{count} with {status}" for status, count in found["reads"].items())
    text = f"p99 beside readers as a multiple of that alone: {found['p99_ratio']}. {report['assets']:,} assets; "
    text += f"{found['calls']} readings each; reads answered: {reads}. From `reports/mixed_load.json`.\n"
    return f"{table(header, lines)}\n{text}"


def console(report: dict[str, Any]) -> str:
    """What a person waits for in a small fleet and in a large one, and the largest answers."""
    works = {
        "first paint of the fleet's page": report["first_paint_ms"],
        "the query of its list, by name": report["list_by_name_ms"],
        "the query of its list, the most pressing first": report["list_by_urgency_ms"],
    }
    lines = [
        [name, *(f"{size:,}: {ms:,.0f}" for size, ms in zip(one["assets"], one["ms"], strict=True)), str(one["ratio"])]
        for name, one in works.items()
    ]
    head = table(["ms by assets", "small fleet", "large fleet", "ratio"], lines)
    path, most = max(report["bytes"].items(), key=lambda item: item[1])
    text = f"The least of {report['rounds']} rounds; a ratio of {report['bound']} is wanted. The largest of "
    text += f"{len(report['bytes'])} pages, `{path}`, has {most / 1000:.1f} kB uncompressed, "
    text += f"of {report['most_bytes'] / 1000:.0f} kB allowed. "
    machine = report["machine"]
    text += f"On {machine['cores']} cores at a load of {machine['load']}; from `reports/console.json`.\n"
    return f"{head}\n{text}{left_open(report['left_open'])}"


def left_open(found: dict[str, Any]) -> str:
    """What pages that stay open hold in the end."""
    pages = {"fleet": found["fleet"], "machine": found["machine"]}
    grown = [
        f"that of a {name}, which looked {one['looks']} times, heap {one['growth']['heap_mb']}, nodes "
        f"{one['growth']['nodes']}"
        for name, one in pages.items()
    ]
    return (
        f"\nTwo pages left open over {found['minutes']:g} minutes of replay of {found['pumps']} pumps, what the last "
        f"quarter held as a multiple of the second: {'; '.join(grown)}; {found['bound']} is allowed.\n"
    )


GROWTH = {"growth": growth, "mixed-load": mixed_load, "console": console}
