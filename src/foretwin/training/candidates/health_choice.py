"""Which answer about health is served: distances from normal, chosen by departures put into copies, never by labels.

Departures are what the other candidates learn from; a distance has never seen one, so that among distances they are a
fair test. Served is the mean of all distances; a single one in its place only where it surely tells more of the
departures at the contract's budget of false alarms. What the others learnt knows departures in copies by their maker:
it stands beside, either may speak, only where both surely tell more of what verdicts have called departed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from foretwin.contract.false_alarms import alarm_share
from foretwin.contract.twin import HEALTH, Twin
from foretwin.dataset.splits import Development
from foretwin.metrics import alarm_limit, spread_of
from foretwin.training.candidates.classical import FoldParts
from foretwin.training.candidates.distances import ServedDistance, served_distances
from foretwin.training.candidates.nodes import GraphNodes
from foretwin.training.candidates.out_of_fold import OutOfFold
from foretwin.training.candidates.weights import EXTREME, LEAST, Beside, QuestionBlend, even_at, logit_of

DISTANCES = tuple(served_distances(0))
SURE = 2.0  # standard errors of the difference of two counts of machines

Values = NDArray[np.float64]


@dataclass(frozen=True)
class LinkedDistance:
    """A distance as probabilities of normal and departed, which are even at the limit."""

    distance: ServedDistance
    limit: float  # logarithm of the distance that the share of false alarms leaves
    spread: float  # of the logarithm among normal windows

    def add_to(self, graph: GraphNodes, features: str) -> str:
        """Add the nodes that answer (B, 2), single precision."""
        return link_nodes(graph, self.distance.add_to(graph, features), self.limit, self.spread)


def link_distances(classical: Sequence[FoldParts], development: Development, contract: Twin) -> list[FoldParts]:
    """Return the parts with their distances as probabilities, by what they say of normal cuts that they hold out."""
    if contract.health is None:
        return list(classical)
    axis = contract.axes.index(HEALTH)
    normal, runs = {}, {}
    for fold in development.folds:
        split = development.hold_out(fold)
        normal[fold] = split.histories.faults[split.held_out, axis] == 0
        runs[fold] = split.histories.first[split.held_out[normal[fold]]]
    every, share = None, alarm_share(contract)
    if development.overlap is not None:
        every = np.concatenate([runs[one.fold] + one.seed * len(development.fold) for one in classical])
        share *= development.overlap
    found = list(classical)
    for name in DISTANCES:
        said = np.concatenate([one.answers[name][HEALTH][normal[one.fold], 0] for one in classical])
        limit, spread = alarm_limit(said, share, every), spread_of(said)
        found = [_linked(one, name, limit, spread) for one in found]
    return found


def _linked(one: FoldParts, name: str, limit: float, spread: float) -> FoldParts:
    part: LinkedDistance = LinkedDistance(one.parts[name][HEALTH], limit, spread)  # type: ignore[arg-type]
    answers = even_at(one.answers[name][HEALTH][:, 0].astype(np.float64), limit, spread).astype(np.float32)
    return replace(one, parts=one.parts | {name: {HEALTH: part}}, answers=one.answers | {name: {HEALTH: answers}})


def choose_health(
    cuts: OutOfFold, contract: Twin, learnt: QuestionBlend | None, banned: Sequence[str]
) -> QuestionBlend:
    """Choose what answers about health, of distances without those that are `banned`, and of what was `learnt`."""
    names = [name for name in DISTANCES if name in cuts.said and name not in banned]
    truth, share = cuts.truth[HEALTH], alarm_share(contract) * cuts.overlap
    told_of = partial(_told, cuts, share)
    told = {name: told_of(said[HEALTH]) for name, said in cuts.said.items() if HEALTH in said}
    missed = {name: _missed(one, truth) for name, one in told.items()}
    if not names:
        if learnt is None:
            raise ValueError("no candidate for health is left")
        return replace(learnt, errors=missed | {"blend": _missed(told_of(learnt.said), truth)})
    weights = {name: 1 / len(names) for name in names}
    said = np.mean([cuts.said[name][HEALTH] for name in names], axis=0)
    best = min(names, key=lambda name: missed[name])
    if _surely_more(told[best], told_of(said), cuts):
        weights, said = {best: 1.0}, cuts.said[best][HEALTH]
    beside = None
    if learnt is not None:
        found = _beside(learnt, cuts, share)
        joint = either(said, found.apply(learnt.said))
        if _surely_more(told_of(joint), told_of(said), cuts, recorded=True):
            beside, said = found, joint
    errors = missed | {"blend": _missed(told_of(said), truth)}
    return QuestionBlend(weights, said, errors, beside)


def either(one: Values, other: Values) -> Values:
    """Return the probabilities (N, 2) of whichever holds a window rather for departed."""
    return np.column_stack([np.minimum(one[:, 0], other[:, 0]), np.maximum(one[:, 1], other[:, 1])])


def either_nodes(graph: GraphNodes, one: str, other: str) -> str:
    """Add the nodes of `either`."""
    first, second = (graph.constant(np.array([place])) for place in (0, 1))
    normal = graph.node("Min", *(graph.node("Gather", part, first, axis=1) for part in (one, other)))
    departed = graph.node("Max", *(graph.node("Gather", part, second, axis=1) for part in (one, other)))
    return graph.node("Concat", normal, departed, axis=1)


def beside_nodes(graph: GraphNodes, beside: Beside, probabilities: str) -> str:
    """Add the nodes of `Beside.apply`."""
    exact = graph.node("Cast", probabilities, to=TensorProto.DOUBLE)
    logarithms = graph.node("Log", graph.node("Max", exact, graph.constant(np.array(LEAST))))
    normal, departed = (graph.node("Gather", logarithms, graph.constant(np.array([i])), axis=1) for i in (0, 1))
    return link_nodes(graph, graph.node("Sub", departed, normal), beside.limit, beside.spread)


def link_nodes(graph: GraphNodes, value: str, limit: float, spread: float) -> str:
    """Add the nodes of `even_at` for a value (B, 1), double precision; they answer (B, 2), single precision."""
    away = graph.node("Sub", value, graph.constant(np.array(limit)))
    away = graph.node("Div", away, graph.constant(np.array(spread)))
    away = graph.node("Clip", away, graph.constant(np.array(-EXTREME)), graph.constant(np.array(EXTREME)))
    both = graph.node("Concat", graph.node("Neg", away), away, axis=1)
    return graph.node("Cast", graph.node("Sigmoid", both), to=TensorProto.FLOAT)


def _beside(learnt: QuestionBlend, cuts: OutOfFold, share: float) -> Beside:
    normal = cuts.truth[HEALTH] == 0
    said = logit_of(learnt.said)[normal]
    return Beside(learnt.weights, max(alarm_limit(said, share, cuts.runs_of(normal)), 0.0), spread_of(said))


def _told(cuts: OutOfFold, share: float, said: Values) -> NDArray[np.bool_]:
    """Return which cuts (M,) are told to have departed at the budget."""
    logit, normal = logit_of(said), cuts.truth[HEALTH] == 0
    return np.asarray(logit > alarm_limit(logit[normal], share, cuts.runs_of(normal)))


def _missed(told: NDArray[np.bool_], truth: Values) -> float:
    return float(1 - told[truth == 1].mean()) if (truth == 1).any() else 1.0


def _surely_more(one: NDArray[np.bool_], other: NDArray[np.bool_], cuts: OutOfFold, recorded: bool = False) -> bool:
    """Whether `one` tells departures of surely more machines than `other` does, by the sign test.

    `recorded`: those alone that were no copy, with a departure that was put in.
    """
    departed = cuts.truth[HEALTH] == 1
    if recorded and cuts.made is not None:
        departed &= ~cuts.made
    assets = cuts.assets[departed]
    ahead = np.bincount(assets, one[departed].astype(float) - other[departed].astype(float))
    wins, losses = int((ahead > 0).sum()), int((ahead < 0).sum())
    return bool(wins - losses > SURE * np.sqrt(wins + losses))
