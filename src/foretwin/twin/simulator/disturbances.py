"""Disturb a stream of readings on purpose, from a seed: losses, duplicates, disorder, sensor faults, clock jumps.

Each function takes a stream and the share of its readings that it strikes, and returns another stream; what it struck
is marked. The stream itself is not changed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.errors import BadInput

LATEST = 6  # readings of disorder come up to so many steps late
STUCK = (6, 24)  # readings for which a stuck sensor shows the same value: from, to


@dataclass(frozen=True)
class Disturbances:
    """The share of readings that each disturbance affects, 0 to 1."""

    dropouts: float = 0.0  # never sent
    duplicates: float = 0.0  # sent twice
    disorder: float = 0.0  # sent some steps late
    spikes: float = 0.0  # one sensor beyond what physics allows
    outliers: float = 0.0  # one sensor anywhere within what physics allows
    stuck: float = 0.0  # one sensor stops to change here, for some readings
    clock_jumps: float = 0.0  # a time far ahead


@dataclass(frozen=True)
class Stream:
    """Readings in sending order; one row each.

    `asset` is object (N,), `run` int64 (N,), `time` float64 (N,) what the machine says, `channels` float32 (N, C)
    in the contract's order, `due` float64 (N,) the machines' clock when it is sent, `failed` bool (N,) the machine ends
    here, `marks` uint8 (N,) what struck it: `mark` tells the bit.
    """

    asset: NDArray[np.object_]
    run: NDArray[np.int64]
    time: NDArray[np.float64]
    channels: NDArray[np.float32]
    due: NDArray[np.float64]
    failed: NDArray[np.bool_]
    marks: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.time)

    def pick(self, rows: NDArray[Any]) -> "Stream":
        """Return the stream of these rows, in this order."""
        return Stream(**{column.name: getattr(self, column.name)[rows] for column in fields(self)})

    def by_run(self) -> list[NDArray[np.int64]]:
        """Return the rows of each asset's run, in sending order."""
        if not len(self):
            return []
        order = np.lexsort((self.run, self.asset.astype(str)))
        asset, run = self.asset[order], self.run[order]
        ends = np.flatnonzero((asset[1:] != asset[:-1]) | (run[1:] != run[:-1])) + 1
        return np.split(order, ends)


UNDISTURBED = Disturbances()
KINDS = tuple(field.name for field in fields(Disturbances))


def disturbance_bit(kind: str) -> np.uint8:
    """Return the bit of a kind of disturbance in `Stream.marks`."""
    return np.uint8(1 << KINDS.index(kind))


def parse_disturbances(texts: Iterable[str]) -> Disturbances:
    """Parse texts such as `dropouts=0.05`; BadInput where one is invalid."""
    rates: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in KINDS:
            raise BadInput("disturb", f"{text!r} is not known; there is {', '.join(KINDS)}, as in dropouts=0.05")
        try:
            rates[name] = float(value)
        except ValueError:
            rates[name] = -1
        if not 0 <= rates[name] <= 1:
            raise BadInput("disturb", f"{text!r}: a share from 0 to 1 is needed, as in {name}=0.05")
    return Disturbances(**rates)


def disturb(stream: Stream, rates: Disturbances, contract: Twin, generator: np.random.Generator) -> Stream:
    """Apply all disturbances: first to values, then to transmission, then to clocks."""
    stream = stuck(stream, rates.stuck, contract, generator)
    stream = outliers(stream, rates.outliers, contract, generator)
    stream = spikes(stream, rates.spikes, contract, generator)
    stream = dropouts(stream, rates.dropouts, generator)
    stream = disorder(stream, rates.disorder, contract.clock.step, generator)
    stream = clock_jumps(stream, rates.clock_jumps, contract, generator)
    return duplicates(stream, rates.duplicates, generator)


def dropouts(stream: Stream, rate: float, generator: np.random.Generator) -> Stream:
    """Mark readings as not sent; they stay in the stream, so that they can be counted."""
    return _marked(stream, generator.random(len(stream)) < rate, "dropouts")


