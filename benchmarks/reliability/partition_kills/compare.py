"""Feed an undisturbed fleet and a disturbed one with the same readings, and count what differs in the end.

The undisturbed side is SQLite with one loop, and takes readings straight into its store. The disturbed one has two
hosts with four partitions: readings come by the bus to `foretwin ingest` of either, `foretwin watch` scores them. A
tick is a reading of each machine, and the next comes once all are scored, so that both sides see the same windows. Each
window must be scored once: a trigger counts every score that is written, be it the same again. A contract's limit of
new cases in an hour must not be reached: which of them it lets through depends on who is scored first.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa

from benchmarks.reliability.accounts import BEHIND, count
from benchmarks.reliability.draws import draw
from benchmarks.reliability.partition_kills.plant import KINDS, Plant, built_plant, possible_kinds
from foretwin.contract.twin import Twin
from foretwin.errors import BrokerError, ForetwinError, StoreAway
from foretwin.twin.connectors.connections.connections_file import plain_peer
from foretwin.twin.connectors.jetstream.stream_publisher import Publish, opened_streams
from foretwin.twin.ingest.ingest import ingest
from foretwin.twin.scoring.loop import score_once
from foretwin.twin.scoring.watched import Watching, WatchSettings
from foretwin.twin.store import Store, open_store
from foretwin.twin.store.ownership.partitioning import rebalance
from foretwin.wire.decoder import decode_table

PARTITIONS = 4
CALLS = 4  # parts of a tick, between which something may befall the plant
PATIENCE = 180.0  # s until a tick is stored and scored
COUNT_WRITES = (
    "CREATE TABLE written (number bigserial, asset int, run int, time float8, host inet)",
    "CREATE FUNCTION count_written() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN"
    " INSERT INTO written (asset, run, time, host) VALUES (NEW.asset, NEW.run, NEW.time, inet_client_addr());"
    " RETURN NEW; END'",
    "CREATE TRIGGER count_written BEFORE INSERT ON scores FOR EACH ROW EXECUTE FUNCTION count_written()",
)
DOUBLED = "SELECT count(*) FROM (SELECT FROM written GROUP BY asset, run, time HAVING count(*) > 1) AS twice"
DISORDERED = """SELECT (SELECT coalesce(sum(late), 0) FROM assets) + (SELECT count(*) FROM (SELECT time
    < lag(time) OVER (PARTITION BY asset, run ORDER BY number) AS is_back FROM written) AS steps WHERE is_back)"""
READINGS = "SELECT name, readings.run, readings.time, channels FROM readings JOIN assets ON assets.id = asset"
SCORES = (
    "SELECT name, scores.run, scores.time, rul, rul_low, rul_high, probabilities FROM scores"
    " JOIN assets ON assets.id = asset"
)
CASES = (
    "SELECT name, cases.run, fault, state, severity, opened_time, closed_because, cases.time FROM cases"
    " JOIN assets ON assets.id = asset"
)
EQUAL = {"readings": READINGS, "scores": SCORES, "cases": CASES}


@dataclass(frozen=True)
class Campaign:
    """How many faults, of which kinds (none: all that the machine allows), and what runs on each host."""

    trials: int
    kinds: tuple[str, ...] = ()  # each drawn once before any is drawn again
    workers: int = 2
    is_whole: bool = True  # with services and an object store
    seed: int = 1


def compare(root: Path, contract: Twin, rows: pd.DataFrame, campaign: Campaign, folder: Path) -> dict[str, Any]:
    """Feed both sides, with the campaign's faults on one of them; return what differs. `root` has the champion."""
    ticks = [part for _, part in rows.groupby("time", sort=True)]
    with ExitStack() as ending:
        calm = open_store(f"sqlite:///{folder}/calm.db")
        ending.callback(calm.close)
        take_undisturbed(calm, root, contract, ticks)
        call = _call_of(contract, ticks[: contract.window.length])
        plant = ending.enter_context(built_plant(root, folder, call, campaign.workers, campaign.is_whole))
        store = open_store(plant.url)
        ending.callback(store.close)
        with store.write() as connection:
            rebalance(connection, PARTITIONS)
            for statement in COUNT_WRITES:
                connection.exec_driver_sql(statement)
        feed(plant, store, contract, ticks, campaign)
        differing = {name: different(calm, store, query) for name, query in EQUAL.items()}
        asked = {"doubled": DOUBLED, "out_of_order": DISORDERED}
        found = {name: count(store, query) for name, query in asked.items()}
        cases = count(store, "SELECT count(*) FROM cases WHERE asset IS NOT NULL")
    return {
        "trials": sum(plant.done.values()),
        "kinds": dict(sorted(plant.done.items())),
        "readings": len(rows),
        "lost": differing["readings"],
        **found,
        "cases": cases,
        "scores_that_differ": differing["scores"],
        "cases_that_differ": differing["cases"],
        "services_asked": plant.asked,
        "services_that_did_not_answer": plant.unanswered,
    }


