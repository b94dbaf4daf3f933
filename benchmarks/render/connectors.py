"""The figures of reports/connectors.json as Markdown."""

from typing import Any

from benchmarks.render.speed import table

NAMES = {"opcua": "OPC UA", "opcua_without_history": "OPC UA, without a history", "kafka": "Kafka"}
NAMES |= {"jetstream": "NATS JetStream", "sparkplug": "Sparkplug B", "mqtt": "MQTT"}
Report = dict[str, dict[str, Any]]


def connector_reliability(report: Report) -> str:
    """What kills, an absence and a storm of lost connections left behind."""
    header = ["killed at random, and started again", "kills", "values", "lost", "twice", "s until the loss was told"]
    killed = [(name, report[key]) for key, name in NAMES.items() if "kills" in report.get(key, {})]
    lines = [
        [name, *(f"{one[k]:,}" for k in ("kills", "values", "lost", "doubled", "seconds_to_tell"))]
        for name, one in killed
    ]
    away, storm = report["mqtt"]["outage"], report["storm"]
    text = table(header, lines)
    gaps, sparkplug = report["opcua_without_history"], report["sparkplug"]
    text += (
        f"\nOf the values of OPC UA without a history {gaps['lost_in_them']:,} lay in {gaps['gaps_told']} gaps, each "
        f"of which the log told. Of those of Sparkplug B, which promises no delivery, {sparkplug['on_their_way']} were "
        "on their way when `foretwin ingest` or the broker was killed. Neither are among the lost ones.\n"
    )
    text += (
        f"\n`foretwin ingest` away from Mosquitto for {away['outage_seconds']:.0f} s at {away['rate']:.0f} readings/s: "
        f"of {away['sent']:,} acknowledged ones {away['lost']} were lost, {away['doubled']} came twice; all stood "
        f"{away['seconds_to_drain']:.0f} s after its return.\n\n"
    )
    header = [f"{storm['clients']} connections lost at once, nobody let in for {storm['away_seconds']:g} s", "attempts"]
    header += ["most in 1 s", "most in 0.1 s", "without chance in the back-off", "s until all stood again"]
    keys = ("attempts", "most_in_1_s", "most_in_100_ms", "most_in_100_ms_without_chance", "settled_seconds")
    kinds = {"mqtt": "MQTT, Sparkplug B", "nats": "NATS JetStream, OPC UA: the same loop"}
    text += table(header, [[name, *(str(storm[kind][key]) for key in keys)] for kind, name in kinds.items()])
    return text + "\nFrom `reports/connectors.json`.\n"


def connector_speed(report: Report) -> str:
    """Rates as shares of the bare client and of ingestion from memory, with their bars."""
    header = ["values a second", "to committed rows", "bare client", "from memory", "share of the slower", "bar"]
    header += ["age at commit at half of it, ms: median / p99", "memory, MB", "its growth, MB a minute"]
    lines = []
    for key, name in NAMES.items():
        one = report.get(key, {})
        if "rate_ratio" not in one:
            continue
        bar = one.get("bar")
        met = "" if bar is None else f"{bar}{'' if one['rate_ratio'] >= bar else ', **missed**'}"
        rates = [f"{one[k]:,}" for k in ("values_per_second", "bare_values_per_second", "memory_values_per_second")]
        spread = f"{one['rate_ratio']:.2f} ({min(one['rate_ratios']):.2f} to {max(one['rate_ratios']):.2f})"
        lag = f"{one['lag_p50_ms']:,} / {one['lag_p99_ms']:,}"
        lines.append([name, *rates, spread, met, lag, f"{one['rss_mb']:,}", f"{one['rss_mb_per_minute']:+.1f}"])
    cores = sorted({one["cores"] for one in report.values() if "cores" in one})
    text = table(header, lines) + f"\n{', '.join(map(str, cores))} cores; from `reports/connectors.json`."
    long = [
        _long_run(name, report[key]["long_run"]) for key, name in NAMES.items() if "long_run" in report.get(key, {})
    ]
    return text + "".join(long) + "\n"


def _long_run(name: str, run: dict[str, Any]) -> str:
    *growth, last = run["rss_mb_per_minute"]
    length = f"{run['seconds'] / 60:.0f} minutes at {run['values_per_second']:,} values a second"
    return f" {name} for {length}: memory grew by {', '.join(map(str, growth))} and {last} MB a minute, third by third."


CONNECTORS = {"connector-reliability": connector_reliability, "connector-speed": connector_speed}
