"""How far a window lies from normal ones, of its features alone: fitted without any label, answered by ONNX nodes.

principal_components   the larger of T2 and Q, each as a share of what most normal windows have
k_means                distance to the nearest of a few centres of normal windows
kernel_regression      distance to what the most similar normal windows let expect (auto-associative kernel regression)

Features are standardised, and distances computed, in double precision. The nodes answer the logarithm of the distance.
"""

from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from foretwin.training.candidates.nodes import GraphNodes

KEPT = 0.9  # of the variance
USUAL = 0.99  # share of the normal windows below the unit of T2 and of Q
WINDOWS_A_CENTRE, MOST_CENTRES = 20, 16
MEMORY, SIMILAR = 1000, 10  # normal windows that are remembered, and compared with one
SMALLEST = 1e-6  # unit, of standardised features: what is smaller is rounding
LEAST = 1e-12  # distance whose logarithm is taken

Values = NDArray[np.float64]


class Distance(Protocol):
    """How far windows lie from those that it was fitted to."""

    def fit(self, x: Values) -> Self:
        """Fit to the features (N, F) of normal windows."""

    def __call__(self, x: Values) -> Values:
        """Return the distance (M,) of windows (M, F); more is farther."""


class ServedDistance(Distance, Protocol):
    """A distance that a graph can answer."""

    def add_to(self, graph: GraphNodes, features: str) -> str:
        """Add the nodes that answer features (B, F) by the logarithm of the distance (B, 1), double precision."""


class PrincipalComponents:
    """T2 within the principal components, Q beside them (Jackson and Mudholkar, Technometrics 1979)."""

    def __init__(self, kept: float = KEPT) -> None:
        self.kept = kept

    def fit(self, x: Values) -> Self:
        """Fit to the features (N, F) of normal windows."""
        self.scaler = StandardScaler().fit(x)
        self.space = PCA(self.kept, svd_solver="full").fit(self.scaler.transform(x))
        self.units = np.maximum(np.quantile(self.statistics(x), USUAL, axis=0), SMALLEST)
        return self

    def __call__(self, x: Values) -> Values:
        """Return the larger of T2 and Q (M,), in units of what is usual."""
        return np.asarray((self.statistics(x) / self.units).max(axis=1), np.float64)

    def statistics(self, x: Values) -> Values:
        """Return T2 and Q (M, 2) of windows (M, F)."""
        scaled = self.scaler.transform(x)
        within = self.space.transform(scaled)
        left = np.square(scaled - self.space.inverse_transform(within)).sum(axis=1)
        return np.column_stack([np.square(within / self._spread).sum(axis=1), left])

    def add_to(self, graph: GraphNodes, features: str) -> str:
        """Add the nodes of the distance."""
        scaled = _standardised(graph, features, self.scaler)
        scaled = graph.node("Sub", scaled, graph.constant(self.space.mean_))
        within = graph.node("MatMul", scaled, graph.constant(self.space.components_.T))
        t2 = _squares(graph, graph.node("Div", within, graph.constant(self._spread)))
        # The components are orthonormal: what is left is the difference of the squares.
        left = graph.node("Sub", _squares(graph, scaled), _squares(graph, within))
        both = graph.node("Concat", t2, left, axis=1)
        shares = graph.node("Div", both, graph.constant(self.units))
        return _logarithm(graph, graph.node("ReduceMax", shares, graph.constant(np.array([1])), keepdims=1))

    @property
    def _spread(self) -> Values:
        spread: Values = np.maximum(np.sqrt(self.space.explained_variance_), SMALLEST)
        return spread


