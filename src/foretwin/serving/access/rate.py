"""Rate limit of a key: a token bucket, in the memory of one process or in a file that several share.

Processes that share no file each count on their own: together they let a key through that many times as often.
"""

import fcntl
import hashlib
import mmap
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from foretwin.errors import ParamsError
from foretwin.project.settings import read_setting

RATES = "FORETWIN_RATES"
SLOT = struct.Struct("<16sdd")  # of a key: digest of its id, what is left, moment of the monotonic clock
SLOTS = 4096
ATTEMPTS = 20  # to get the lock, which others hold for microseconds


class Bucket:
    """A limit of `rate` calls a second on average, with bursts of up to a second's worth, at least one."""

    __slots__ = ("_at", "_level", "_size", "rate")

    def __init__(self, rate: float, now: float) -> None:
        """`now` is a moment of the monotonic clock in seconds, as for `take`."""
        self.rate = rate
        self._size = self._level = max(1.0, rate)
        self._at = now

    def state(self) -> tuple[float, float]:
        """Return what is left, and the moment of which that is true."""
        return self._level, self._at

    def put_back(self, level: float, at: float) -> None:
        """Continue from what `state` returned."""
        self._level, self._at = level, at

    def take(self, now: float) -> float:
        """Return 0.0 where a call may pass now; else the seconds until one may, and nothing is taken."""
        level = self._level + (now - self._at) * self.rate
        level = min(level, self._size)
        self._at = now
        if level >= 1.0:
            self._level = level - 1.0
            return 0.0
        self._level = level
        return (1.0 - level) / self.rate


class SharedRates:
    """Buckets of all keys in one file of this machine, for every process that opens it.

    The monotonic clock is the machine's, so that all count by the same one; after a restart of the machine it begins
    anew, and so do the buckets.
    """

    def __init__(self, path: Path) -> None:
        """Open or make the file, its owner's alone; ParamsError where that is impossible."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            os.ftruncate(self._file, SLOTS * SLOT.size)
            self._memory = mmap.mmap(self._file, SLOTS * SLOT.size)
        except (OSError, ValueError) as error:
            raise ParamsError(f"{RATES}: {path}: {error}; name a file that the service may write to") from None

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self | None:
        """Open the file that FORETWIN_RATES names; None where it names none."""
        path = read_setting(RATES, environ)
        return cls(Path(path)) if path else None

    def take(self, key: str, rate: float, now: float) -> float | None:
        """Take a call of a key as `Bucket.take` does; None where somebody holds the file, and who asks counts alone."""
        for _ in range(ATTEMPTS):
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                os.sched_yield()
        else:
            return None
        try:
            return self._take(key, rate, now)
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def _take(self, key: str, rate: float, now: float) -> float:
        name = hashlib.blake2b(key.encode(), digest_size=16).digest()
        place = self._place(name)
        held, level, at = SLOT.unpack_from(self._memory, place)
        bucket = Bucket(rate, now)
        if held == name and at <= now:
            bucket.put_back(level, at)
        wait = bucket.take(now)
        SLOT.pack_into(self._memory, place, name, *bucket.state())
        return wait

    def _place(self, name: bytes) -> int:
        """Return where the key's slot begins: its own, a free one, or where all are taken the first that may be."""
        first = int.from_bytes(name[:4]) % SLOTS
        for step in range(SLOTS):
            place = (first + step) % SLOTS * SLOT.size
            held = self._memory[place : place + len(name)]
            if held in (name, bytes(len(name))):
                return place
        return first * SLOT.size
