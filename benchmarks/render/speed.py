"""The figures of speed as Markdown: how long the pipeline, the networks, the living twin and the services take."""

from typing import Any

Tree = dict[str, Any]
CONNECTIONS = ("1", "8", "16", "64")
OURS, RIVAL = "Foretwin", "FastAPI, checks by hand, key, metrics"  # as bench_service_line_up.py names them


def table(header: list[str], lines: list[list[str]]) -> str:
    """A Markdown table whose numbers stand on the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *lines)) + "\n"


def first_run(report: dict[str, Any]) -> str:
    """How long a newcomer waits."""
    seconds = report["seconds"]
    rows = {
        "`make setup`: installation": f"{seconds['install']:.0f} s",
        "`make run` after it: from simulated readings to a packaged model": f"{seconds['run']:.0f} s",
        "`dvc repro` again, nothing changed": f"{seconds['repeat']:.1f} s",
        "`foretwin --help`": f"{seconds['help']:.2f} s",
    }
    body = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"| step | on {report['cores']} cores |\n| --- | ---: |\n{body}\n\nFrom `reports/first_run.json`.\n"


def bench(report: dict[str, Any]) -> str:
    """Speed as ratios within one run."""
    training, cutting, scoring = report["training"], report["cutting"], report["scoring"]
    rows = {
        "training with Lightning, as a share of a plain PyTorch loop's windows/s": training["share_of_plain_loop"],
        "cutting windows, as a multiple of numpy's copy of a sliding view": cutting["multiple_of_copying"],
        "the network's share of the time of scoring one window": scoring["network_share_of_score"],
        "scoring one window through the ensemble on one core, ms": scoring["one_window_ms"],
        "assets scored in a second in one call, on one core": scoring["assets_per_second"],
        "a batch of 256 windows, as a share of one core's matrix rate": scoring["share_of_matrix_rate"],
    }
    body = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"| measured in one run | |\n| --- | ---: |\n{body}\n\nFrom `reports/bench.json`.\n"


def bench_twin(report: dict[str, Any]) -> str:
    """Speed of the living twin: shares of what the bare parts do in the same run."""
    ingest, mqtt, watch, what_if = (report[part] for part in ("ingest", "mqtt", "watch", "what_if"))
    rows = {
        "1,000 readings in an Arrow body, as a share of SQLite's bare `executemany`": ingest["arrow_of_executemany"],
        "the same as JSON": ingest["json_of_executemany"],
        "Arrow body, as a share of PostgreSQL's bare `COPY`": ingest["arrow_of_copy"],
        "the same as JSON ": ingest["json_of_copy"],
        "messages of one reading decoded and stored in a second, 500 in a transaction (SQLite)": ingest[
            "messages_per_second"
        ],
        "MQTT to committed row, messages a second": mqtt["messages_per_second"],
        "the broker alone, publisher to subscriber, messages a second": mqtt["broker_messages_per_second"],
        "MQTT to committed row at 200 messages a second, median / p99, ms": f"{mqtt['median_ms']} / {mqtt['p99_ms']}",
        "scoring 10,000 assets that have one new reading each, as a share of the bare network": watch[
            "steady_share_of_bare"
        ],
        "the same from a cold start": watch["cold_share_of_bare"],
        "a what-if question of four options, ms": what_if["four_options_ms"],
    }
    body = "\n".join(f"| {name.strip()} | {value} |" for name, value in rows.items())
    return f"| measured in one run | |\n| --- | ---: |\n{body}\n\nFrom `reports/bench_twin.json`.\n"


def bench_service(report: Tree) -> str:
    """The scoring service beside what else could answer: figures, ratios, what each layer and each batch costs."""
    parts = (_servers, _ratios, _asked, _layers, _batches)
    where = f"{report['machine']['cores']} cores ({report['machine']['processor']})"
    how = f"Median of {report['rounds']} rounds on {where}; from `reports/bench_service.json`."
    return "\n".join([*(part(report) for part in parts), how + "\n"])


def _servers(report: Tree) -> str:
    header = ["server", *(f"{n} conn.: calls/s, p50, p99 ms" for n in CONNECTIONS)]
    header += ["64 windows: calls/s, p99 ms", "256 windows, JSON: windows/s", "Arrow", "ready after s, MB"]
    lines = []
    for name, found in report["servers"].items():
        single = [found["single"][n] for n in CONNECTIONS]
        cells = [f"{at['calls_per_second']:.0f}, {at['p50_ms']:.2f}, {at['p99_ms']:.1f}" for at in single]
        cells.append(f"{found['json_64']['calls_per_second']:.0f}, {found['json_64']['p99_ms']:.0f}")
        arrow = found.get("arrow_256")
        cells.append(f"{found['json_256']['windows_per_second']:.0f}")
        cells.append(f"{arrow['windows_per_second']:.0f}" if arrow else "")
        lines.append([name, *cells, f"{found['ready_seconds']:.1f}, {found['memory_mb']:.0f}"])
    return table(header, lines)


def _ratios(report: Tree) -> str:
    header = [f"{OURS}'s calls a second, as a multiple of", *(f"{n} conn." for n in CONNECTIONS), "64 windows a call"]
    found = report["ratios"]["single"]
    return table(header, [[name, *(f"{by[n]:.2f}" for n in (*CONNECTIONS, "json_64"))] for name, by in found.items()])


def _asked(report: Tree) -> str:
    ratios, tail = report["ratios"], report["ratios"]["p99_of_rival"]
    lines = {
        f"p99 as a multiple of “{RIVAL}”, at {', '.join(CONNECTIONS)} connections": ", ".join(
            f"{tail[n]:.2f}" for n in CONNECTIONS
        ),
        "one connection's calls/s, as a share of the bare loop of `Bundle.score`": ratios["one_connection_of_bare"],
        "256 windows as Arrow, as a share of the bare loop's windows/s": ratios["arrow_of_bare"],
        "256 windows as JSON, as a share of it": ratios["json_of_bare"],
        "256 windows as Arrow, as a multiple of JSON": ratios["arrow_of_json"],
    }
    return table(["measured in one run", ""], [[name, str(value)] for name, value in lines.items()])


def _layers(report: Tree) -> str:
    header = ["a handler that does nothing, under", "1 conn.: calls/s, p99 ms", "16 conn.: calls/s, p99 ms"]
    lines = [
        [name, *(f"{found[n]['calls_per_second']:.0f}, {found[n]['p99_ms']:.1f}" for n in ("1", "16"))]
        for name, found in report["layers"].items()
    ]
    return table(header, lines)


def _batches(report: Tree) -> str:
    alone = report["in_process"]
    counts = [name.removeprefix("network_") for name in alone if name.startswith("network_")]
    rates = table(
        ["the network alone, windows at once", *counts],
        [["windows/s", *(f"{alone[f'network_{n}']:.0f}" for n in counts)]],
    )
    loop = f"{alone['score_1']:.0f} windows/s one by one, {alone['score_256']:.0f} in calls of 256"
    gain = f"{report['ratios']['most_that_a_queue_gains']:.0%}"
    bound = f"a queue that had always 16 calls to put together could raise the calls a second by {gain} at most"
    return f"{rates}\nThe bare loop of `Bundle.score`: {loop}. By these figures {bound}.\n"


def slow_clients(report: Tree) -> str:
    """Honest calls beside slow connections and without them."""
    found = report["slow_clients"]
    lines = {
        "slow clients that come again and again": f"{found['connections']:,}",
        "files and connections that the service has open, at most": f"{found['descriptors']:,}",
        "honest calls, none refused": f"{found['calls']:,}",
        "p50 without / with slow clients, ms": f"{found['p50_alone_ms']} / {found['p50_with_ms']}",
        "p99 without / with slow clients, ms": f"{found['p99_alone_ms']} / {found['p99_with_ms']}",
        "p99 with them, as a multiple of that without": str(found["p99_ratio"]),
    }
    body = table(["measured in one run", ""], [[name, value] for name, value in lines.items()])
    return f"{body}\nFrom `reports/slow_clients.json`.\n"


SPEED = {
    "first-run": first_run,
    "bench": bench,
    "bench-twin": bench_twin,
    "bench-service": bench_service,
    "slow-clients": slow_clients,
}
