"""Select the readings and scores that the monitor compares: the newest of healthy life, from many assets.

A machine is in healthy life as long as scores say so, and what the same run showed before was too: wear does not heal.
Of machines that are not called healthy any more nothing is taken, since what they showed last was the beginning of
their wear. Labels are not waited for: drift has to be seen before machines fail.

A sensor that moves may itself be why a machine is no longer called healthy. So it is counted how many stopped being so
at the same time, which machines that wear out do not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.twin import UNKNOWN, Twin
from foretwin.drift.mean_shift import EARLIER
from foretwin.predictor.health.warning_kinds import OUTSIDE
from foretwin.twin.store import Connection
from foretwin.twin.store.scoring import monitoring
from foretwin.twin.store.scoring.monitoring import Healthy, Heard, ScoredReadings
from foretwin.wire.readings import Readings

STILL = 12  # steps of the clock since a score last called the machine healthy, at most, for it to count as such
TOGETHER = 36  # steps within which machines stopped being called healthy at the same time
SHARE = 20  # no asset is more than this part of the sample: the readings of one are alike
AT_ONCE = 200  # assets whose readings are held beside the sample
SCORES_EACH = 50  # newest scores of an asset that are looked at
Places = Mapping[int, tuple[int, float]]  # asset -> run, and a time in it
Shown = tuple[NDArray[np.int64], NDArray[np.float32]]  # ids (N,), values (N, C), NaN for a channel that is lacking


@dataclass
class Said:
    """The newest scores of all assets."""

    scores: int = 0
    outside: dict[str, int] = field(default_factory=dict)  # channel or age -> scores beyond what training showed in it
    judged: int = 0  # assets whose present run has been scored over a whole window
    never: int = 0  # those of them whose present run no score ever called healthy
    fell: int = 0  # assets that stopped being called healthy within the last TOGETHER steps
    healthy: dict[int, tuple[int, float]] = field(default_factory=dict)  # asset still healthy -> up to which run, time
    assets: list[int] = field(default_factory=list)  # (M,) of the scores of healthy machines by the present champion
    rul: list[float] = field(default_factory=list)  # (M,)
    diagnosis: list[dict[str, str]] = field(default_factory=list)  # (M,)

    def columns(self, contract: Twin) -> dict[str, NDArray[Any]]:
        """Return the M scores of healthy machines: `rul`, and the answer on each axis, each (M,)."""
        rul = {"rul": np.array(self.rul, np.float64)} if contract.rul else {}
        return {**rul, **{axis: np.array([one[axis] for one in self.diagnosis], object) for axis in contract.axes}}


def healthy_words(contract: Twin) -> Healthy:
    """Return the answers of a healthy score, as `drift.says_healthy` defines it: no fault, an RUL up to the cap."""
    answers = {axis: (contract.classes(axis)[0], UNKNOWN) for axis in contract.axes}
    return Healthy(answers, contract.rul.cap if contract.rul else None)


def newest_healthy(
    connection: Connection, contract: Twin, healthy: Places, most: int, batch: int
) -> tuple[Shown, Shown]:
    """Return the newest readings of healthy life, N at most `most`, and those of the same assets before them.

    `healthy` says of each asset up to which run and time it was; only readings of `batch` or later ones count as new.
    The newest by receipt come first, and of those that came together the last of each asset, then the one before it.
    """
    kept = _Kept(most, len(contract.channels))
    each = -(-most // SHARE)
    places = [(asset, run, time) for asset, (run, time) in healthy.items()]
    for begin in range(0, len(places), AT_ONCE):
        some = places[begin : begin + AT_ONCE]
        kept.add(_read(connection, contract, some, (each, batch)))
    before = [(asset, healthy[asset][0], time) for asset, time in kept.oldest().items()]
    earlier = _read(connection, contract, before, (EARLIER, 0))
    assets = np.concatenate([np.empty(0, np.int64), *(one.asset for one, _ in earlier)])
    empty = np.empty((0, len(contract.channels)), np.float32)
    return (kept.assets, kept.values), (assets, np.concatenate([empty, *(one.values for one, _ in earlier)]))


def look_at_scores(
    connection: Connection,
    contract: Twin,
    heard: Sequence[Heard],
    healthy: Places,
    model: int | None,
    limits: tuple[int, datetime | None],
) -> Said:
    """Summarise the newest scores; `model` is the champion's number, None where it has not scored yet.

    `limits` are how many scores of healthy machines at most, spread over the assets, and since when all were made.
    """
    most, since = limits
    each = -(-most // max(1, len(heard)))
    words, said = healthy_words(contract), Said(outside=dict.fromkeys(contract.channel_names, 0))
    for asset, scored in monitoring.recent_scores(connection, [one.id for one in heard], since, SCORES_EACH):
        said.scores += len(scored)
        for name in _outside(scored):
            said.outside[name] = said.outside.get(name, 0) + 1
        _count(said, contract, asset, scored, healthy.get(asset))
        chosen = np.flatnonzero(words.holds(scored) & (scored.model == model))[:each].tolist() if model else []
        said.assets += [asset] * len(chosen)
        said.rul += scored.rul[chosen].tolist()
        said.diagnosis += [scored.diagnosis[i] for i in chosen]
    return said


def _count(said: Said, contract: Twin, asset: int, scored: ScoredReadings, until: tuple[int, float] | None) -> None:
    """Whether an asset is healthy, stopped being so, or never was, by its newest scores and the last healthy one."""
    run = int(scored.run.max())
    mine = scored.run == run
    since = float("inf") if until is None or until[0] != run else float(scored.time[mine].max()) - until[1]
    step = contract.clock.step
    if until is not None and since <= STILL * step:
        said.healthy[asset] = until
    said.fell += STILL * step < since <= TOGETHER * step
    if (scored.rows[mine] >= contract.window.length).any():
        said.judged += 1
        said.never += since == float("inf")


def _outside(scored: ScoredReadings) -> list[str]:
    kind = f"{OUTSIDE}: "
    found = (warning for warnings in scored.warnings for warning in warnings if warning.startswith(kind))
    return [warning.removeprefix(kind) for warning in found]


def _read(
    connection: Connection, contract: Twin, places: Sequence[tuple[int, int, float]], limits: tuple[int, int]
) -> list[tuple[Readings, NDArray[np.int64]]]:
    return list(monitoring.newest_readings(connection, contract.name, contract.channel_names, places, limits))


class _Kept:
    """The newest of all added readings, in bounded memory."""

    def __init__(self, most: int, channels: int) -> None:
        self.most = most
        self.assets = np.empty(0, np.int64)
        self.values = np.empty((0, channels), np.float32)
        self._time = np.empty(0, np.float64)
        self._batch = np.empty(0, np.int64)
        self._rank = np.empty(0, np.int64)  # how many newer ones of the same asset there are

    def add(self, found: Sequence[tuple[Readings, NDArray[np.int64]]]) -> None:
        assets = np.concatenate([self.assets, *(one.asset for one, _ in found)])
        time = np.concatenate([self._time, *(one.time for one, _ in found)])
        batch = np.concatenate([self._batch, *(batch for _, batch in found)])
        rank = np.concatenate([self._rank, *(np.arange(len(one))[::-1] for one, _ in found)])
        values = np.concatenate([self.values, *(one.values for one, _ in found)])
        first = np.lexsort((assets, rank, -batch))[: self.most]
        self.assets, self.values = assets[first], values[first]
        self._time, self._batch, self._rank = time[first], batch[first], rank[first]

    def oldest(self) -> dict[int, float]:
        """Return asset -> a time just before that of its oldest kept reading."""
        found: dict[int, float] = {}
        for asset, time in zip(self.assets.tolist(), self._time.tolist(), strict=True):
            found[asset] = min(found.get(asset, time), float(np.nextafter(time, -np.inf)))
        return found