def duplicates(stream: Stream, rate: float, generator: np.random.Generator) -> Stream:
    """Send readings twice, the second one marked."""
    struck = (generator.random(len(stream)) < rate) & (stream.marks & disturbance_bit("dropouts") == 0)
    twice = stream.pick(np.repeat(np.arange(len(stream)), 1 + struck))
    second = np.flatnonzero(struck) + np.arange(1, struck.sum() + 1)
    again = np.zeros(len(twice), bool)
    again[second] = True
    return _marked(replace(twice, failed=twice.failed & ~again), again, "duplicates")


def disorder(stream: Stream, rate: float, step: float, generator: np.random.Generator) -> Stream:
    """Delay readings by 1 to LATEST steps."""
    struck = generator.random(len(stream)) < rate
    late = generator.integers(1, LATEST + 1, len(stream)) * step
    due = np.where(struck, stream.due + late, stream.due)
    return _marked(replace(stream, due=due), struck, "disorder").pick(np.argsort(due, kind="stable"))


def spikes(stream: Stream, rate: float, contract: Twin, generator: np.random.Generator) -> Stream:
    """Raise one channel above its physical maximum, by a tenth of its range up to all of it."""
    low, high = _limits(contract)
    return _replaced(stream, rate, (high + 0.1 * (high - low), high + (high - low)), "spikes", generator)


def outliers(stream: Stream, rate: float, contract: Twin, generator: np.random.Generator) -> Stream:
    """Set one channel anywhere between its physical limits: no check can refuse it."""
    return _replaced(stream, rate, _limits(contract), "outliers", generator)


def stuck(stream: Stream, rate: float, contract: Twin, generator: np.random.Generator) -> Stream:
    """Hold one sensor's value for some of its run's next readings; each of those is marked, the first is not."""
    sensors = [i for i, channel in enumerate(contract.channels.values()) if channel.role == "sensor"]
    starts = generator.random(len(stream)) < rate
    sensor, length = generator.choice(sensors, len(stream)), generator.integers(*STUCK, len(stream), endpoint=True)
    values, struck = stream.channels.copy(), np.zeros(len(stream), bool)
    for rows in stream.by_run():
        for place in np.flatnonzero(starts[rows]):
            held, channel = rows[place : place + length[rows[place]]], sensor[rows[place]]
            values[held, channel] = values[held[0], channel]
            struck[held[1:]] = True
    return _marked(replace(stream, channels=values), struck, "stuck")


def clock_jumps(stream: Stream, rate: float, contract: Twin, generator: np.random.Generator) -> Stream:
    """Move times further ahead than the contract's longest gap; never the first of a run, which may have any time."""
    struck = generator.random(len(stream)) < rate
    sent = np.flatnonzero(stream.marks & disturbance_bit("dropouts") == 0)
    struck[[sent[rows[0]] for rows in stream.pick(sent).by_run()]] = False
    ahead = generator.uniform(2, 4, len(stream)) * contract.clock.longest_jump
    return _marked(replace(stream, time=np.where(struck, stream.time + ahead, stream.time)), struck, "clock_jumps")


def _replaced(
    stream: Stream, rate: float, limits: tuple[Any, Any], kind: str, generator: np.random.Generator
) -> Stream:
    """Redraw one channel of each affected reading between `limits`, (C,) each."""
    struck = generator.random(len(stream)) < rate
    channel = generator.integers(stream.channels.shape[1], size=len(stream))
    drawn = generator.uniform(limits[0][channel], limits[1][channel])
    values = stream.channels.copy()
    values[struck, channel[struck]] = drawn[struck]
    return _marked(replace(stream, channels=values), struck, kind)


def _limits(contract: Twin) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    channels = contract.channels.values()
    return np.array([channel.min for channel in channels]), np.array([channel.max for channel in channels])


def _marked(stream: Stream, struck: NDArray[np.bool_], kind: str) -> Stream:
    return replace(stream, marks=np.where(struck, stream.marks | disturbance_bit(kind), stream.marks).astype(np.uint8))
