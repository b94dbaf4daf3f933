"""The figures of reports/scale.json and reports/scale_faults.json as Markdown."""

from typing import Any

from benchmarks.render.speed import table


def scale(report: dict[str, Any]) -> str:
    """What two partitions cost, what two workers gain, and what memory batch scoring and training take."""
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
    text = table(head, rows)
    loads = " and ".join(str(one) for one in two["load"])
    text += f"\nOn {report['machine']['cores']} cores, at a load of {loads}; from `reports/scale.json`.\n"
    found = report["batch"]
    sizes = ", ".join(
        f"{rows:,} rows at {ratio} of the bare network in {megabytes} MB"
        for rows, ratio, megabytes in zip(found["rows"], found["ratio"], found["megabytes"], strict=True)
    )
    text += f"\nBatch scoring, a score for each row: {sizes} (load {found['load']}).\n"
    memory = report["training_memory"]
    steps = ", ".join(
        f"{step} {each} bytes a row, {memory['gigabytes_at_50_million'][step]} GB at 50 million"
        for step, each in memory["bytes_per_row"].items()
    )
    sizes = " and ".join(f"{rows:,}" for rows in memory["rows"])
    return text + f"\nMemory of its own that training takes, fitted from {sizes} rows: {steps}.\n"


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
