"""Export of trained members to one ONNX graph: physical units in, RUL and probabilities out."""

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from foretwin.contract.twin import Twin
from foretwin.training.network import Network

OPSET = 18


class Ensemble(nn.Module):
    """Ensemble of members, whose RUL and probabilities are averaged."""

    def __init__(self, members: Sequence[Network], contract: Twin) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.cap = contract.rul.cap if contract.rul else None

    def forward(self, x: Tensor, mask: Tensor, age: Tensor) -> tuple[Tensor, ...]:
        """Predict from x (B, T, C), mask (B, T), age (B,): rul (B,) in time units if there is one, p (B, K) by axis."""
        outputs = [member(x, mask, age) for member in self.members]
        rul = [torch.stack([out.rul for out in outputs]).mean(0) * self.cap] if self.cap else []
        axes = zip(*(out.logits for out in outputs), strict=True)
        return (*rul, *(torch.stack([logits.softmax(1) for logits in members]).mean(0) for members in axes))


def to_onnx(members: Sequence[Network], contract: Twin) -> bytes:
    """Export the members as one graph with a free batch size: inputs x, mask, age; outputs rul and p_<axis>."""
    length, channels = contract.window.length, len(contract.channel_names)
    example = (torch.zeros(2, length, channels), torch.ones(2, length), torch.zeros(2))
    outputs = [*(["rul"] if contract.rul else []), *(f"p_{axis}" for axis in contract.axes)]
    return export_graph(Ensemble(members, contract), example, outputs)


def export_graph(module: nn.Module, example: tuple[Tensor, ...], outputs: list[str]) -> bytes:
    """Export a module of x, mask and age as a graph with a free batch size."""
    inputs = ["x", "mask", "age"]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        path = Path(folder) / "graph.onnx"
        warnings.simplefilter("ignore")  # the exporter's warnings on constants that it traces
        torch.onnx.export(
            module.eval(),
            example,
            path,
            input_names=inputs,
            output_names=outputs,
            dynamic_axes={name: {0: "batch"} for name in [*inputs, *outputs]},
            opset_version=OPSET,
            dynamo=False,
        )
        return path.read_bytes()
