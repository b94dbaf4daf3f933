"""Values of one asset that are acknowledged and not yet a reading, as one row of the store keeps them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.channels import MICROSECONDS
from foretwin.dataset.grid import Samples

RECORD = np.dtype([("time", "<f8"), ("channel", "<u2"), ("value", "<f8")])


@dataclass(frozen=True)
class PendingValues:
    """S values of one run of an asset, in order of arrival.

    `time` (S,) is in microseconds since 1970 where the run is `dated`, else in the clock's unit since it began. `start`
    is the moment at which a dated run began, None until its first reading is made; `made` is the step of the newest
    reading, None before. Values up to that step are kept only as the last of their channel, which later ones need.
    A dated run has no values of `since` and before: they are of the run before.
    """

    run: int
    dated: bool
    channels: tuple[str, ...]
    time: NDArray[np.float64]
    channel: NDArray[np.int64]
    value: NDArray[np.float64]
    start: float | None = None
    made: int | None = None
    since: float | None = None

    @classmethod
    def empty(cls, run: int, dated: bool, channels: tuple[str, ...]) -> Self:
        """Begin a run without any value; one that is not dated begins at 0."""
        nothing = np.empty(0)
        return cls(run, dated, channels, nothing, nothing.astype(np.int64), nothing, None if dated else 0.0)

    def __len__(self) -> int:
        return len(self.time)

    def only(self, kept: NDArray[np.bool_]) -> Self:
        """Return the values where `kept` (S,) is True."""
        return replace(self, time=self.time[kept], channel=self.channel[kept], value=self.value[kept])

    def joined(self, time: NDArray[np.float64], channel: NDArray[np.int64], value: NDArray[np.float64]) -> Self:
        """Return these values and further ones."""
        return replace(
            self,
            time=np.concatenate([self.time, time]),
            channel=np.concatenate([self.channel, channel]),
            value=np.concatenate([self.value, value]),
        )

    def ages(self, start: float, seconds: float | None) -> NDArray[np.float64]:
        """Return times (S,) since the run began at `start`, in the clock's unit, of so many seconds."""
        return (self.time - start) / (MICROSECONDS * (seconds or 1.0)) if self.dated else self.time

    def samples(self, start: float, seconds: float | None) -> Samples:
        """Return the values as they are put on the clock's grid."""
        return Samples(np.zeros(len(self), np.int64), self.ages(start, seconds), self.channel, self.value)

    def pack(self) -> bytes:
        """Return the bytes that the store keeps: a line of JSON, then a record for each value."""
        head = {"run": self.run, "dated": self.dated, "channels": self.channels, "start": self.start, "made": self.made}
        head |= {"since": self.since}
        records = np.empty(len(self), RECORD)
        records["time"], records["channel"], records["value"] = self.time, self.channel, self.value
        return json.dumps(head).encode() + b"\n" + records.tobytes()

    def rows(self) -> Iterator[dict[str, object]]:
        """Yield the values as a person reads them."""
        for time, channel, value in zip(self.time.tolist(), self.channel.tolist(), self.value.tolist(), strict=True):
            told = {"run": self.run, "dated": self.dated, "time": time}
            yield told | {"channel": self.channels[channel], "value": value}

    @classmethod
    def unpack(cls, content: bytes, channels: tuple[str, ...] | None = None) -> Self:
        """Restore from the bytes of `pack`, with channels in this order, if given; values of others are dropped."""
        head, _, body = bytes(content).partition(b"\n")
        told, records = json.loads(head), np.frombuffer(body, RECORD)
        channels = tuple(told["channels"]) if channels is None else channels
        place = np.array([channels.index(name) if name in channels else -1 for name in told["channels"]], np.int64)
        channel = place[records["channel"].astype(np.int64)]
        values = (records["time"].astype(np.float64), channel, records["value"].astype(np.float64))
        found = cls(told["run"], told["dated"], channels, *values, told["start"], told["made"], told["since"])
        return found.only(channel >= 0)
