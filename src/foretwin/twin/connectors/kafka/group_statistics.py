"""What the statistics of a Kafka client tell of its links: what does not stand, and until when all was received."""

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import orjson

SILENCE = 4.0  # s without a word of a broker that is asked twice a second for what is new
Place = tuple[str, int]  # topic and number of a partition


@dataclass(frozen=True)
class GroupStatistics:
    """How the links of a consumer of a group stood.

    `trouble` is empty where they stand. `ends` are the ends of our partitions that are not reached yet, at `heard`, a
    moment of time.monotonic; None where they are not known. `lag` is how many messages lie before them. `deleted` are
    messages that the brokers deleted before we read them: place -> how many. `answers` is how many have come at all.
    """

    trouble: str
    heard: float
    ends: dict[Place, int] | None
    lag: int
    deleted: dict[Place, int]
    answers: int


def read_statistics(text: str, owned: Collection[Place], is_paused: bool) -> GroupStatistics:
    """Read librdkafka's statistics, of `owned` partitions alone; nothing is asked of a broker while `is_paused`."""
    told = orjson.loads(text)
    partitions = {place: told["topics"].get(place[0], {}).get("partitions", {}).get(str(place[1])) for place in owned}
    known = {place: one for place, one in partitions.items() if one is not None}
    brokers = {one["nodeid"]: one for one in told["brokers"].values() if one["nodeid"] >= 0}
    leaders = {one["leader"]: brokers.get(one["leader"]) for one in known.values()}
    silence = max((one["rxidle"] / 1e6 for one in leaders.values() if one is not None), default=0.0)
    lags = {place: _lag(one) for place, one in known.items()}
    is_known = len(known) == len(owned) > 0 and not is_paused and all(lag is not None for lag in lags.values())
    ends = {place: known[place]["hi_offset"] for place, lag in lags.items() if lag}
    trouble = _trouble(told, leaders)
    if not trouble and is_known and not ends and silence > SILENCE:
        trouble = f"a broker has been silent for more than {SILENCE:g} s"
    age = max(0.0, time.time() - told["time"])  # since they were made, whole s
    gaps = {place: one["lo_offset"] - one["committed_offset"] for place, one in known.items()}
    return GroupStatistics(
        trouble,
        heard=time.monotonic() - age - silence,
        ends=ends if is_known and not trouble else None,
        lag=sum(lag or 0 for lag in lags.values()),
        deleted={place: gap for place, gap in gaps.items() if gap > 0 and known[place]["committed_offset"] >= 0},
        answers=told["rx"],
    )


def _trouble(told: dict[str, Any], leaders: dict[int, dict[str, Any] | None]) -> str:
    away = sorted(number for number, one in leaders.items() if one is None or one["state"] != "UP")
    if -1 in away:
        return "a partition has no leader"
    if away:
        return f"broker {', '.join(map(str, away))}: not connected"
    if not any(one["state"] == "UP" for one in told["brokers"].values()):
        return "no broker can be reached"
    return "" if told.get("cgrp", {}).get("state") == "up" else "the coordinator of the group: not connected"


def _lag(partition: dict[str, Any]) -> int | None:
    """Return how many messages of a partition were not handed out when its broker last answered; None: not known."""
    at, end = max(partition["app_offset"], partition["next_offset"]), partition["hi_offset"]
    if partition["fetch_state"] != "active" or at < 0:
        return None
    waits = partition["fetchq_cnt"] or partition["msgq_cnt"]
    if not waits and partition["eof_offset"] == at:
        return 0
    at = partition["app_offset"] if waits and partition["app_offset"] >= 0 else at
    return max(0, int(end - at)) if end >= 0 else None
