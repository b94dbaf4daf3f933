"""The figures of reports/scale.json and scale_faults.json as Markdown, and how far each form of a plant reaches."""

from typing import Any

from benchmarks.render.speed import table

# What each form is built for and was not tried with: a laptop, where that was not measured, a server, several workers.
LAPTOP = "10,000 machines, a reading a minute, everything on one machine"
DESIGNED = ("100,000 machines, readings kept by the day", "ten million machines in sixteen workers")


def scale(report: dict[str, Any]) -> str:
    """What partitions cost, two workers gain, and fleets of a million, batch scoring and training take."""
    text = "\n".join(of(report) for part, of in PARTS.items() if part in report)
    if missing := [part for part in PARTS if part not in report]:
        text += f"\nNot measured yet: {', '.join(missing)}.\n"
    if report["short"]:
        text += f"\nIn their short form, some on a machine that others used too: {', '.join(report['short'])}.\n"
    return text + "\nFrom `reports/scale.json`.\n"


def workers(report: dict[str, Any]) -> str:
    """What two partitions cost, and what two workers gain; the latter only where nobody else used the machine."""
    shares, two = report["partitions"], report["two_workers"]
    cpu = {"ingestion": shares["cpu_ratio_ingest"], "scoring": shares["cpu_ratio_score"]}
    loads = " and ".join(str(one) for one in two["load"])
    often = "once" if two["rounds"] == 1 else f"{two['rounds']} rounds"
    where = f"{often} on {report['machine']['cores']} cores, at a load of {loads}"
    if not _is_alone(report):
        text = f"A worker's processor time at P = 2 of that at P = 1: ingestion {cpu['ingestion']:.2f}, scoring "
        text += f"{cpu['scoring']:.2f} ({where}). What two workers gain is not told: others used the machine,"
        return text + " and such ratios say nothing then.\n"
    rows = []
    for work, ratio in cpu.items():
        found = two[work]
        rates = (ratio, found["of_one"], found["of_two_databases"], found["two_databases_of_one"])
        rows.append([work, *(f"{rate:.2f}" for rate in rates)])
    head = ["work", "CPU at P = 2 of P = 1"]
    head += ["two workers of one", "two workers of two databases", "two databases of one"]
    return table(head, rows) + f"\n{where.capitalize()}.\n"


def _is_alone(report: dict[str, Any]) -> bool:
    """Whether the machine had nothing else to do when the workers were measured, as the load before them tells."""
    return bool(report["two_workers"]["load"][0] <= 1)


def fleets(report: dict[str, Any]) -> str:
    """What a worker holds and does for each of many machines."""
    found = report["growth"]
    lines = [
        [f"{assets:,}", f"{cost:g}", f"{size:,}"]
        for assets, cost, size in zip(found["assets"], found["cost_per_asset"], found["bytes_per_asset"], strict=True)
    ]
    text = table(["machines in one worker", "µs of a processor for a reading and a score", "bytes in memory"], lines)
    whole = found["scored"][1:] == found["assets"][1:]
    scored = "all of the larger fleets" if whole else f"of the larger fleets {max(found['scored']):,}"
    return text + f"\nPumps, without the database; {scored} are scored (load {found['load']}).\n"


def sixteenth(report: dict[str, Any]) -> str:
    """What a worker of one sixteenth of ten million machines takes."""
    one = report["sixteenth"]
    return f"{one['assets']:,} pumps, a sixteenth of ten million, take {one['gigabytes']} GB in one worker.\n"


def many_rows(report: dict[str, Any]) -> str:
    """What memory batch scoring takes, and how quick it is."""
    found = report["batch"]
    sizes = ", ".join(
        f"{rows:,} rows at {ratio} of the bare network in {megabytes} MB"
        for rows, ratio, megabytes in zip(found["rows"], found["ratio"], found["megabytes"], strict=True)
    )
    return f"Batch scoring, a score for each row: {sizes} (load {found['load']}).\n"


