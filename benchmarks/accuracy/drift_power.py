"""Measure on simulated pumps how often drift is caught, and how often it is seen where there is none.

    python -m benchmarks.accuracy.drift_power

Pumps that nobody has seen, from another seed than the contract's, are dealt into fleets. Each pump shows its readings
of healthy life from some hour on, and its EARLIER readings before that hour. Then one channel after the other is
shifted by half a standard deviation of the reference, up in one fleet and down in the next. Writes reports/drift.json.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.dataset.table import canonical, time_to_end
from foretwin.dataset.windows import Histories
from foretwin.drift import DriftReference, compare
from foretwin.drift.mean_shift import EARLIER
from foretwin.drift.profile import FILE
from foretwin.predictor.healthy_baseline import healthy_rows
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.project.paths import Paths
from foretwin.sources.pump import BATCH, HEALTHY, simulate

SIZES = ((10, 50), (20, 25), (50, 10), (100, 5))  # pumps, and hours that each of them is watched: 500 readings
PUMPS, SEED = 2000, 3007  # simulated in all; the contract's fleet has another seed
CLEAN, SHIFTED = 100, 20  # fleets of one size, at most
SHIFT = 0.5  # standard deviations of the channel within its regime, over the reference's healthy readings

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Fleet:
    """n pumps: their recent readings (N, C) with the number of the pump (N,), and those before them."""

    assets: NDArray[np.int64]
    values: Values
    earlier: tuple[NDArray[np.int64], Values]

    def shifted(self, channel: int, by: float) -> Values:
        """The recent readings, with one channel shifted by so many of its units."""
        values = self.values.copy()
        values[:, channel] += np.float32(by)
        return values


def main(root: Path = Path()) -> None:
    """Read the pump's contract and models/pump/drift.json, write reports/drift.json."""
    paths = Paths(root, "pump")
    contract, reference = paths.load_contract(), DriftReference.read(paths.models / FILE)
    lives = healthy_lives(PUMPS, SEED, contract)
    rows = [measured(reference, fleets(lives, *size, CLEAN)) | {"pumps": size[0], "hours": size[1]} for size in SIZES]
    known = {"assets": reference.assets, "readings": reference.readings}
    report = {"shift": SHIFT, "reference": known, "fleets": rows}
    with fresh_file(root / "reports" / "drift.json") as out:
        out.write_text(json.dumps(report, indent=1) + "\n")
    for row in rows:
        print(f"{row['pumps']:4d} pumps for {row['hours']} h, {row['clean']} clean fleets: {row['false_alarms']} alarm")
        for way, caught in row["caught"].items():
            print(f"     by {way}: " + ", ".join(f"{name} {share:.0%}" for name, share in caught.items()))


def healthy_lives(pumps: int, seed: int, contract: Twin) -> list[Values]:
    """The readings (T, C) of each pump's healthy life, as its labels tell it."""
    lives = []
    for first in range(0, pumps, BATCH):
        fleet = simulate(range(first, min(first + BATCH, pumps)), seed)
        frame = fleet.rename(columns={"pump": "asset", "hour": "time"}).assign(run=1)
        seen_to_fail = frame.groupby("asset", sort=False)["failed"].transform("any")
        frame = frame.assign(rul=time_to_end(frame).where(seen_to_fail), fault_mode=frame["mode"] != HEALTHY)
        rows = canonical(frame.astype({"fault_mode": "int8"}), contract)
        histories = Histories.from_rows(rows, contract)
        chosen = np.flatnonzero(healthy_rows(histories, contract))
        starts = np.flatnonzero(np.diff(histories.first[chosen])) + 1
        lives += [histories.values[part] for part in np.split(chosen, starts)]
    return lives


def fleets(lives: list[Values], pumps: int, hours: int, most: int) -> list[Fleet]:
    """Fleets of different pumps, all watched at the same hours of their lives; pumps that fell ill too soon are out."""
    long = [life for life in lives if len(life) >= EARLIER + hours]
    found = []
    for first in range(0, min(len(long) - pumps + 1, most * pumps), pumps):
        part = long[first : first + pumps]
        found.append(
            Fleet(
                assets=np.repeat(np.arange(pumps), hours),
                values=np.concatenate([life[EARLIER : EARLIER + hours] for life in part]),
                earlier=(np.repeat(np.arange(pumps), EARLIER), np.concatenate([life[:EARLIER] for life in part])),
            )
        )
    return found


def measured(reference: DriftReference, some: list[Fleet]) -> dict[str, Any]:
    """Shares of clean fleets that raise an alarm, and of shifted ones that raise it for the channel that is shifted."""
    ways: dict[str, bool] = {"change": True, "level": False}  # with the readings before, and without
    clean = {
        way: float(np.mean([compare(reference, *_call(one, one.values, before)).drifted for one in some]))
        for way, before in ways.items()
    }
    caught: dict[str, dict[str, float]] = {way: {} for way in ways}
    for channel, deviation in enumerate(reference.scale.deviation):
        for way, before in ways.items() if deviation > 0 else ():
            hits = []
            for number, one in enumerate(some[:SHIFTED]):
                values = one.shifted(channel, SHIFT * deviation * (1 if number % 2 else -1))
                hits.append(compare(reference, *_call(one, values, before)).channels[channel].drifted)
            caught[way][reference.channels[channel]] = float(np.mean(hits))
    return {"clean": len(some), "shifted": min(len(some), SHIFTED), "false_alarms": clean, "caught": caught}


def _call(fleet: Fleet, values: Values, before: bool) -> tuple[Any, ...]:
    return (fleet.assets, values, fleet.earlier if before else None)


if __name__ == "__main__":
    with exit_on_error():
        main()
