"""Data quality signals, each with a limit: missing values, gaps, rejections, stuck sensors.

None of them is about the model, and none opens a case: the ones to act are those who look after sensors and network.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from foretwin.contract.twin import Twin
from foretwin.twin.ingest.checks import SKIPPED
from foretwin.twin.monitoring.sample import Said
from foretwin.validation.profile import stretch_lengths
from foretwin.wire.readings import Readings

LIMITS = {  # signal -> the share above which it is broken: beginnings, which no held-out data have been asked about
    "missing": 0.05,
    "gaps": 0.1,
    "quarantine": 0.01,
    "out_of_training_range": 0.2,
    "stuck": 0.0,
    "silent": 0.1,
}
MEANINGS = {
    "missing": "of the recent readings lack {of}",
    "gaps": "of the recent readings did not come",
    "quarantine": "of what came was set aside for its {of}",
    "out_of_training_range": "of the recent scores saw in {of} what no machine in training showed",
    "stuck": "of the assets show one unchanged value of {of} for longer than any sensor should",
    "silent": "of the assets have fallen silent",
}
MOST_NAMES = 10  # of assets behind a signal


@dataclass(frozen=True)
class Signal:
    """A share from 0 to 1 and its limit; `of` is the channel or the reason, `assets` names some of those affected."""

    name: str
    of: str
    value: float
    limit: float
    assets: tuple[str, ...] = ()

    @property
    def broken(self) -> bool:
        """Whether the share exceeds the limit."""
        return self.value > self.limit

    @property
    def sentence(self) -> str:
        """Return the signal as a sentence."""
        behind = f": {', '.join(self.assets)}" if self.assets else ""
        return f"{self.value:.1%} {MEANINGS[self.name].format(of=self.of)} (limit {self.limit:.0%}){behind}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "assets": list(self.assets), "broken": self.broken, "sentence": self.sentence}


@dataclass
class RecentBehaviour:
    """Statistics of the newest readings, collected asset by asset."""

    contract: Twin
    readings: int = 0
    lost: int = 0  # readings that should have come between them
    assets: int = 0
    missing: dict[str, int] = field(default_factory=dict)  # channel -> readings; one that may be missing has a limit
    stuck: dict[str, list[int]] = field(default_factory=dict)  # sensor -> ids of assets

    def add(self, runs: Iterable[Readings]) -> None:
        """Add the readings of these assets."""
        clock, quality = self.contract.clock, self.contract.quality
        for one in runs:
            self.assets += 1
            self.readings += len(one)
            steps = np.diff(one.time)
            skipped = steps[(steps > SKIPPED * clock.step) & (steps <= self.contract.clock.longest_jump)]
            self.lost += int((np.rint(skipped / clock.step) - 1).sum())
            starts = np.arange(len(one)) == 0
            for i, (name, channel) in enumerate(self.contract.channels.items()):
                self.missing[name] = self.missing.get(name, 0) + int(np.isnan(one.values[:, i]).sum())
                judged = channel.role == "sensor" and name not in quality.may_be_constant
                if judged and quality.max_stuck_rows is not None:
                    longest = stretch_lengths(one.values[:, i], starts).max()
                    self.stuck.setdefault(name, []).extend(
                        [int(one.asset[0])] if longest > quality.max_stuck_rows else []
                    )


def of_readings(course: RecentBehaviour, names: Mapping[int, str]) -> list[Signal]:
    """Return missing values, gaps and stuck sensors; empty without readings."""
    if not course.readings:
        return []
    limits = {
        name: course.contract.quality.max_missing if channel.may_be_missing else LIMITS["missing"]
        for name, channel in course.contract.channels.items()
    }
    found = [
        Signal("missing", of, count / course.readings, limit)
        for of, count in course.missing.items()
        if (limit := limits[of]) is not None
    ]
    found.append(Signal("gaps", "", course.lost / (course.lost + course.readings), LIMITS["gaps"]))
    for of, assets in course.stuck.items():
        behind = tuple(names[asset] for asset in assets[:MOST_NAMES])
        found.append(Signal("stuck", of, len(assets) / course.assets, LIMITS["stuck"], behind))
    return found


def of_rejections(set_aside: Mapping[str, int], stored: int) -> list[Signal]:
    """Return by reason the share of incoming readings that went to quarantine."""
    came = stored + sum(set_aside.values())
    return [Signal("quarantine", why, count / came, LIMITS["quarantine"]) for why, count in set_aside.items()]


def of_scores(said: Said) -> list[Signal]:
    """Return by channel the share of scores outside the training range."""
    if not said.scores:
        return []
    limit = LIMITS["out_of_training_range"]
    return [Signal("out_of_training_range", of, count / said.scores, limit) for of, count in said.outside.items()]


def of_silence(silent: list[str], assets: int) -> list[Signal]:
    """Return the share of assets that have stopped sending."""
    return [Signal("silent", "", len(silent) / assets, LIMITS["silent"], tuple(silent[:MOST_NAMES]))] if assets else []