def training(report: dict[str, Any]) -> str:
    """What memory the stages from `prepare` to `evaluate` take by rows."""
    memory = report["training_memory"]
    head = ["stage", *(f"MB of its own, {rows:,} rows" for rows in memory["rows"]), "bytes a row"]
    head += [f"MB resident, {memory['rows'][-1]:,} rows", "GB of its own, 50 million rows"]
    lines = [
        [
            stage,
            *(f"{one:,}" for one in memory["megabytes"][stage]),
            f"{each:g}",
            f"{memory['resident_megabytes'][stage][-1]:,}",
            f"{memory['gigabytes_at_50_million'][stage]:g}",
        ]
        for stage, each in memory["bytes_per_row"].items()
    ]
    text = "\nThe most that a stage takes, with small budgets and two held-out cuts of a run; pages of mapped files,"
    text += " which are resident too, are the system's to drop. Large arrays lie in such files, small ones do not,"
    text += " so that a stage may take less of more rows."
    if memory["rows"][-1] < 50_000_000:
        text += f" 50 million rows were not gone through: that is the slope between {memory['rows'][0]:,} and"
        text += f" {memory['rows'][-1]:,}."
    if within := memory.get("within"):
        text += f"\n\nIn a control group of {within['gigabytes']:g} GB for a stage's own memory and pages of files,"
        text += f" {within['rows']:,} rows went through all stages: "
        text += ", ".join(f"{stage} in {one['seconds']:.0f} s" for stage, one in within["stages"].items()) + "."
    return table(head, lines) + text + "\n"


def idle(report: dict[str, Any]) -> str:
    """What a pass costs where nothing waits, by the number of machine types."""
    found = report["idle_pass"]
    costs = zip(found["twins"], found["milliseconds"], found["postgresql_milliseconds"], strict=True)
    lines = [[f"{twins:,}", f"{sqlite:g}", f"{postgres:g}"] for twins, sqlite, postgres in costs]
    head = ["machine types", "ms of a processor for a pass without news: SQLite", "PostgreSQL, its server too"]
    return table(head, lines) + f"\nLoad {found['load']}.\n"


def laptop(report: dict[str, Any]) -> str:
    """How far behind one machine is that does everything, and what its processes take."""
    one, cores = report["laptop"], report["machine"]["cores"]
    half, most, last = (
        f"{one[name] * one['tick_s']:.0f} s" for name in ("median_lag_ticks", "lag_ticks", "largest_lag_ticks")
    )
    stores = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
    text = f"Everything on one machine of {cores} cores, over {stores[one['store']]}: {one['assets']:,} pumps for"
    text += f" {one['minutes']:g} minutes, a reading every {one['tick_s']:g} s each. From publication to score half of"
    text += f" the {one['readings']:,} readings took at most {half}, 99 of 100 {most}, all {last};"
    text += f" {one['without_a_score']} got no score. At the end {one['behind_at_the_end']} were on their way.\n\n"
    lines = [
        [name, f"{100 * each['cpu_share']:.1f}", str(each["megabytes"])] for name, each in one["processes"].items()
    ]
    lines += [["all", f"{100 * one['cpu_share']:.1f}", f"{one['megabytes']:,}"]]
    visits = ", ".join(f"{name} {ms} ms" for name, ms in one["visits_ms"].items())
    head = ["process", "% of the processors", "MB at most"]
    return text + table(head, lines) + f"\nMeanwhile half of the answers took at most: {visits} (load {one['load']}).\n"


PARTS = {
    "partitions": workers,
    "growth": fleets,
    "sixteenth": sixteenth,
    "batch": many_rows,
    "training_memory": training,
    "idle_pass": idle,
    "laptop": laptop,
}


