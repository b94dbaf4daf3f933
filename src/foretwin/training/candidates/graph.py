"""One ONNX graph of several candidates: networks as PyTorch exports them, the others written behind their features."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, cast

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from foretwin.contract.questions import questions_of
from foretwin.contract.twin import HEALTH, Twin
from foretwin.project.digests import json_digest
from foretwin.training.candidates.classical import FoldParts
from foretwin.training.candidates.features import WindowFeatures
from foretwin.training.candidates.health_choice import beside_nodes, either_nodes
from foretwin.training.candidates.nodes import IR_VERSION, OPSETS, GraphNodes
from foretwin.training.candidates.wear_features import PHYSICS, WearFeatures
from foretwin.training.candidates.weights import LIFT, Beside
from foretwin.training.network import Network, RegimeScaling
from foretwin.training.onnx import export_graph

WEAR = "wear"  # output of the features of wear
Weights = Mapping[str, Mapping[str, float]]  # question, `rul` or an axis -> candidate -> weight


@dataclass(frozen=True)
class Fitted:
    """All candidates: the members of each network, and the parts of the others by seed and fold."""

    networks: Mapping[str, Sequence[Network]]
    classical: Sequence[FoldParts]


class Answering(nn.Module):
    """Module of what PyTorch exports: the answers of networks, and the features of each seed and fold.

    The members of a seed and fold are scaled alike, by the same assets, so that one scaling serves them all.
    """

    def __init__(
        self,
        networks: Sequence[Sequence[Network]],
        features: Sequence[WindowFeatures],
        has_rul: bool,
        wear: WearFeatures | None,
    ) -> None:
        super().__init__()
        self.networks = nn.ModuleList(nn.ModuleList(members) for members in networks)
        self.features = nn.ModuleList(features)
        self.has_rul, self.wear = has_rul, wear
        every = [*networks, features] if features else networks
        self.alike = all(len({_fingerprint(one.scaling) for one in alike}) == 1 for alike in zip(*every, strict=True))

    def forward(self, x: Tensor, mask: Tensor, age: Tensor) -> tuple[Tensor, ...]:
        """Answer per network: RUL (B, 1) as a share of the cap, probabilities (B, K) per axis; then (B, F) per fold.

        Features of wear, where there are any, come last.
        """
        rows = [*cast(Iterable[nn.ModuleList], self.networks), self.features]
        first = [cast(Network, one) for one in next((row for row in rows if len(row)), [])]
        shared = [one.scaling(x) for one in first] if self.alike else None

        def read(row: nn.ModuleList) -> list[Any]:
            modules = [cast(Network, one) for one in row]
            scaled = shared or [one.scaling(x) for one in modules]
            return [one.read(part, mask, age) for one, part in zip(modules, scaled, strict=False)]

        answers = []
        for members in rows[:-1]:
            outputs = read(members)
            if self.has_rul:
                answers.append(torch.stack([out.rul.clamp(0, 1) for out in outputs]).mean(0)[:, None])
            axes = zip(*(out.logits for out in outputs), strict=True)
            answers += [torch.stack([part.softmax(1) for part in logits]).mean(0) for logits in axes]
        worn = [self.wear(x, mask, age)] if self.wear is not None else []
        return (*answers, *read(self.features), *worn)


def _fingerprint(scaling: RegimeScaling) -> str:
    """Return the content of a scaling."""
    return json_digest([[name, values.tolist()] for name, values in scaling.state_dict().items()])


def blend_graph(
    fitted: Fitted, contract: Twin, weights: Weights, beside: Beside | None = None, power: float = 1.0
) -> bytes:
    """Write the graph of a blend: inputs x, mask and age, outputs `rul` in time units and `p_<axis>`.

    `power` is that of the mean of RULs.
    """
    questions = questions_of(contract)
    used = {name for question in questions for name in weights[question]} | set(beside.weights if beside else ())
    networks = [name for name in fitted.networks if name in used]
    folds, others = list(fitted.classical), used - set(fitted.networks)
    features = [one.features for one in folds] if others - {PHYSICS} else []
    wear = WearFeatures(contract) if PHYSICS in others else None
    given = {(name, question): f"{name}/{question}" for name in networks for question in questions}
    outputs = [*given.values(), *(f"features/{i}" for i in range(len(features))), *([WEAR] if wear else [])]
    module = Answering([fitted.networks[name] for name in networks], features, bool(contract.rul), wear)
    length, channels = contract.window.length, len(contract.channel_names)
    example = (torch.zeros(2, length, channels), torch.ones(2, length), torch.zeros(2))
    model = onnx.load_from_string(export_graph(module, example, outputs))
    graph = GraphNodes("blend/")

    def mixed(question: str, given_weights: Mapping[str, float]) -> str:
        answer = partial(_answer, graph, given, folds, question=question)
        return _mean(graph, given_weights, answer, power if question == "rul" else 1.0)

    for question in questions:
        total = mixed(question, weights[question])
        if question == HEALTH and beside is not None:
            total = either_nodes(graph, total, beside_nodes(graph, beside, mixed(question, beside.weights)))
        if question == "rul" and contract.rul:
            cap = graph.node("Mul", total, graph.number(contract.rul.cap))
            total = graph.node("Squeeze", cap, graph.constant(np.array([1])))
        graph.name(total, "rul" if question == "rul" else f"p_{question}")
    return _finished(model, graph, contract)


def _mean(graph: GraphNodes, weights: Mapping[str, float], answer: Callable[[str], str], power: float) -> str:
    """Return the name of the mean of the answers that `answer` names by candidate, as `weights.mixed` has it."""
    curved, parts = power != 1 and len(weights) > 1, []
    for name, weight in weights.items():
        said = answer(name)
        if curved:
            said = graph.node("Pow", graph.node("Add", said, graph.number(LIFT)), graph.number(power))
        parts.append(graph.node("Mul", said, graph.number(weight)))
    total = reduce(lambda one, other: graph.node("Add", one, other), parts)
    if not curved:
        return total
    total = graph.node("Sub", graph.node("Pow", total, graph.number(1 / power)), graph.number(LIFT))
    return graph.node("Clip", total, graph.number(0), graph.number(1))


def _answer(
    graph: GraphNodes, given: Mapping[tuple[str, str], str], folds: Sequence[FoldParts], name: str, question: str
) -> str:
    """Return the name of a candidate's answer (B, 1) or (B, K), averaged over seeds and folds."""
    if (name, question) in given:
        return given[name, question]
    answers = []
    for i, fold in enumerate(folds):
        answer = fold.parts[name][question].add_to(graph, WEAR if name == PHYSICS else f"features/{i}")
        if question == "rul":
            answer = graph.node("Clip", answer, graph.number(0), graph.number(1))
        answers.append(answer)
    total = reduce(lambda one, other: graph.node("Add", one, other), answers)
    return graph.node("Mul", total, graph.number(1 / len(folds)))


def _finished(model: onnx.ModelProto, graph: GraphNodes, contract: Twin) -> bytes:
    """Put the written nodes behind the exported ones."""
    model.graph.node.extend(graph.nodes)
    model.graph.initializer.extend(graph.constants)
    del model.graph.output[:]
    if contract.rul:
        model.graph.output.append(helper.make_tensor_value_info("rul", TensorProto.FLOAT, ["batch"]))
    for axis in contract.axes:
        count = len(contract.classes(axis))
        model.graph.output.append(helper.make_tensor_value_info(f"p_{axis}", TensorProto.FLOAT, ["batch", count]))
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in OPSETS.items())
    model.ir_version = IR_VERSION
    content: bytes = model.SerializeToString()
    return content