def take_undisturbed(calm: Store, root: Path, contract: Twin, ticks: Sequence[pd.DataFrame]) -> None:
    """Store and score one tick after another."""
    watching = Watching(calm, root, WatchSettings(twins=(contract.name,)))
    for tick in ticks:
        table = pa.Table.from_pandas(tick[["asset", "run", "time", *contract.channel_names]], preserve_index=False)
        decoded = decode_table(table, contract, None)
        ingest(calm, {contract.name: contract}, [decoded], "http", datetime.now(UTC))
        score_once(watching, lambda: datetime.now(UTC))


def feed(plant: Plant, store: Store, contract: Twin, ticks: Sequence[pd.DataFrame], campaign: Campaign) -> None:
    """Send tick after tick, with the faults spread over them, each at a random moment of its tick."""
    random = np.random.default_rng(campaign.seed)
    shares = {kind: KINDS[kind][1] for kind in campaign.kinds} or possible_kinds(plant)
    drawn = draw(shares, campaign.trials, random)
    moments = np.sort(random.integers(0, len(ticks) * CALLS, len(drawn))).tolist()
    sent = 0
    with opened_streams(plain_peer(plant.bus.url)) as publish:
        for number, tick in enumerate(ticks):
            for call, part in enumerate(np.array_split(np.arange(len(tick)), CALLS)):
                while moments and moments[0] == number * CALLS + call:
                    moments.pop(0)
                    plant.disturb(kind := drawn.pop(0), random)
                    print(f"tick {number} of {len(ticks)}: {kind}", flush=True)
                send(publish, contract, tick.iloc[part])
                time.sleep(float(random.uniform(0, 0.1)))
            sent += len(tick)
            wait_scored(store, sent)
            plant.ask_services()
            if number + 1 < len(ticks):
                plant.bring_back()


def send(publish: Publish, contract: Twin, rows: pd.DataFrame) -> None:
    """Publish a message for each row, again and again until the bus has it."""
    names = list(contract.channel_names)
    for row in rows.to_dict("records"):
        body = orjson.dumps({"run": row["run"], "time": row["time"], "channels": {name: row[name] for name in names}})
        subject = f"foretwin.{contract.name}.{row['asset']}.readings"
        told = {"Nats-Msg-Id": f"{subject}.{row['run']}.{row['time']}"}
        persist(partial(publish, subject, body, told))


def wait_scored(store: Store, readings: int) -> None:
    """Wait until so many readings are stored, and none of them waits for a score."""
    end = time.monotonic() + PATIENCE
    while persist(lambda: count(store, "SELECT count(*) FROM readings") < readings or count(store, BEHIND) > 0):
        if time.monotonic() > end:
            raise ForetwinError(f"not all stored and scored after {PATIENCE:g} s")
        time.sleep(0.05)


def persist(work: Callable[[], Any]) -> Any:
    """Do it until store and bus were there for it: who is not told that it was taken sends it again."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return work()
        except (StoreAway, BrokerError, OSError):
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def _call_of(contract: Twin, ticks: Sequence[pd.DataFrame]) -> dict[str, Any]:
    """Return what a service is asked: the window of one machine."""
    rows = pd.concat([tick.iloc[:1] for tick in ticks])
    channels = {name: rows[name].tolist() for name in contract.channel_names}
    return {"twin": contract.name, "assets": [{"asset": "A", "time": rows["time"].tolist(), "channels": channels}]}


def different(one: Store, other: Store, query: str) -> int:
    """Return how many rows of the query only one of the two stores has."""
    found = [Counter(map(as_key, rows_of(store, query))) for store in (one, other)]
    return sum(((found[0] - found[1]) + (found[1] - found[0])).values())


def as_key(row: Sequence[Any]) -> tuple[Any, ...]:
    """Return a row as it is compared: numbers to single precision, since a batch's size may change the last digits."""
    return tuple(np.float32(round(cell, 3)).item() if isinstance(cell, float) else cell for cell in row[:6])


def rows_of(store: Store, query: str) -> list[Any]:
    """Return all rows of a query."""
    with store.read() as connection:
        return list(connection.exec_driver_sql(query))
