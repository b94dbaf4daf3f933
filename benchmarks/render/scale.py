"""The figures of reports/scale.json and scale_faults.json as Markdown, and how far each form of a plant reaches."""

from typing import Any

from benchmarks.render.speed import table

# What each form is built for and was not tried with: a laptop, a server, several workers.
DESIGNED = {
    "not tried, but designed for": (
        "10,000 machines, a reading a minute, everything on one machine",
        "100,000 machines, readings kept by the day",
        "ten million machines in sixteen workers behind a bus, readings in ClickHouse (neither is built)",
    )
}


def scale(report: dict[str, Any]) -> str:
    """What two partitions cost, two workers gain, and fleets of a million, batch scoring and training take."""
    shares, two = report["partitions"], report["two_workers"]
    rows = []
    for work, cpu in (("ingestion", shares["cpu_ratio_ingest"]), ("scoring", shares["cpu_ratio_score"])):
        found = two[work]
        rates = (cpu, found["of_one"], found["of_two_databases"], found["two_databases_of_one"])
        rows.append([work, *(f"{rate:.2f}" for rate in rates)])
    head = [
        "work",
        "CPU at P = 2 of P = 1",
        "two workers of one",
        "two workers of two databases",
        "two databases of one",
    ]
    loads = " and ".join(str(one) for one in two["load"])
    text = table(head, rows)
    text += f"\n{two['rounds']} rounds on {report['machine']['cores']} cores, at a load of {loads}.\n\n"
    text += fleets(report) + many_rows(report)
    if report["short"]:
        text += f"\nIn their short form, on a machine that others used too: {', '.join(report['short'])}.\n"
    return text + "\nFrom `reports/scale.json`.\n"


def fleets(report: dict[str, Any]) -> str:
    """What a worker holds and does for each of many machines."""
    found, one = report["growth"], report["sixteenth"]
    lines = [
        [f"{assets:,}", f"{cost:g}", f"{size:,}"]
        for assets, cost, size in zip(found["assets"], found["cost_per_asset"], found["bytes_per_asset"], strict=True)
    ]
    text = table(["machines in one worker", "µs of a processor for a reading and a score", "bytes in memory"], lines)
    scored = max(found["scored"])
    text += f"\nPumps, without the database; of the larger fleets {scored:,} are scored (load {found['load']}). "
    return text + f"{one['assets']:,} of them, a sixteenth of ten million, take {one['gigabytes']} GB at most.\n"


def many_rows(report: dict[str, Any]) -> str:
    """What memory batch scoring and training take."""
    found = report["batch"]
    sizes = ", ".join(
        f"{rows:,} rows at {ratio} of the bare network in {megabytes} MB"
        for rows, ratio, megabytes in zip(found["rows"], found["ratio"], found["megabytes"], strict=True)
    )
    text = f"\nBatch scoring, a score for each row: {sizes} (load {found['load']}).\n"
    memory = report["training_memory"]
    steps = ", ".join(
        f"{step} {each} bytes a row, {memory['gigabytes_at_50_million'][step]} GB at 50 million"
        for step, each in memory["bytes_per_row"].items()
    )
    sizes = " and ".join(f"{rows:,}" for rows in memory["rows"])
    return text + f"\nMemory of its own that training takes, fitted from {sizes} rows: {steps}.\n"


def reach(reports: dict[str, dict[str, Any]]) -> str:
    """How far a laptop, a server and several workers reach: what was tried, and what they are designed for."""
    twin, works, found = reports["bench_twin"], reports["growth"]["works"], reports["scale"]
    two, rate = found["two_workers"], twin["watch"]["steady_assets_per_second"]
    stored, sixteenth = twin["ingest"], found["sixteenth"]
    lines = [
        ["tried: machines in the store", *(f"{works[name]['assets'][-1]:,}" for name in OVERVIEWS), ""],
        [
            "tried: messages stored in a second",
            f"{stored['messages_per_second']:,}",
            f"{stored['postgresql_messages_per_second']:,}",
            f"{two['ingestion']['of_one']} of one worker by two",
        ],
        [
            "tried: machines scored in a second by one worker",
            f"{rate:,}",
            "",
            f"{two['scoring']['of_one']} of one worker by two",
        ],
        ["tried: machines whose windows one worker holds", f"{sixteenth['assets']:,} in {sixteenth['gigabytes']} GB"]
        + ["the same"] * 2,
        *([name, *each] for name, each in DESIGNED.items()),
    ]
    head = ["", "one laptop: SQLite", "one server: PostgreSQL", "several workers: partitions"]
    files = ", ".join(f"`reports/{name}.json`" for name in reports)
    return (
        table(head, lines)
        + f"\nEach figure is of a run of its own on {found['machine']['cores']} cores; from {files}.\n"
    )


OVERVIEWS = ("overview_sqlite", "overview_postgresql")


def scale_faults(report: dict[str, Any]) -> str:
    """What was killed, and what differed."""
    kinds = ", ".join(f"{count} times: {kind}" for kind, count in report["kinds"].items())
    text = (
        f"{report['trials']} faults of {report['workers']} workers with {report['partitions']} partitions ({kinds}): "
    )
    text += f"of {report['readings']:,} readings {report['lost']} lost, {report['doubled']} windows scored twice, "
    text += f"{report['scores_that_differ']} scores and {report['cases_that_differ']} of {report['cases']} cases other "
    return text + "than those of an undisturbed loop. From `reports/scale_faults.json`.\n"


SCALE = {"scale": scale, "scale-faults": scale_faults}
