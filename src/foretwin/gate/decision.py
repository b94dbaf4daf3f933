"""The gate's decision on a candidate: all checks, the deciding reasons, and the figures behind them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.questions import asking, questions_of
from foretwin.contract.twin import Twin
from foretwin.errors import RegistryError
from foretwin.evaluation.held_out import HeldOut, Predictions
from foretwin.evaluation.resampling import Resamples
from foretwin.gate.compatibility import breaks
from foretwin.gate.figures import Check, Figures, PredictorFigures, measure_predictor
from foretwin.gate.hard_limits import budget_checks, coverage_check, late_cost_check
from foretwin.gate.replacement_rule import against_baselines, against_champion
from foretwin.gate.slices import SliceFigure, slice_figures
from foretwin.project.params import PromoteParams

DECIDING = ("baselines", "candidates", "champion")  # checks that can promote a candidate; the others can only reject it


@dataclass(frozen=True)
class Candidate:
    """A model at the gate, with its predictions on the N held-out windows."""

    contract: Twin
    said: Predictions
    latency_ms: float  # median of scoring one window
    megabytes: float  # of its bundle
    parts: tuple[str, ...] = ()  # the candidates of a blend


@dataclass(frozen=True)
class Rival:
    """The champion at the gate; `said` (its predictions) is None where `obstacles` rule a comparison out."""

    label: str
    contract: Twin | None = None
    said: Predictions | None = None
    obstacles: tuple[str, ...] = ()
    unseen: NDArray[np.bool_] | None = None  # (N,) windows of assets that it was not trained on; None: all


@dataclass(frozen=True)
class Decision:
    """The gate's verdict; `reasons` are the sentences of the failed checks, or of the checks that promote it."""

    promoted: bool
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]
    candidate: Figures
    baselines: dict[str, Figures]
    slices: tuple[SliceFigure, ...]
    champion: Figures | None = field(default=None)  # on the windows of assets that it was not trained on


def decide(
    candidate: Candidate,
    held_out: HeldOut,
    baselines: Mapping[str, Predictions],
    rival: Rival | None,
    params: PromoteParams,
    findings: Sequence[Check] = (),
) -> Decision:
    """Decide whether a candidate replaces the champion; `findings` are checks made elsewhere, such as of leaks.

    RegistryError where a baseline of `must_beat` is missing.
    """
    contract, resamples = candidate.contract, Resamples(held_out.assets)
    own, theirs = _measured(candidate, held_out, baselines, resamples, params)
    beaten = tuple(name for name in params.must_beat if name not in candidate.parts)  # parts have a rule of their own
    checks = against_baselines(own, theirs, contract.clock.unit, params.model_copy(update={"must_beat": beaten}))
    champion, slices, compared = _champion_comparison(candidate, held_out, resamples, rival, params)
    checks += compared
    if contract.rul:
        checks += coverage_check(candidate.said, held_out.truth.rul, contract.rul, params)
    checks += budget_checks(candidate.latency_ms, candidate.megabytes, params)
    checks += _contract_check(contract, rival)
    checks += findings
    failed = [check.sentence for check in checks if not check.passed]
    reasons = failed or [check.sentence for check in checks if check.name in DECIDING]
    return Decision(
        promoted=not failed,
        reasons=tuple(dict.fromkeys(reasons)),
        checks=tuple(checks),
        candidate=own.figures,
        baselines={name: one.figures for name, one in theirs.items()},
        slices=tuple(slices),
        champion=champion,
    )


def unchanged(
    candidate: Candidate, held_out: HeldOut, baselines: Mapping[str, Predictions], label: str, params: PromoteParams
) -> Decision:
    """Return the decision on a bundle that is the champion already: it stays."""
    resamples = Resamples(held_out.assets)
    own, theirs = _measured(candidate, held_out, baselines, resamples, params)
    slices, _ = slice_figures(candidate.contract, held_out, resamples, candidate.said, None, params)
    sentence = f"the bundle is the champion already, {label}: it stays, and no new version is made"
    others = {name: one.figures for name, one in theirs.items()}
    check = Check("champion", True, sentence)
    return Decision(True, (sentence,), (check,), own.figures, others, tuple(slices), own.figures)


