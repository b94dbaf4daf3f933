"""The blend: weights of all candidates, one graph, calibrated on what it says of folds that it has not learnt from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from foretwin.contract.false_alarms import alarm_share
from foretwin.contract.twin import HEALTH, Twin
from foretwin.dataset.splits import Development
from foretwin.errors import TrainingError
from foretwin.predictor.bundle import save_bundle
from foretwin.predictor.fault_calibration import FaultCalibration, JudgedClasses
from foretwin.predictor.health.own_baseline import NOT_LEARNT
from foretwin.predictor.healthy_baseline import HealthyBaseline
from foretwin.predictor.rul_intervals import JudgedCuts, RulIntervals
from foretwin.project.params import TrainParams
from foretwin.training.candidates.classical import FoldParts
from foretwin.training.candidates.graph import Fitted, blend_graph
from foretwin.training.candidates.health_choice import DISTANCES, choose_health, link_distances
from foretwin.training.candidates.out_of_fold import OutOfFold, Said
from foretwin.training.candidates.own_health import OwnHealth, fit_own_health
from foretwin.training.candidates.weights import QuestionBlend, blend_question
from foretwin.training.ensemble import Member, regimes_of
from foretwin.training.horizon_calibration import fit_failure_chances

MEGABYTE = 1e6


@dataclass(frozen=True)
class Calibrated:
    """Intervals and fault calibrations of one model."""

    intervals: RulIntervals | None
    faults: dict[str, FaultCalibration]


@dataclass(frozen=True)
class Blended:
    """A blend and its parts, ready to be saved."""

    graph: bytes
    questions: dict[str, QuestionBlend]
    cuts: OutOfFold
    fitted: Fitted
    banned: tuple[str, ...]  # candidates without which the graph is small enough


def make_blend(
    networks: Mapping[str, Sequence[Member]],
    classical: Sequence[FoldParts],
    development: Development,
    contract: Twin,
    params: TrainParams,
) -> Blended:
    """Weigh the candidates and write the graph; while it is too large, its weakest candidate leaves."""
    classical = link_distances(classical, development, contract)
    cuts = OutOfFold.of(development, contract, networks, classical)
    fitted = Fitted({name: [m.network for m in members] for name, members in networks.items()}, classical)
    banned: tuple[str, ...] = ()
    while True:
        questions = {one: _weighted(cuts, one, contract, params, banned) for one in cuts.truth}
        weights = {question: found.weights for question, found in questions.items()}
        beside = questions[HEALTH].beside if contract.health else None
        graph = blend_graph(fitted, contract, weights, beside, _power(questions))
        if len(graph) <= params.blend_mb * MEGABYTE:
            return Blended(graph, questions, cuts, fitted, banned)
        every = [*weights.values(), *([beside.weights] if beside else [])]
        used = {name: sum(given.get(name, 0.0) for given in every) for one in every for name in one}
        if len(used) == 1:
            size = f"{len(graph) / MEGABYTE:.1f} MB"
            raise TrainingError(f"train.blend_mb: the graph of {next(iter(used))} alone takes {size}; allow more")
        banned = (*banned, min(used, key=lambda name: used[name]))


def _power(questions: Mapping[str, QuestionBlend]) -> float:
    return questions["rul"].power if "rul" in questions else 1.0


def _weighted(
    cuts: OutOfFold, question: str, contract: Twin, params: TrainParams, banned: tuple[str, ...]
) -> QuestionBlend:
    """Weigh the candidates of one question; distances from normal come first where it is health."""
    if contract.health is None or question != HEALTH:
        return blend_question(cuts, question, params.smallest_weight, banned)
    learnt = replace(cuts, said={name: said for name, said in cuts.said.items() if name not in DISTANCES})
    some = any(name not in banned for name in learnt.said)
    return choose_health(
        cuts, contract, blend_question(learnt, question, params.smallest_weight, banned) if some else None, banned
    )


def save_blend(
    blended: Blended, development: Development, contract: Twin, params: TrainParams, bundle: Path, candidates: Path
) -> dict[str, Any]:
    """Write the blend's bundle into the empty folder `bundle`, and into `candidates` what it was chosen from.

    That is one bundle per candidate, calibrated like the blend, `out_of_fold.parquet` and `blend.json`. Returns the
    record of the blend, which holds the digest of its bundle.
    """
    fitted = blended.fitted
    scaled = next(iter(fitted.networks.values()))[0] if fitted.networks else fitted.classical[0].features
    reference = HealthyBaseline.fit(development.recorded, contract, regimes_of(scaled))
    served = {question: found.said for question, found in blended.questions.items()}
    for name, said in blended.cuts.said.items():
        (candidates / name).mkdir()
        alone = {one: {name: 1.0} if one in said else found.weights for one, found in blended.questions.items()}
        own = calibrate(blended.cuts, served | said, development, contract, params)
        graph = blend_graph(blended.fitted, contract, alone, power=_power(blended.questions))
        save_bundle(candidates / name, contract, graph, own.intervals, reference, own.faults)
    own = calibrate(blended.cuts, served, development, contract, params)
    machines = _own_health(development, contract, reference, params)
    if machines is not None:
        machines.baseline.save(bundle)
    digest = save_bundle(bundle, contract, blended.graph, own.intervals, reference, own.faults)
    record = {
        "weights": {question: found.weights for question, found in blended.questions.items()},
        "power": {question: found.power for question, found in blended.questions.items() if found.power != 1},
        "out_of_fold": {question: found.errors for question, found in blended.questions.items()},
        "beside": {question: found.beside.weights for question, found in blended.questions.items() if found.beside},
        "too_large": list(blended.banned),
        "candidates": list(blended.cuts.said),
    }
    if contract.health and contract.health.baseline:
        record["own_baseline"] = machines.record if machines else {"not_learnt": NOT_LEARNT}
    blended.cuts.table().to_parquet(candidates / "out_of_fold.parquet", index=False)
    write_blend_record(candidates, record)
    return record | {"bundle": digest}


def _own_health(
    development: Development, contract: Twin, reference: HealthyBaseline, params: TrainParams
) -> OwnHealth | None:
    if contract.health is None or not contract.health.baseline or reference.sensors is None:
        return None
    return fit_own_health(development, contract, reference.sensors, reference.regimes, params)


def write_blend_record(candidates: Path, record: Mapping[str, Any]) -> None:
    """Write `blend.json`; without weights for a bundle that is no blend."""
    (candidates / "blend.json").write_text(json.dumps(record, indent=1, allow_nan=False))


def describe_blend(record: Mapping[str, Any]) -> str:
    """Format the weights of each question, of a record by `save_blend`, as one line."""
    found = []
    for question, weights in record["weights"].items():
        parts = ", ".join(f"{weight:.0%} {name.replace('_', ' ')}" for name, weight in weights.items())
        others = record.get("beside", {}).get(question, {})
        beside = f", beside them {', '.join(others).replace('_', ' ')}" if others else ""
        power = record.get("power", {}).get(question)
        leaning = f", the shorter counts more (power {power:g})" if power else ""
        found.append(f"{question}: {parts}{leaning}{beside}")
    return f"blend of {'; '.join(found)}"


def calibrate(cuts: OutOfFold, said: Said, development: Development, contract: Twin, params: TrainParams) -> Calibrated:
    """Fit intervals and fault calibrations to what a model says of cuts that it has not learnt from."""
    intervals = None
    if contract.rul:
        known, cap = cuts.known("rul"), contract.rul.cap
        judged = JudgedCuts(
            said["rul"][known] * cap, cuts.truth["rul"][known] * cap, cuts.assets[known], cuts.folds[known], cap
        )
        chances = fit_failure_chances(judged.predicted, development, contract)
        intervals = replace(RulIntervals.fit_by_asset(judged, params.level), failure=chances)
    faults = {
        axis: FaultCalibration.fit_by_asset(
            JudgedClasses(said[axis], cuts.truth[axis].astype(np.int64), cuts.assets),
            params.confidence,
            params.least_answered,
        )
        for axis in contract.axes
    }
    if contract.health is not None:
        normal = cuts.truth[HEALTH] == 0
        share, opens = alarm_share(contract), contract.cases.open_probability
        faults[HEALTH] = faults[HEALTH].within_budget(said[HEALTH][normal], share, opens)
    return Calibrated(intervals, faults)