def reach(reports: dict[str, dict[str, Any]]) -> str:
    """How far a laptop, a server and several workers reach: what was tried, and what they are designed for."""
    twin, works, found = reports["bench_twin"], reports["growth"]["works"], reports["scale"]
    rate, stored, share = twin["watch"]["steady_assets_per_second"], twin["ingest"], found["sixteenth"]
    gains = {work: _gain(found, work) for work in ("ingestion", "scoring")}
    lines = [
        ["tried: machines in the store", *(f"{works[name]['assets'][-1]:,}" for name in OVERVIEWS), "the same store"],
        [
            "tried: messages stored in a second",
            f"{stored['messages_per_second']:,}",
            f"{stored['postgresql_messages_per_second']:,}",
            gains["ingestion"],
        ],
        [
            "tried: machines scored in a second by one worker",
            f"{rate:,}",
            "not measured",
            gains["scoring"],
        ],
        ["tried: machines whose windows one worker holds", f"{share['assets']:,} in {share['gigabytes']} GB"]
        + ["the same"] * 2,
        ["tried: a reading a minute of each, everything on one machine", _on_one_machine(found), "not measured", "-"],
        ["not tried, but designed for", "-" if _is_tried(found) else LAPTOP, *DESIGNED],
    ]
    head = ["", "one laptop: SQLite", "one server: PostgreSQL", "several workers: partitions"]
    files = ", ".join(f"`reports/{name}.json`" for name in reports)
    return (
        table(head, lines)
        + f"\nEach figure is of a run of its own on {found['machine']['cores']} cores; from {files}.\n"
    )


def _is_tried(report: dict[str, Any]) -> bool:
    """Whether one machine was measured for as long as it takes, with nothing else to do."""
    return "laptop" in report and "laptop" not in report["short"]


def _on_one_machine(report: dict[str, Any]) -> str:
    if not _is_tried(report):
        return "not measured on an idle machine yet"
    one = report["laptop"]
    text = f"{one['assets']:,} machines, 99 of 100 readings scored within {one['lag_ticks'] * one['tick_s']:.0f} s,"
    return text + f" {100 * one['cpu_share']:.0f} % of the processors, {one['megabytes']:,} MB"


def _gain(report: dict[str, Any], work: str) -> str:
    if "two_workers" not in report or not _is_alone(report):
        return "not measured on an idle machine yet"
    return f"{report['two_workers'][work]['of_one']} of one worker by two"


OVERVIEWS = ("overview_sqlite", "overview_postgresql")


def scale_faults(report: dict[str, Any]) -> str:
    """What was killed, and what differed."""
    kinds = ", ".join(f"{count} times: {kind}" for kind, count in report["kinds"].items())
    text = f"{report['trials']} faults of {report['hosts']} hosts with {report['workers']} workers and"
    text += f" {report['partitions']} partitions ({kinds}): of {report['readings']:,} readings {report['lost']} lost,"
    text += f" {report['doubled']} windows scored twice, {report['out_of_order']} readings or scores out of their"
    text += f" machine's order, {report['scores_that_differ']} scores and {report['cases_that_differ']} of"
    text += f" {report['cases']} cases other than those of an undisturbed loop."
    if report["services_asked"]:
        text += f" While one host was away the other's service was asked {report['services_asked']} times, and did not"
        text += f" answer {report['services_that_did_not_answer']} times."
    return text + " From `reports/scale_faults.json`.\n"


def ray(report: dict[str, Any]) -> str:
    """How the bundle came out of a Ray cluster, by the form of its address and with a node killed."""
    runs = report["trained"]
    others = ", ".join(name.replace("_", " ") for name in report["candidates"][1:])
    text = (
        f"{report['members']} networks and {others}, on {report['nodes']} nodes of one core each on one machine, whose"
    )
    text += f" own processes take {report['seconds']:.0f} s: "
    told = [
        f"{form.replace('HOST:PORT', '`HOST:PORT`').replace('ray://`', '`ray://')} in {one['seconds']:.0f} s"
        f"{'' if one['same_bits'] else ', ANOTHER BUNDLE'}"
        for form, one in runs.items()
    ]
    if all(one["same_bits"] for one in runs.values()):
        told[-1] += "; the same bundle each time"
    return f"{text}{', '.join(told)}. From `reports/ray.json`.\n"


SCALE = {"scale": scale, "scale-faults": scale_faults, "ray": ray}
