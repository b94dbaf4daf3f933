"""The pumps of the laptop's bench: simulated before, then published at an even pace by a process of their own."""

import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.sources.pump import BATCH, simulate
from foretwin.twin.connectors.mqtt.session import connect_broker

SEED = 2000  # of another fleet than the one that the champion learnt from
ASLEEP = 0.005  # s: who is due sooner is not waited for


@dataclass(frozen=True)
class Pumps:
    """N pumps at any age: what they have shown until now, and what they will show."""

    twin: Twin
    names: list[str]
    first: NDArray[np.float64]  # (N,) time of the first reading, in the contract's unit
    shown: NDArray[np.float32]  # (N, before + ticks, C) physical units
    before: int  # readings that are in the store before the first tick

    def history(self) -> pd.DataFrame:
        """Return the readings before the first tick, as a file for `foretwin ingest` has them."""
        count, steps = len(self.names), np.arange(self.before)
        time_ = (self.first[:, None] + steps).ravel()
        known = self.shown[:, : self.before].reshape(count * self.before, -1)
        key = {"asset": np.repeat(self.names, self.before), "run": 1, "time": time_}
        return pd.DataFrame(key | dict(zip(self.twin.channel_names, known.T, strict=True)))

    def topic(self, pump: int) -> str:
        """Return where a pump's readings are published."""
        return f"foretwin/{self.twin.name}/{self.names[pump]}/readings"

    def body(self, pump: int, step: int) -> bytes:
        """Return the message with a pump's reading of a step, counted from its first reading."""
        channels = dict(zip(self.twin.channel_names, self.shown[pump, step], strict=True))
        message = {"run": 1, "time": float(self.first[pump] + step), "channels": channels}
        return orjson.dumps(message, option=orjson.OPT_SERIALIZE_NUMPY)


def simulated(twin: Twin, count: int, before: int, ticks: int) -> Pumps:
    """Simulate so many pumps, each from some hour of its life on that leaves it `before + ticks` hours."""
    chance, length = np.random.default_rng(SEED), before + ticks
    names, first, shown = list[str](), list[float](), list[NDArray[np.float32]]()
    number = 0
    while len(names) < count:
        for name, life in simulate(range(number, number + min(BATCH, count)), SEED).groupby("pump", sort=False):
            if len(life) >= length and len(names) < count:
                begin = int(chance.integers(len(life) - length + 1))
                names.append(f"L-{name}")
                first.append(float(life["hour"].iloc[begin]))
                shown.append(life[list(twin.channel_names)].to_numpy(np.float32)[begin : begin + length])
        number += BATCH
    return Pumps(twin, names, np.array(first), np.stack(shown), before)


def publish(pumps: Pumps, url: str, tick: float, told: Connection) -> None:
    """Send each pump's next reading once in each `tick` seconds, one after the other at an even pace.

    Tells when somebody listens, waits for the moment to begin, and tells when each was published: (ticks, N) seconds
    since 1970.
    """
    count, ticks = len(pumps.names), pumps.shown.shape[1] - pumps.before
    topics = [pumps.topic(pump) for pump in range(count)]
    bodies = [[pumps.body(pump, pumps.before + step) for pump in range(count)] for step in range(ticks)]
    session = connect_broker(url, "bench-pumps", threading.Event())
    while not session.publish(topics[0], pumps.body(0, pumps.before - 1)).result(30):  # which the store has
        time.sleep(0.1)
    told.send(None)
    begin = told.recv()
    published = np.empty((ticks, count))
    for step, row in enumerate(bodies):
        for pump, body in enumerate(row):
            early = begin + (step + pump / count) * tick - time.time()
            if early > ASLEEP:
                time.sleep(early)
            published[step, pump] = time.time()
            session.publish(topics[pump], body)
    session.close(60)
    told.send(published)
