"""Ridge and logistic regression on standardised or random Fourier features, as plain arrays and as ONNX nodes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto
from sklearn.linear_model import LogisticRegression, Ridge

from foretwin.training.candidates.forest import IMPOSSIBLE
from foretwin.training.candidates.nodes import GraphNodes

MOST_FAR = 10.0  # standard deviations: beyond, a straight line leads anywhere


@dataclass(frozen=True)
class FeatureMap:
    """Standardised features, with random Fourier features of a Gaussian kernel beside them (Rahimi and Recht, 2007).

    Standardised and turned in double precision; the waves themselves are single numbers, which is quicker.
    """

    columns: NDArray[np.int64]  # (S,) of the features that it sees
    mean: NDArray[np.float64]  # (S,)
    scale: NDArray[np.float64]  # (S,)
    directions: NDArray[np.float64]  # (S, D); D = 0: none
    phases: NDArray[np.float64]  # (D,)

    @classmethod
    def fit(
        cls, x: NDArray[np.float32], columns: NDArray[np.int64], components: int, width: float, seed: int
    ) -> "FeatureMap":
        """Fit to features x (N, F); `width` is the kernel's gamma times the number of columns that vary."""
        seen = x[:, columns].astype(np.float64)
        spread = seen.std(axis=0)
        varies = spread > 1e-9 * np.abs(seen).max(axis=0, initial=1e-9)
        scale = np.where(varies, spread, np.inf)
        generator = np.random.default_rng(seed)
        gamma = width / max(1, int(varies.sum()))
        directions = generator.normal(0, np.sqrt(2 * gamma), (len(columns), components))
        return cls(columns, seen.mean(axis=0), scale, directions, generator.uniform(0, 2 * np.pi, components))

    def apply(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Map features x (N, F) -> (N, S + D)."""
        z = ((x[:, self.columns].astype(np.float64) - self.mean) / self.scale).clip(-MOST_FAR, MOST_FAR)
        return np.hstack([z, np.cos((z @ self.directions + self.phases).astype(np.float32)) * self.amplitude])

    @property
    def amplitude(self) -> float:
        """Return the factor of the waves."""
        return float(np.sqrt(2 / max(1, len(self.phases))))

    def add_to(self, graph: GraphNodes, features: str) -> tuple[str, str]:
        """Add the nodes of `apply`, and return the names of the two parts; the second without its factor, or empty."""
        seen = graph.node("Gather", features, graph.constant(self.columns), axis=1)
        z = graph.node("Cast", seen, to=TensorProto.DOUBLE)
        z = graph.node("Sub", z, graph.constant(self.mean))
        z = graph.node("Mul", z, graph.constant(1 / self.scale))
        z = graph.node("Clip", z, graph.constant(np.array(-MOST_FAR)), graph.constant(np.array(MOST_FAR)))
        if not len(self.phases):
            return z, ""
        waves = graph.node("MatMul", z, graph.constant(self.directions))
        waves = graph.node("Add", waves, graph.constant(self.phases))
        return z, graph.node("Cos", graph.node("Cast", waves, to=TensorProto.FLOAT))


@dataclass(frozen=True)
class LinearPart:
    """Weighted sum of mapped features."""

    mapped: FeatureMap
    weights: NDArray[np.float64]  # (S + D, K)
    offset: NDArray[np.float64]  # (K,)
    softmax: bool

    def add_to(self, graph: GraphNodes, features: str) -> str:
        """Add the nodes of map and sum."""
        z, waves = self.mapped.add_to(graph, features)
        straight, curved = np.split(self.weights, [len(self.mapped.columns)])
        total = graph.node("MatMul", z, graph.constant(straight))
        if waves:
            factors = (curved * self.mapped.amplitude).astype(np.float32)
            bent = graph.node("MatMul", waves, graph.constant(factors))
            total = graph.node("Add", total, graph.node("Cast", bent, to=TensorProto.DOUBLE))
        total = graph.node("Add", total, graph.constant(self.offset))
        total = graph.node("Softmax", total, axis=1) if self.softmax else total
        return graph.node("Cast", total, to=TensorProto.FLOAT)


def ridge_part(mapped: FeatureMap, model: Ridge) -> LinearPart:
    """Take the weights of a fitted ridge."""
    return LinearPart(mapped, model.coef_.reshape(-1, 1), np.array([float(model.intercept_)]), softmax=False)


def logistic_part(mapped: FeatureMap, model: LogisticRegression, classes: int) -> LinearPart:
    """Take the weights of a fitted logistic regression; its known classes are places among `classes`."""
    known: Any = np.asarray(model.classes_, np.int64)
    weights, offset = np.zeros((model.coef_.shape[1], classes)), np.full(classes, IMPOSSIBLE)
    offset[known] = 0.0
    places = known[-len(model.coef_) :]  # of two classes, scikit-learn keeps the logit of the second alone
    weights[:, places], offset[places] = model.coef_.T, model.intercept_
    return LinearPart(mapped, weights, offset, softmax=True)


def constant_part(answer: NDArray[np.float64]) -> LinearPart:
    """Answer the same (K,) always: where the training windows know a single value or class, or none."""
    none = np.zeros(1)
    mapped = FeatureMap(np.zeros(1, np.int64), none, np.array([np.inf]), np.zeros((1, 0)), np.zeros(0))
    return LinearPart(mapped, np.zeros((1, len(answer))), answer, softmax=False)
