"""Measure how often the gate errs about a candidate that equals the champion, or is better, or worse.

    python -m benchmarks.accuracy.gate_errors

Champion and candidate answer for simulated machines of the pump's contract, each with errors that its windows share,
and half of which both models share, as two trainings of one network do. The candidate equals the champion, or its
remaining life errs by a share more or less, or its faults do. Counted are refusals for what it loses, and how often it
is surely better; an equal one that is refused for not being so is no mistake. Writes reports/gate_errors.json.
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from foretwin.contract.twin import Twin
from foretwin.errors import ContractError
from foretwin.evaluation.held_out import HeldOut, Predictions, Truth
from foretwin.gate import Candidate, Rival, decide
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.project.params import PromoteParams, load_params
from foretwin.project.paths import Paths

MACHINES = (10, 30, 90)
TRIALS, SEED = 500, 11
WINDOWS = 16  # of a machine
SHARED, OF_MACHINE = 0.5, 0.3  # of the variance of an error: what both models share, and what a machine's windows do
RMSE, WRONG = 0.16, 0.06  # of the champion: share of the cap, share of the windows
MORE = {
    "equal": (1.0, 1.0),
    "RUL 10 % better": (0.9, 1.0),
    "RUL 20 % better": (0.8, 1.0),
    "RUL 5 % worse": (1.05, 1.0),
    "RUL 20 % worse": (1.2, 1.0),
    "faults 50 % worse": (1.0, 1.5),
}


@dataclass(frozen=True)
class Fleet:
    """Held-out windows of `machines`, and what models say that err in them."""

    contract: Twin
    cap: float  # of the remaining life
    machines: int
    random: np.random.Generator

    def held_out(self) -> HeldOut:
        """Windows spread over lives, three of ten of them at the cap, one of five with a fault."""
        count, cap = self.machines * WINDOWS, self.cap
        rul = np.minimum(self.random.uniform(0, cap / 0.7, count), cap)
        faults = {}
        for axis in self.contract.axes:
            classes = len(self.contract.classes(axis))
            own = self.random.integers(1, classes, self.machines).repeat(WINDOWS)
            faults[axis] = np.where(rul < 0.2 * cap, own, 0)
        assets = np.array([f"m{i:03d}" for i in range(self.machines)]).repeat(WINDOWS)
        return HeldOut(Truth(rul, faults, np.full(count, "")), assets, np.zeros(count, np.int64))

    def answers(self, held_out: HeldOut) -> tuple[Predictions, dict[str, Predictions]]:
        """Return what the champion says, and each candidate."""
        both = self._errors(1 + len(self.contract.axes))
        theirs = self._said(held_out, [one[0] for one in both], 1.0, 1.0)
        return theirs, {name: self._said(held_out, [one[1] for one in both], *more) for name, more in MORE.items()}

    def _errors(self, count: int) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Return standard normal errors (N,) of two models, so many pairs."""
        shared, *own = np.sqrt(SHARED) * self._normal(count), *(np.sqrt(1 - SHARED) * self._normal(count) for _ in "12")
        return [(shared[i] + own[0][i], shared[i] + own[1][i]) for i in range(count)]

    def _normal(self, count: int) -> NDArray[np.float64]:
        of_machine = self.random.normal(size=(count, self.machines)).repeat(WINDOWS, axis=1)
        alone = self.random.normal(size=(count, self.machines * WINDOWS))
        found: NDArray[np.float64] = np.sqrt(OF_MACHINE) * of_machine + np.sqrt(1 - OF_MACHINE) * alone
        return found

    def _said(
        self, held_out: HeldOut, errors: list[NDArray[np.float64]], more_rul: float, more_wrong: float
    ) -> Predictions:
        rul = held_out.truth.rul + more_rul * RMSE * self.cap * errors[0]
        faults, edge = {}, np.quantile(self.random.normal(size=100_000), 1 - more_wrong * WRONG)
        for place, (axis, truth) in enumerate(held_out.truth.faults.items(), 1):
            other = (truth + 1) % len(self.contract.classes(axis))
            faults[axis] = np.where(errors[place] > edge, other, truth)
        reach = 1.645 * RMSE * self.cap * more_rul
        return Predictions(rul, faults, rul - reach, rul + reach, 0.9)


def refusals(contract: Twin, machines: int, params: PromoteParams) -> dict[str, dict[str, float]]:
    """Return candidate -> check of the gate, `any` of them, and `better` -> the share of the trials.

    That is in which it fails the check, and in which it is surely better than the champion.
    """
    if contract.rul is None:
        raise ContractError(f"data/{contract.name}/twin.yaml: rul: is not asked for, and its errors are simulated here")
    random, found = np.random.default_rng([SEED, machines]), {name: Counter[str]() for name in MORE}
    for _ in track(range(TRIALS), f"{machines} machines", transient=True):
        fleet = Fleet(contract, contract.rul.cap, machines, random)
        held_out = fleet.held_out()
        theirs, candidates = fleet.answers(held_out)
        for name, ours in candidates.items():
            rival = Rival("the champion", contract, theirs)
            decision = decide(Candidate(contract, ours, 1.0, 1.0), held_out, {}, rival, params)
            failed = [one for one in decision.checks if not one.passed]
            lost = [one for one in failed if not one.sentence.startswith("not surely")]
            told = {"any": bool(lost), "better": len(lost) == len(failed)}
            found[name].update({one.name for one in lost} | {word for word, holds in told.items() if holds})
    return {name: {check: count / TRIALS for check, count in sorted(one.items())} for name, one in found.items()}


def main(root: Path = Path()) -> None:
    """Read the pump's contract and params.yaml, write reports/gate_errors.json."""
    params = load_params(root / "params.yaml", "pump").promote.model_copy(update={"must_beat": ()})
    contract = Paths(root, "pump").load_contract()
    found = {machines: refusals(contract, machines, params) for machines in MACHINES}
    fleets = [{"machines": machines, "refused": one} for machines, one in found.items()]
    report = {"trials": TRIALS, "confidence": params.confidence, "fleets": fleets}
    with fresh_file(root / "reports" / "gate_errors.json") as out:
        out.write_text(json.dumps(report, indent=1) + "\n")
    for machines, refused in found.items():
        told = ", ".join(f"{name} {one.get('any', 0):.1%}" for name, one in refused.items())
        print(f"{machines} machines, refused: {told}")


if __name__ == "__main__":
    with exit_on_error():
        main()