def _measured(
    candidate: Candidate,
    held_out: HeldOut,
    baselines: Mapping[str, Predictions],
    resamples: Resamples,
    params: PromoteParams,
) -> tuple[PredictorFigures, dict[str, PredictorFigures]]:
    absent = [name for name in params.must_beat if name not in baselines]
    if absent:
        raise RegistryError(
            f"promote.must_beat: {absent[0]} is not among the baselines: {', '.join(baselines) or 'there is none'};"
            f" correct params.yaml, or run `dvc repro data/{candidate.contract.name}/dvc.yaml:evaluate`"
        )
    contract = candidate.contract
    own = measure_predictor(contract, held_out, candidate.said, resamples)
    return own, {name: measure_predictor(contract, held_out, said, resamples) for name, said in baselines.items()}


def _champion_comparison(
    candidate: Candidate, held_out: HeldOut, resamples: Resamples, rival: Rival | None, params: PromoteParams
) -> tuple[Figures | None, list[SliceFigure], list[Check]]:
    """Return the champion's figures, all slices and the checks against it, on windows it was not trained on."""
    contract, ours = candidate.contract, candidate.said
    said, why = _comparable(rival, held_out, params)
    if rival is None or said is None:
        slices, _ = slice_figures(contract, held_out, resamples, ours, None, params)
        return None, slices, [Check("champion", True, why)]
    checks = []
    if rival.unseen is not None and not rival.unseen.all():
        left = len(np.unique(held_out.assets[~rival.unseen]))
        checks = [Check("champion", True, f"{left} held-out assets that it was trained on are left out beside it")]
        held_out, ours, said = held_out.part(rival.unseen), ours.part(rival.unseen), said.part(rival.unseen)
        resamples = Resamples(held_out.assets)
    added = _added(contract, rival)
    contract = asking(contract, set(questions_of(contract)) - set(added))
    own, other = (measure_predictor(contract, held_out, one, resamples) for one in (ours, said))
    checks = against_champion(own, other, rival.label, contract.clock.unit, params, added) + checks
    slices, worse = slice_figures(contract, held_out, resamples, ours, said, params)
    checks += worse
    if contract.rul:
        checks += late_cost_check(ours, said, held_out, contract.rul, resamples, params)
    return other.figures, slices, checks


def _added(contract: Twin, rival: Rival) -> tuple[str, ...]:
    """Return the questions that the candidate answers and the champion does not."""
    before = questions_of(rival.contract) if rival.contract else ()
    return tuple(one for one in questions_of(contract) if rival.contract and one not in before)


def _comparable(rival: Rival | None, held_out: HeldOut, params: PromoteParams) -> tuple[Predictions | None, str]:
    """Return the champion's predictions, or None and the sentence that explains why it cannot be compared."""
    if rival is None:
        return None, "there is no champion yet, so the baselines are all that had to be beaten"
    obstacles = rival.obstacles
    if rival.unseen is not None and not rival.unseen.all():
        left = len(np.unique(held_out.assets[rival.unseen]))
        if left < params.fewest_assets:
            obstacles = (*obstacles, f"it was trained on all but {left} of the held-out assets")
    if not obstacles and rival.said is not None:
        return rival.said, ""
    named = f"the champion, {rival.label}," if rival.label else "the champion"
    return None, f"{named} cannot be compared: {'; '.join(obstacles)}; only the baselines had to be beaten"


def _contract_check(contract: Twin, rival: Rival | None) -> list[Check]:
    if rival is None or rival.contract is None:
        return []
    broken = breaks(rival.contract, contract)
    if not broken:
        return [Check("contract", True, f"callers of the champion, {rival.label}, are still understood")]
    way = f'once they are changed, `foretwin promote {contract.name} --force "reason"` promotes it'
    sentence = f"callers of the champion, {rival.label}, would not be understood: {'; '.join(broken)}; {way}"
    return [Check("contract", False, sentence)]
