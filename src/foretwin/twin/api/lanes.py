"""Lanes of threads: what is written never queues behind what is read, and what is read is bounded."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from foretwin.errors import StoreAway

T = TypeVar("T")


class Lane:
    """A few threads with a queue of their own; StoreAway where more calls than `most` are under way or wait."""

    def __init__(self, name: str, threads: int, most: int) -> None:
        self.name, self.most, self.under_way = name, most, 0
        self._threads = ThreadPoolExecutor(threads, f"live-{name}")

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Run the function in a thread of the lane and return its result."""
        if self.under_way >= self.most:
            raise StoreAway(f"{self.under_way} {self.name} are waited for already; ask again later")
        self.under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        finally:
            self.under_way -= 1
