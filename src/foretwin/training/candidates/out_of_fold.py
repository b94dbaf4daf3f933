"""What every candidate says of cuts that it has not learnt from, by which the blend is weighted and calibrated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from foretwin.contract.lead_times import longest_lead_time
from foretwin.contract.twin import Twin
from foretwin.dataset.splits import Development
from foretwin.training.candidates.classical import FoldParts
from foretwin.training.ensemble import Member

Said = dict[str, NDArray[np.float64]]  # question -> (M,) RUL as a share of the cap, or probabilities (M, K)


@dataclass(frozen=True)
class OutOfFold:
    """Answers and truths at the M cuts of all development assets; each by members that hold the cut's fold out."""

    folds: NDArray[np.int64]  # (M,)
    assets: NDArray[np.int64]  # (M,) numbers of assets
    truth: dict[str, NDArray[np.float64]]  # question -> (M,) share of the cap, NaN = unknown; or class, -1 = unknown
    said: dict[str, Said]  # candidate -> answers
    late: float = 0.0  # share of the cap within which a part still has to be delivered
    runs: NDArray[np.int64] | None = None  # (M,) runs, whose cuts are dense and in order of time; None: random cuts
    made: NDArray[np.bool_] | None = None  # (M,) cuts of copies with a departure that was put in; None: there are none
    overlap: float = 1.0  # windows that share no row, for each of a run's cuts, where they are dense

    @classmethod
    def of(
        cls,
        development: Development,
        contract: Twin,
        networks: Mapping[str, Sequence[Member]],
        classical: Sequence[FoldParts],
    ) -> "OutOfFold":
        """Average each candidate over the members of a fold, for all folds."""
        held_out = {fold: development.hold_out(fold).held_out for fold in development.folds}
        cuts = np.concatenate(list(held_out.values()))
        said = {}
        for name, members in networks.items():
            answers = [(m.fold, network_answers(m, development, contract)) for m in members]
            said[name] = _joined(answers, list(held_out))
        for name in classical[0].answers if classical else ():
            said[name] = _joined([(one.fold, one.answers[name]) for one in classical], list(held_out))
        late = longest_lead_time(contract) / contract.rul.cap if contract.rul else 0.0
        truth, made = _truth(development, contract, cuts), development.made[cuts]
        found = cls(development.fold[cuts], development.asset[cuts], truth, said, late, made=made)
        if development.overlap is None:
            return found
        return replace(found, runs=development.histories.first[cuts], overlap=development.overlap)

    def known(self, question: str) -> NDArray[np.bool_]:
        """Return which of the M cuts have a known truth."""
        truth = self.truth[question]
        return ~np.isnan(truth) if question == "rul" else truth >= 0

    def runs_of(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64] | None:
        """Return the runs of chosen cuts (M,); None where they are not known."""
        return None if self.runs is None else self.runs[chosen]

    def table(self) -> pd.DataFrame:
        """Return folds, assets, truths and answers by column, `<candidate>/<question>` or `.../<place of class>`."""
        columns: dict[str, Any] = {"fold": self.folds, "asset": self.assets}
        columns |= {f"truth/{question}": values for question, values in self.truth.items()}
        for name, answers in self.said.items():
            for question, values in answers.items():
                several = values.T if values.ndim == 2 else [values]
                ends = [f"/{i}" for i in range(len(several))] if values.ndim == 2 else [""]
                columns |= {f"{name}/{question}{end}": one for end, one in zip(ends, several, strict=True)}
        return pd.DataFrame(columns)


def network_answers(member: Member, development: Development, contract: Twin) -> dict[str, NDArray[np.float32]]:
    """Return a network's RUL, as a share of the cap, and probabilities at all cuts of the fold that it holds out."""
    split = development.hold_out(member.fold)
    windows = split.histories.cut(split.held_out, contract.window.length)
    with torch.inference_mode():
        out = member.network(*(torch.from_numpy(part) for part in (windows.x, windows.mask, windows.age)))
        answers = {axis: part.softmax(1).numpy() for axis, part in zip(contract.axes, out.logits, strict=True)}
        return ({"rul": out.rul.clamp(0, 1).numpy()} if contract.rul else {}) | answers


def _joined(answers: list[tuple[int, dict[str, NDArray[np.float32]]]], folds: list[int]) -> Said:
    """Average over the members of each fold and put the folds behind each other."""
    return {
        question: np.concatenate(
            [
                np.mean([said[question] for fold, said in answers if fold == one], axis=0, dtype=np.float64)
                for one in folds
            ]
        )
        for question in answers[0][1]
    }


def _truth(development: Development, contract: Twin, cuts: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    histories = development.histories
    truth: dict[str, NDArray[np.float64]] = {}
    if contract.rul:
        truth["rul"] = np.minimum(histories.rul[cuts].astype(np.float64) / contract.rul.cap, 1.0)
    for i, axis in enumerate(contract.axes):
        truth[axis] = histories.faults[cuts, i].astype(np.float64)
    return truth