class KMeansDistance:
    """Distance to the nearest centre of the normal windows."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, x: Values) -> Self:
        """Fit to the features (N, F) of normal windows."""
        self.scaler = StandardScaler().fit(x)
        centres = int(np.clip(len(x) // WINDOWS_A_CENTRE, 1, MOST_CENTRES))
        self.means = KMeans(centres, n_init=4, random_state=self.seed).fit(self.scaler.transform(x))
        return self

    def __call__(self, x: Values) -> Values:
        """Return the distance (M,) of windows (M, F)."""
        return np.asarray(self.means.transform(self.scaler.transform(x)).min(axis=1), np.float64)

    def add_to(self, graph: GraphNodes, features: str) -> str:
        """Add the nodes of the distance."""
        scaled = _standardised(graph, features, self.scaler)
        away = _squared_distances(graph, scaled, graph.constant(self.means.cluster_centers_))
        nearest = graph.node("ReduceMin", away, graph.constant(np.array([1])), keepdims=1)
        return _logarithm(graph, _root(graph, nearest))


class KernelRegression:
    """Auto-associative kernel regression: what is left of a window after the mean of similar ones that it remembers."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, x: Values) -> Self:
        """Remember at most MEMORY of the normal windows (N, F), in single precision."""
        self.scaler = StandardScaler().fit(x)
        chosen = np.random.default_rng(self.seed).permutation(len(x))[:MEMORY]
        self.memory = self.scaler.transform(x[np.sort(chosen)]).astype(np.float32)
        self.similar = min(SIMILAR, len(self.memory))
        self.nearest = NearestNeighbors(n_neighbors=self.similar).fit(self.memory.astype(np.float64))
        return self

    def __call__(self, x: Values) -> Values:
        """Return the distance (M,) from the mean of similar windows, weighted by a Gaussian kernel."""
        scaled = self.scaler.transform(x)
        distance, place = self.nearest.kneighbors(scaled)
        width = np.maximum(np.median(distance, axis=1, keepdims=True), LEAST)
        weight = np.exp(-0.5 * np.square((distance - distance[:, :1]) / width))
        expected = (weight[:, :, None] * self.memory[place]).sum(axis=1) / weight.sum(axis=1, keepdims=True)
        return np.asarray(np.sqrt(np.square(scaled - expected).sum(axis=1)), np.float64)

    def add_to(self, graph: GraphNodes, features: str) -> str:
        """Add the nodes of the distance."""
        scaled = _standardised(graph, features, self.scaler)
        memory = graph.node("Cast", graph.constant(self.memory), to=TensorProto.DOUBLE)
        away = _root(graph, _squared_distances(graph, scaled, memory))
        distance, place = graph.nodes_of("TopK", 2, away, graph.constant(np.array([self.similar])), axis=1, largest=0)
        middle = [(self.similar - 1) // 2, self.similar // 2]
        median = graph.node("Gather", distance, graph.constant(np.array(middle)), axis=1)
        one = graph.constant(np.array([1]))
        width = graph.node("Max", graph.node("ReduceMean", median, one, keepdims=1), graph.constant(np.array(LEAST)))
        farther = graph.node("Sub", distance, graph.node("Gather", distance, graph.constant(np.array([0])), axis=1))
        power = graph.node("Mul", _squared(graph, graph.node("Div", farther, width)), graph.constant(np.array(-0.5)))
        weight = graph.node("Exp", power)
        share = graph.node("Div", weight, graph.node("ReduceSum", weight, one, keepdims=1))
        similar = graph.node("Gather", memory, place, axis=0)  # (B, K, F)
        expected = graph.node("MatMul", graph.node("Unsqueeze", share, one), similar)
        left = graph.node("Sub", scaled, graph.node("Squeeze", expected, one))
        return _logarithm(graph, _root(graph, _squares(graph, left)))


def served_distances(seed: int) -> dict[str, ServedDistance]:
    """Return the distances by name, not fitted yet."""
    return {
        "principal_components": PrincipalComponents(),
        "k_means": KMeansDistance(seed),
        "kernel_regression": KernelRegression(seed),
    }


def _standardised(graph: GraphNodes, features: str, scaler: StandardScaler) -> str:
    centred = graph.node("Sub", graph.node("Cast", features, to=TensorProto.DOUBLE), graph.constant(scaler.mean_))
    return graph.node("Div", centred, graph.constant(scaler.scale_))


def _squared(graph: GraphNodes, values: str) -> str:
    return graph.node("Mul", values, values)


def _squares(graph: GraphNodes, values: str) -> str:
    """Add the sum of squares (B, 1) of values (B, F)."""
    return graph.node("ReduceSum", _squared(graph, values), graph.constant(np.array([1])), keepdims=1)


def _squared_distances(graph: GraphNodes, scaled: str, points: str) -> str:
    """Add the squared distances (B, K) of windows (B, F) to points (K, F)."""
    turned = graph.node("Transpose", points, perm=[1, 0])
    lengths = graph.node("ReduceSum", _squared(graph, turned), graph.constant(np.array([0])), keepdims=1)
    both = graph.node("Mul", graph.node("MatMul", scaled, turned), graph.constant(np.array(2.0)))
    return graph.node("Sub", graph.node("Add", _squares(graph, scaled), lengths), both)


def _root(graph: GraphNodes, squares: str) -> str:
    return graph.node("Sqrt", graph.node("Max", squares, graph.constant(np.array(0.0))))


def _logarithm(graph: GraphNodes, distance: str) -> str:
    return graph.node("Log", graph.node("Max", distance, graph.constant(np.array(LEAST))))
