"""A fleet's readings by both doors at a steady rate; every one of them is acknowledged in the end."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from foretwin.contract.twin import Twin
from foretwin.errors import ForetwinError
from foretwin.twin.simulator.sending import ReplayPlan, Summary, replay


@dataclass
class Load:
    """A sender for each door, with a part of the assets each, that sends until all is acknowledged."""

    contract: Twin
    rows: pd.DataFrame
    doors: Mapping[str, str]  # name -> URL
    key: str
    per_second: float  # readings, of all assets together
    _threads: list[threading.Thread] = field(default_factory=list)
    _summaries: dict[str, Summary] = field(default_factory=dict)
    _failures: list[BaseException] = field(default_factory=list)

    def start(self) -> "Load":
        """Begin to send, each part in a thread."""
        assets = self.rows["asset"].unique()
        speed = self.per_second / len(assets) * self.contract.clock.step
        for number, (door, url) in enumerate(self.doors.items()):
            part = self.rows[self.rows["asset"].isin(assets[number :: len(self.doors)])]
            thread = threading.Thread(target=self._send, args=(door, part, ReplayPlan(url, speed, key=self.key)))
            self._threads.append(thread)
            thread.start()
        return self

    def check(self) -> None:
        """Raise ForetwinError where a sender has given up."""
        if self._failures:
            raise ForetwinError(f"load: a sender gave up: {self._failures[0]}")

    def join(self) -> None:
        """Wait until all is acknowledged; ForetwinError where a door refused something."""
        for thread in self._threads:
            thread.join()
        self.check()
        lost = {door: (one.refused, one.unheard) for door, one in self._summaries.items()}
        if any(map(any, lost.values())):
            raise ForetwinError(f"load: messages that were refused, and that nobody heard: {lost}")

    def _send(self, door: str, part: pd.DataFrame, plan: ReplayPlan) -> None:
        try:
            self._summaries[door] = replay(self.contract, part, plan, threading.Event())
        except BaseException as error:  # the main thread raises it
            self._failures.append(error)


def spread_out(rows: pd.DataFrame, step: float, random: np.random.Generator) -> pd.DataFrame:
    """Shift each asset's times by a part of a step, so that the fleet's readings are not all due at once."""
    shift = pd.Series(random.uniform(0, step, rows["asset"].nunique()), index=rows["asset"].unique())
    return rows.assign(time=rows["time"] + rows["asset"].map(shift))
