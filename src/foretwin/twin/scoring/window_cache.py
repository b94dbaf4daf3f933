"""Cache of the newest windows of many assets, in bounded memory.

Each asset that is held has a ring of `length` readings of its present run. Readings that go on from there are
appended; an asset that got anything else, a late reading or a new run, is let go, and so is the one that was longest
not used where the memory is full. Whoever needs an asset that is not held loads it from the store and puts it here.
"""

from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.errors import BadInput
from foretwin.predictor.inputs import ModelInputs, Names
from foretwin.wire.readings import Readings

BOOKS = 320  # bytes per asset besides its readings: numbers, and its place in the dictionary


class WindowCache:
    """The windows of the twin's assets; `capacity` is how many fit into `memory_bytes`, at least one."""

    def __init__(self, contract: Twin, memory_bytes: int, length: int | None = None) -> None:
        """Reserve the cache; `length` is how many readings of each asset are kept: the contract's window by default."""
        self._contract = contract
        self.memory_bytes = memory_bytes
        self.names = contract.channel_names
        self.length = length or contract.window.length
        self.window_bytes = self.length * (4 * len(self.names) + 8) + BOOKS
        self.capacity = max(1, memory_bytes // self.window_bytes)
        self.evicted = 0  # windows that made room for others, since somebody asked
        self.lacked = 0  # assets whose windows did not fit in, when that was said last
        self._values = np.empty((self.capacity, self.length, len(self.names)), np.float32)
        self._times = np.empty((self.capacity, self.length), np.float64)
        self._assets = np.full(self.capacity, -1, np.int64)  # in each place; -1: nobody
        self._runs = np.zeros(self.capacity, np.int64)
        self._counts = np.zeros(self.capacity, np.int64)  # readings held
        self._next = np.zeros(self.capacity, np.int64)  # where in the ring the next reading goes
        self._newest = np.full(self.capacity, -np.inf)  # time of the newest reading
        self._used = np.zeros(self.capacity, np.int64)  # when last asked for, by `_clock`
        self._clock = 0
        self._places: dict[int, int] = {}
        self._free: list[int] = []  # of the places that were in use, the first `_begun` ones
        self._begun = 0

    def __len__(self) -> int:
        return len(self._places)

    def emptied(self) -> "WindowCache":
        """Return a cache of the same size that holds nothing."""
        return WindowCache(self._contract, self.memory_bytes, self.length)

    def holds(self, assets: NDArray[np.int64], runs: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return (N,) whether the window of that run of each asset is cached."""
        places = self._find(assets)
        held: NDArray[np.bool_] = (places >= 0) & (self._runs[places] == runs)
        return held

    def use(self, assets: NDArray[np.int64]) -> None:
        """Mark the cached ones of these assets as used: others are evicted first."""
        places = self._find(assets)
        self._clock += 1
        self._used[places[places >= 0]] = self._clock

    def append(self, news: Readings) -> None:
        """Append readings in any order. Those of assets that are not cached, or of earlier runs, are skipped."""
        places = self._find(news.asset)
        known = places >= 0
        self._let_go(places[known & (news.run > self._runs[places])])
        chosen = np.flatnonzero(known & (news.run == self._runs[places]) & (self._assets[places] == news.asset))
        chosen = chosen[np.lexsort((news.time[chosen], places[chosen]))]
        begins = _begins(places[chosen])
        late = news.time[chosen[begins]] <= self._newest[places[chosen[begins]]]
        self._let_go(places[chosen[begins[late]]])
        on_time = ~np.repeat(late, np.diff(np.append(begins, len(chosen))))
        self._write(places[chosen[on_time]], news, chosen[on_time])

    def put(self, assets: NDArray[np.int64], runs: NDArray[np.int64], found: Readings) -> None:
        """Cache these assets, N at most `capacity`, each with the readings of its run in `found`, and no others.

        `found` is in order of asset and time.
        """
        places = self._place(assets)
        self._runs[places], self._counts[places], self._next[places] = runs, 0, 0
        self._newest[places] = -np.inf
        begins = _begins(found.asset)
        each = np.diff(np.append(begins, len(found)))
        where = np.repeat(self._find(found.asset[begins]), each)
        of_run = np.flatnonzero(found.run == self._runs[where])
        self._write(where[of_run], found, of_run)

    def counts(self, assets: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (N,) how many readings of each cached asset there are."""
        return self._counts[self._find(assets)]

    def inputs(self, assets: NDArray[np.int64], contract: Twin) -> ModelInputs:
        """The windows of N assets that are held, by their ids, as a model of this contract reads them.

        Of each asset the newest readings, as many as the contract's window is long; channels in the contract's order.
        BadInput where one is not finite, which nothing that was decoded is but a channel that may be missing.
        """
        places = self._find(assets)
        counts = np.minimum(self._counts[places], contract.window.length)
        rank = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        first = self._next[places] - counts  # below 0 where the ring has not gone round or just has
        index = np.repeat(places * self.length, counts) + (np.repeat(first, counts) + rank) % self.length
        values = self._values.reshape(-1, len(self.names))[index]
        if contract.channel_names != self.names:
            values = values[:, [self.names.index(name) for name in contract.channel_names]]
        runs, time = np.repeat(self._runs[places], counts), self._times.reshape(-1)[index]
        finite = np.isfinite(values)
        finite[:, contract.may_be_missing] |= np.isnan(values[:, contract.may_be_missing])
        if not finite.all():
            row, channel = np.argwhere(~finite)[0].tolist()
            raise BadInput(contract.channel_names[channel], f"is not finite at time {time[row]:g}")
        return ModelInputs.of_columns(Names(np.repeat(assets, counts)), runs, time, values, len(contract.axes))

    def _find(self, assets: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (N,) the slot of each asset, -1 where it is not cached."""
        return np.fromiter(map(self._places.get, assets.tolist(), repeat(-1)), np.int64, len(assets))

    def _write(self, places: NDArray[np.int64], news: Readings, chosen: NDArray[np.int64]) -> None:
        """Append the chosen readings, in order of slot and time, each to the ring of its slot."""
        begins = _begins(places)
        counts = np.diff(np.append(begins, len(places)))
        rank = np.arange(len(places)) - np.repeat(begins, counts)
        kept = rank >= np.repeat(counts, counts) - self.length  # what would be written over at once is not written
        at = (self._next[places] + rank) % self.length
        self._values[places[kept], at[kept]] = news.values[chosen[kept]]
        self._times[places[kept], at[kept]] = news.time[chosen[kept]]
        those = places[begins]
        self._next[those] = (self._next[those] + counts) % self.length
        self._counts[those] = np.minimum(self._counts[those] + counts, self.length)
        self._newest[those] = news.time[chosen[begins + counts - 1]]

    def _place(self, assets: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (N,) a slot for each asset: its own, a free one, or that of the least recently used asset."""
        self.use(assets)
        places = self._find(assets)
        missing = np.flatnonzero(places < 0)
        if len(missing):
            begun = min(self.capacity, self._begun + max(0, len(missing) - len(self._free)))
            self._free += range(self._begun, begun)
            self._begun = begun
            lacking = len(missing) - len(self._free)
            if lacking > 0:
                self.evicted += lacking
                last = np.where(self._assets >= 0, self._used, self._clock)  # a free place is none to be made free
                self._let_go(np.argpartition(last, lacking - 1)[:lacking])
            room = np.array([self._free.pop() for _ in missing], np.int64)
            places[missing] = room
            self._assets[room], self._used[room] = assets[missing], self._clock
            self._places.update(zip(assets[missing].tolist(), room.tolist(), strict=True))
        return places

    def _let_go(self, places: NDArray[np.int64]) -> None:
        for place in set(places.tolist()):
            del self._places[int(self._assets[place])]
            self._assets[place] = -1
            self._free.append(place)


def _begins(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each group of equal values begins."""
    return np.flatnonzero(np.append(True, values[1:] != values[:-1])) if len(values) else np.empty(0, np.int64)
