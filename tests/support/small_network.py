"""Networks for the small fleet. A module of its own, since torch and Lightning take seconds to import."""

import numpy as np
import torch

from foretwin.contract.twin import Twin
from foretwin.dataset.splits import Development
from foretwin.training.encoders import Shape, segments_of
from foretwin.training.network import Network
from foretwin.training.scaling import fit_scaling
from foretwin.training.trainer import Budget, Choice

torch.set_num_threads(1)  # these networks are so small that threads would wait for each other longer than they work

BUDGET = Budget(windows=2560, batch=32, seed=1)


def choice_of(trunk: str = "statistics", chance: float = 0.0) -> Choice:
    """The hyper-parameters of a tiny network; `chance` is its dropout and its jitter."""
    return Choice(trunk=trunk, width=16, depth=1, dropout=chance, jitter=chance, lr=1e-2, weight_decay=1e-3)


def shape_of(twin: Twin, trunk: str = "statistics", depth: int = 1) -> Shape:
    """The shape of a tiny network that answers the twin's questions."""
    return Shape(
        trunk=trunk,
        width=8,
        depth=depth,
        dropout=0.1,
        jitter=0.1,
        length=twin.window.length,
        reach=twin.window.length,
        segments=segments_of(twin),
        has_rul=twin.rul is not None,
        classes=tuple(len(twin.classes(axis)) for axis in twin.axes),
    )


def network_of(twin: Twin, development: Development, trunk: str, seed: int = 1, depth: int = 1) -> Network:
    """An untrained network, ready to predict, whose RUL starts in the middle of its range."""
    torch.manual_seed(seed)
    rows = np.arange(len(development.histories.values))
    network = Network(fit_scaling(development.histories, rows, twin, seed), shape_of(twin, trunk, depth))
    if network.rul is not None:
        torch.nn.init.constant_(network.rul.bias, 0.5)
    return network.eval()
