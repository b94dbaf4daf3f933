"""What the statistics of a Kafka client tell of its links: what does not stand, and until when all was received."""

import math
import time
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import orjson

SILENCE = 4.0  # s without a word of a broker that is asked several times a second for what is new
KEPT = 60  # statistics that are remembered
Place = tuple[str, int]  # topic and number of a partition


@dataclass(frozen=True)
class GroupStatistics:
    """How the links of a consumer of a group stood.

    `trouble` is empty where they stand. `ends` are the ends of our partitions that are not reached yet, None where they
    are not known: before them lies all that the brokers had at `heard`, a moment of time.monotonic as `made`, when this
    was told; that of a partition that is paused is infinite. `lag` is how many messages are not read. `deleted` are
    messages that the brokers deleted before we read them: place -> how many. `answers` is how many have come at all.
    """

    trouble: str
    made: float
    heard: float
    ends: dict[Place, float] | None
    lag: int
    deleted: dict[Place, int]
    answers: int


class StatisticsReader:
    """Reads librdkafka's statistics one after the other."""

    def __init__(self) -> None:
        self._offset = math.inf  # s by which time.monotonic is ahead of the client's clock
        self._before: deque[tuple[float, dict[int, tuple[int, int]]]] = deque(maxlen=KEPT)
        self._owned: set[Place] = set()

    def read(self, text: str, owned: Collection[Place], paused: Collection[Place]) -> GroupStatistics:
        """Read those of `owned` partitions; of those that are `paused` what was received is dropped again."""
        told = orjson.loads(text)
        topics = told["topics"]
        partitions = {place: topics.get(place[0], {}).get("partitions", {}).get(str(place[1])) for place in owned}
        known = {place: one for place, one in partitions.items() if one is not None}
        brokers = {one["nodeid"]: one for one in told["brokers"].values() if one["nodeid"] >= 0}
        leaders = {one["leader"]: brokers.get(one["leader"]) for one in known.values()}
        silence = max((one["rxidle"] / 1e6 for one in leaders.values() if one is not None), default=0.0)
        lags = {place: _lag(one, place in paused) for place, one in known.items()}
        is_known = len(known) == len(owned) > 0 and all(lag is not None for lag in lags.values())
        ends = {place: known[place]["hi_offset"] for place, lag in lags.items() if lag}
        ends |= dict.fromkeys((place for place in known if place in paused), math.inf)
        trouble = _trouble(told, leaders)
        if not trouble and is_known and not ends and silence > SILENCE:
            trouble = f"a broker has been silent for more than {SILENCE:g} s"
        gaps = {place: one["lo_offset"] - one["committed_offset"] for place, one in known.items()}
        if not is_known or trouble or set(owned) != self._owned:
            self._before.clear()
        self._owned = set(owned)
        leading = {one["leader"] for place, one in known.items() if place not in paused}
        asked = {
            number: (one["req"].get("Fetch", 0), one["disconnects"])
            for number, one in leaders.items()
            if one and number in leading
        }
        heard = self._heard(told["ts"] / 1e6, asked)
        return GroupStatistics(
            trouble,
            made=told["ts"] / 1e6 + self._offset,
            heard=heard,
            ends=ends if is_known and not trouble else None,
            lag=sum(lag or 0 for lag in lags.values()),
            deleted={place: gap for place, gap in gaps.items() if gap > 0 and known[place]["committed_offset"] >= 0},
            answers=told["rx"],
        )

    def _heard(self, made: float, asked: dict[int, tuple[int, int]]) -> float:
        """Return the last moment after which each broker was asked for what is new, and has answered.

        `asked` holds broker -> how often it was asked, and how often it was lost. It is asked again once it has
        answered: where it was asked twice since a moment, the first time is answered.
        """
        self._offset = min(self._offset, time.monotonic() - made)
        heard = -math.inf
        for moment, before in self._before:
            known = {number: before.get(number, (count, lost)) for number, (count, lost) in asked.items()}
            if all(count >= known[one][0] + 2 and lost == known[one][1] for one, (count, lost) in asked.items()):
                heard = moment
        self._before.append((made + self._offset, asked))
        return heard


def _trouble(told: dict[str, Any], leaders: dict[int, dict[str, Any] | None]) -> str:
    away = sorted(number for number, one in leaders.items() if one is None or one["state"] != "UP")
    if -1 in away:
        return "a partition has no leader"
    if away:
        return f"broker {', '.join(map(str, away))}: not connected"
    if not any(one["state"] == "UP" for one in told["brokers"].values()):
        return "no broker can be reached"
    return "" if told.get("cgrp", {}).get("state") == "up" else "the coordinator of the group: not connected"


def _lag(partition: dict[str, Any], is_paused: bool) -> int | None:
    """Return how many messages of a partition were not handed out when its broker last answered; None: not known."""
    at = partition["app_offset"] if partition["app_offset"] >= 0 else partition["next_offset"]
    if partition["fetch_state"] != "active" or at < 0:
        return None
    waits = partition["fetchq_cnt"] or partition["msgq_cnt"]
    if not waits and not is_paused and partition["eof_offset"] == max(at, partition["next_offset"]):
        return 0  # the last offsets may be of no message
    end = partition["hi_offset"]
    return max(0, int(end - at)) if end >= 0 else None
