"""What lives that did not end teach: simulated pumps of which a study sees all, half or one in ten fail.

    python -m benchmarks.accuracy.censoring

Pumps of seeds of their own are simulated until they fail. Each is then followed for a time that is uniform between a
day and a horizon, which is set so that the wanted share is not seen to fail. Networks learn from them in three ways:
from labels of failed pumps alone, as before; with "the cap or more" where a pump was followed for the cap or longer;
and with windows drawn by inverse probability of censoring besides. They are judged on pumps of another seed, all of
whose ends are known, at random cuts. Beside them stand the floors: the mean life and the Kaplan-Meier estimate, by age,
of the mean remaining life up to the cap, both fitted to the same censored pumps. Writes reports/censoring.json.
"""

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from foretwin.contract.lead_times import longest_lead_time
from foretwin.contract.twin import Twin
from foretwin.dataset.labels.censoring import with_outlived
from foretwin.dataset.pieces import RowPieces
from foretwin.dataset.splits import Development, Split
from foretwin.dataset.table import canonical, fault_column, time_to_end
from foretwin.dataset.windows import Histories, deal_folds, random_cuts
from foretwin.evaluation.censored_lives import KaplanMeier
from foretwin.metrics import rmse
from foretwin.physics.pump_prognosis import cap_of
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.project.paths import Paths
from foretwin.sources.pump import BATCH, simulate
from foretwin.training.trainer import Budget, Choice, fit

SEED, JUDGE_SEED = 4007, 5007  # the contract's fleet has another one
FOLDS, CUTS = 5, 20
SHORTEST = 24.0  # h that a pump is followed at least
CHOICE = Choice(trunk="statistics", width=128, depth=2, dropout=0.4, jitter=0.8, lr=2e-3, weight_decay=1.0)
WAYS = ("failed alone", "cap", "cap and weights")


@dataclass(frozen=True)
class Size:
    """How much is simulated and trained."""

    pumps: tuple[tuple[int, float], ...] = ((300, 0.0), (300, 0.5), (300, 0.9), (90, 0.9))  # and the share unended
    judges: int = 300
    members: int = 2  # each holds another fold out
    windows: int = 60_000


FULL = Size()


def main(root: Path = Path(), size: Size = FULL) -> None:
    """Read the pump's contract, write reports/censoring.json."""
    contract = Paths(root, "pump").load_contract()
    judged = Judged.of(lives(size.judges, JUDGE_SEED, contract), contract)
    rows = [measure(contract, judged, pumps, share, size) for pumps, share in size.pumps]
    report = {"judges": size.judges, "cuts": len(judged.truth), "unit": contract.clock.unit, "fleets": rows}
    with fresh_file(root / "reports" / "censoring.json") as out:
        out.write_text(json.dumps(report, indent=1) + "\n")


def lives(pumps: int, seed: int, contract: Twin) -> pd.DataFrame:
    """Canonical rows of pumps that are followed until they fail; the few that outlast a recording have no RUL."""
    parts = [simulate(range(i, min(i + BATCH, pumps)), seed, to_the_end=True) for i in range(0, pumps, BATCH)]
    frame = pd.concat(parts, ignore_index=True).rename(columns={"pump": "asset", "hour": "time"}).assign(run=1)
    failed = frame.groupby("asset", sort=False)["failed"].transform("any")
    modes = {name: number for number, name in enumerate(contract.classes("mode"))}
    frame = frame.assign(rul=time_to_end(frame).where(failed), **{fault_column("mode"): frame["mode"].map(modes)})
    return canonical(frame, contract)


