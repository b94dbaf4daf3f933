"""Measure each connector against the bare client and ingestion from memory; writes reports/connectors.json.

    python -m benchmarks.speed.connectors [opcua|kafka|jetstream|sparkplug|mqtt]...

A connector is measured on its own and kept at once, so that one can be measured again alone. Each of `ROUNDS` rounds
takes the same values three times, in turns: by the bare client, which decodes them too; from memory into a SQLite of
its own; and by the loop of `foretwin ingest` into another. `rate_ratio` is the last by the slower of the others, the
median of the rounds: what else the machine does slows all three. Then values come at half of the rate: how old each is
at its commit, and how the memory of the process grows.
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.reliability.connector_kills import keep_figures
from benchmarks.speed.connectors.drains import Heard, store_from_memory, store_what_comes
from benchmarks.speed.connectors.feeds import Feed, at_a_pace
from benchmarks.speed.connectors.kafka_feed import KafkaFeed
from benchmarks.speed.connectors.mqtt_feeds import MqttFeed, SparkplugFeed
from benchmarks.speed.connectors.nats_feed import NatsFeed
from benchmarks.speed.connectors.opcua_feed import OpcuaFeed
from benchmarks.speed.connectors.workload import VALUES
from benchmarks.speed.twin_mqtt import process
from foretwin.errors import ForetwinError
from foretwin.project.entrypoint import exit_on_error

FEEDS: dict[str, type[Feed]] = {"opcua": OpcuaFeed, "kafka": KafkaFeed, "jetstream": NatsFeed}
FEEDS |= {"sparkplug": SparkplugFeed, "mqtt": MqttFeed}
BARS = {"opcua": 0.6, "kafka": 0.6, "jetstream": 0.6, "sparkplug": 0.5, "mqtt": None}  # of rate_ratio, at least
ROUNDS = 3
SETTLING, PACED = 5.0, 15.0  # s of values at half of the rate before it is measured, and while
MEGABYTE = 1e6


def main(names: list[str]) -> None:
    """Measure, keep what was found of each, and say where a bar is missed."""
    unknown = [name for name in names if name not in FEEDS]
    if unknown:
        raise ForetwinError(f"{unknown[0]}: is no connector; there are {', '.join(FEEDS)}")
    for name in names or FEEDS:
        found = measure(FEEDS[name]())
        keep_figures(name, found | {"bar": BARS[name]})
        if found["rate_ratio"] < (BARS[name] or 0.0):
            print(f"{name}: {found['rate_ratio']} misses its bar of {BARS[name]}", file=sys.stderr)


def measure(feed: Feed) -> dict[str, Any]:
    """Rates and their ratio, age of values at their commit, growth of memory."""
    with tempfile.TemporaryDirectory(prefix="foretwin-speed-") as name:
        folder = Path(name)
        feed.start(folder)
        try:
            rounds = [_round(feed, folder, number) for number in range(ROUNDS)]
            bare, memory, ours = (np.array(one) for one in zip(*rounds, strict=True))
            paced = _paced(feed, folder, float(np.median(ours)) / 2)
        finally:
            feed.stop()
    ratios = ours / np.minimum(bare, memory)
    shown = {"values_per_second": ours, "bare_values_per_second": bare, "memory_values_per_second": memory}
    return {
        "rate_ratio": round(float(np.median(ratios)), 2),
        "rate_ratios": [round(float(one), 2) for one in ratios],
        **{what: round(float(np.median(each))) for what, each in shown.items()},
        **paced,
        "cores": os.cpu_count(),
    }


def _round(feed: Feed, folder: Path, number: int) -> tuple[float, float, float]:
    """Values a second by the bare client, from memory, and by us."""
    stores = [f"sqlite:///{folder}/{kind}{number}.db" for kind in ("memory", "ours")]
    count = feed.ticks * VALUES
    feed.prepare(stores[1])
    with process(feed.bare, *feed.bare_arguments()) as told:
        bare = _rate(feed, Heard(told), count)
    with process(store_from_memory, stores[0], feed.ticks, feed.batch) as told:
        memory = Heard(told).values_a_second(count)
    with process(store_what_comes, stores[1], str(folder), feed.connection) as told:
        ours = _rate(feed, Heard(told), count)
    print(f"round {number}: bare {bare:.0f}, memory {memory:.0f}, ours {ours:.0f} values/s", file=sys.stderr)
    return bare, memory, ours


def _rate(feed: Feed, heard: Heard, count: int) -> float:
    return heard.values_a_second(count, feed.begin(heard))


def _paced(feed: Feed, folder: Path, rate: float) -> dict[str, float]:
    """How old values are at their commit, and how memory grows, at `rate` values a second."""
    store = f"sqlite:///{folder}/paced.db"
    feed.prepare(store)
    with process(store_what_comes, store, str(folder), feed.connection) as told:
        heard = Heard(told)
        _rate(feed, heard, feed.ticks * VALUES)
        at_a_pace(feed.send, rate, SETTLING)
        before = heard.settle()
        (listener,) = [one for one in psutil.Process().children() if "spawn_main" in " ".join(one.cmdline())]
        memory: list[tuple[float, float]] = []
        begin = time.monotonic()

        def send(tick: int) -> None:
            feed.send(tick)
            if not memory or time.monotonic() - begin - memory[-1][0] > 1:
                memory.append((time.monotonic() - begin, listener.memory_info().rss / MEGABYTE))

        sent = at_a_pace(send, rate, PACED)
        seconds = time.monotonic() - begin
        heard.settle()
    ages = np.concatenate([one for _, _, one in heard.commits[before:]])
    moments, sizes = np.array(memory).T
    return {
        "paced_values_per_second": round(sent / seconds),
        "lag_p50_ms": round(1000 * float(np.quantile(ages, 0.5))),
        "lag_p99_ms": round(1000 * float(np.quantile(ages, 0.99))),
        "rss_mb": round(memory[-1][1]),
        "rss_mb_per_minute": round(float(np.polyfit(moments, sizes, 1)[0]) * 60, 1),
    }


if __name__ == "__main__":
    with exit_on_error():
        main(sys.argv[1:])