def studied(rows: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """What a study sees that ends before `share` of the pumps have failed."""
    ends = rows.groupby("asset", sort=False)["time"].max()
    drawn = np.random.default_rng(seed).uniform(size=len(ends))
    horizons = np.geomspace(1, 1e5, 2000)
    unended = [float(np.mean(np.maximum(drawn * horizon, SHORTEST) < ends.to_numpy())) for horizon in horizons]
    horizon = horizons[int(np.argmin(np.abs(np.subtract(unended, share))))] if share else np.inf
    followed = pd.Series(np.maximum(drawn * horizon, SHORTEST), index=ends.index)
    limit = rows["asset"].map(followed)
    seen = rows[rows["time"] <= limit]
    fails = seen["asset"].map(ends <= followed)
    return seen.assign(rul=seen["rul"].where(fails)).reset_index(drop=True)


@dataclass(frozen=True)
class Judged:
    """N cuts of pumps all of whose ends are known."""

    histories: Histories
    ends: NDArray[np.int64]  # (N,)
    truth: NDArray[np.float64]  # (N,) h, capped
    age: NDArray[np.float64]  # (N,) h
    last_lead_time: NDArray[np.bool_]  # (N,)

    @classmethod
    def of(cls, rows: pd.DataFrame, contract: Twin) -> "Judged":
        """Cut the pumps at random."""
        known = rows[rows["rul"].notna()].reset_index(drop=True)
        histories = Histories.from_rows(known, contract)
        ends = random_cuts(known, CUTS, contract.window.shortest, JUDGE_SEED)
        left = histories.rul[ends].astype(np.float64)
        return cls(
            histories,
            ends,
            np.minimum(left, cap_of(contract)),
            histories.time[ends],
            left < longest_lead_time(contract),
        )

    def figures(self, said: NDArray[np.float64], cap: float) -> dict[str, float]:
        """RMSE, bias, that of pumps with the cap or more left, and mean lateness in the last lead time, in h."""
        error = said - self.truth
        return {
            "rmse": round(rmse(said, self.truth), 2),
            "bias": round(float(error.mean()), 2),
            "bias_healthy": round(float(error[self.truth >= cap].mean()), 2),
            "late_last_lead_time": round(float(error[self.last_lead_time].mean()), 2),
        }


def measure(contract: Twin, judged: Judged, pumps: int, share: float, size: Size) -> dict[str, Any]:
    """Figures of a fleet, by way of learning and by floor."""
    begin, cap = time.perf_counter(), cap_of(contract)
    rows = studied(lives(pumps, SEED, contract), share, SEED)
    failed = int(rows.loc[rows["rul"].notna(), "asset"].nunique())
    folds = deal_folds(rows, 0.0, FOLDS, SEED)
    (labelled,) = with_outlived(RowPieces.of(rows), contract)
    before = Development.of(rows, folds, contract, CUTS, SEED)
    after = Development.of(labelled, folds, contract, CUTS, SEED)
    found: dict[str, dict[str, float]] = {}
    for way in WAYS if share else WAYS[-1:]:  # where all ends are known, the three are one
        splits = [_split(way, before, after, fold) for fold in range(size.members)]
        said = [_said(split, contract, judged, fold, size) for fold, split in enumerate(splits)]
        found[way] = judged.figures(np.mean(said, axis=0), cap)
        print(f"{pumps} pumps, {share:.0%} unended, {way}: {found[way]}", flush=True)
    return {
        "pumps": pumps,
        "unended": round(1 - failed / pumps, 3),
        "failed": failed,
        **found["cap and weights"],
        "ways": found,
        "floors": floors(rows, judged, cap),
        "seconds": round(time.perf_counter() - begin, 1),
    }


def _split(way: str, before: Development, after: Development, fold: int) -> Split:
    split = (before if way == "failed alone" else after).hold_out(fold)
    return split if way == "cap and weights" else replace(split, weights=None)


def _said(split: Split, contract: Twin, judged: Judged, fold: int, size: Size) -> NDArray[np.float64]:
    """What a member says of the judges' cuts (N,), in h."""
    network, _ = fit(split, contract, CHOICE, Budget(size.windows, 128, seed=fold + 1))
    parts = []
    with torch.inference_mode():
        for ends in np.array_split(judged.ends, max(1, len(judged.ends) // 2000)):
            windows = judged.histories.cut(ends, contract.window.length)
            out = network(*(torch.from_numpy(part) for part in (windows.x, windows.mask, windows.age)))
            parts.append(out.rul.clamp(0, 1).double().numpy() * cap_of(contract))
    return np.concatenate(parts)


def floors(rows: pd.DataFrame, judged: Judged, cap: float) -> dict[str, dict[str, float]]:
    """Figures of what needs no readings: mean life of failed pumps minus age, mean of what is left by Kaplan-Meier."""
    ends = rows.groupby("asset", sort=False).agg(end=("time", "max"), rul=("rul", "min"))
    failed = ends["rul"].notna().to_numpy()
    mean = float(ends.loc[failed, "end"].mean())
    estimate = KaplanMeier.of(ends["end"].to_numpy(), failed)
    return {
        "mean_life": judged.figures(np.clip(mean - judged.age, 0, cap), cap),
        "kaplan_meier": judged.figures(estimate.mean_left(judged.age, cap), cap),
    }


if __name__ == "__main__":
    with exit_on_error():
        main()
