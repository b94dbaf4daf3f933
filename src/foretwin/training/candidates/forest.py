"""Forests of scikit-learn as plain arrays, and as one TreeEnsemble node of ONNX.

scikit-learn compares single-precision features with double-precision thresholds; the largest single-precision number
that is not above the threshold decides every such comparison alike, so the node takes each window to the same leaf.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from onnx import numpy_helper
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)

from foretwin.training.candidates.nodes import TREES, GraphNodes

IMPOSSIBLE = -1e4  # logit of a class without any training window: its probability is 0
SUM, AT_MOST = 1, 0  # codes of the node's aggregation and comparison


class GrownTree(NamedTuple):
    """One tree of N nodes, node 0 first; a leaf adds `value` to the target."""

    feature: NDArray[np.int64]  # (N,)
    threshold: NDArray[np.float64]  # (N,) a window goes left where its feature is not above
    left: NDArray[np.int64]  # (N,)
    right: NDArray[np.int64]
    leaf: NDArray[np.bool_]  # (N,)
    value: NDArray[np.float64]  # (N,)
    target: int


@dataclass(frozen=True)
class Forest:
    """Sum of trees plus `base` (K,), and what is made of it."""

    feature: NDArray[np.int64]  # (N,) of each inner node
    split: NDArray[np.float32]  # (N,)
    left: NDArray[np.int64]  # (N,) position of an inner node, or of a leaf where `left_leaf`
    right: NDArray[np.int64]
    left_leaf: NDArray[np.bool_]
    right_leaf: NDArray[np.bool_]
    roots: NDArray[np.int64]  # (T,)
    leaf_target: NDArray[np.int64]  # (L,) which of the K answers a leaf adds to
    leaf_value: NDArray[np.float32]  # (L,)
    base: NDArray[np.float32]  # (K,)
    softmax: bool  # the K sums are logits

    @classmethod
    def of_trees(cls, trees: Iterable[GrownTree], base: NDArray[np.floating], softmax: bool) -> Self:
        """Join trees, of which each has an inner node at its root, or a leaf alone."""
        columns: dict[str, list[NDArray[Any]]] = {name: [] for name in ("feature", "split", "target", "value")}
        sides: dict[str, list[NDArray[Any]]] = {name: [] for name in ("left", "right", "left_leaf", "right_leaf")}
        roots, inner, leaves = [], 0, 0
        for tree in map(_rooted, trees):
            roots.append(inner)
            place = np.where(tree.leaf, leaves + np.cumsum(tree.leaf) - 1, inner + np.cumsum(~tree.leaf) - 1)
            within = ~tree.leaf
            columns["feature"].append(tree.feature[within])
            columns["split"].append(_not_above(tree.threshold[within]))
            for name, child in (("left", tree.left[within]), ("right", tree.right[within])):
                sides[name].append(place[child])
                sides[f"{name}_leaf"].append(tree.leaf[child])
            columns["value"].append(tree.value[tree.leaf])
            columns["target"].append(np.full(int(tree.leaf.sum()), tree.target))
            inner, leaves = inner + int(within.sum()), leaves + int(tree.leaf.sum())
        joined = {name: np.concatenate(found) for name, found in (columns | sides).items()}
        return cls(
            feature=joined["feature"].astype(np.int64),
            split=joined["split"],
            left=joined["left"].astype(np.int64),
            right=joined["right"].astype(np.int64),
            left_leaf=joined["left_leaf"],
            right_leaf=joined["right_leaf"],
            roots=np.array(roots, np.int64),
            leaf_target=joined["target"].astype(np.int64),
            leaf_value=joined["value"].astype(np.float32),
            base=base.astype(np.float32),
            softmax=softmax,
        )

    def add_to(self, graph: GraphNodes, features: str) -> str:
        """Add one node for all trees, and what follows them."""
        total = graph.node(
            "TreeEnsemble",
            features,
            domain=TREES,
            n_targets=len(self.base),
            aggregate_function=SUM,
            tree_roots=self.roots.tolist(),
            nodes_modes=_tensor(np.full(len(self.split), AT_MOST, np.uint8)),
            nodes_featureids=self.feature.tolist(),
            nodes_splits=_tensor(self.split),
            nodes_truenodeids=self.left.tolist(),
            nodes_falsenodeids=self.right.tolist(),
            nodes_trueleafs=self.left_leaf.astype(np.int64).tolist(),
            nodes_falseleafs=self.right_leaf.astype(np.int64).tolist(),
            leaf_targetids=self.leaf_target.tolist(),
            leaf_weights=_tensor(self.leaf_value),
        )
        total = graph.node("Add", total, graph.constant(self.base))
        return graph.node("Softmax", total, axis=1) if self.softmax else total


def boosted(
    model: HistGradientBoostingRegressor | HistGradientBoostingClassifier, classes: int | None = None
) -> Forest:
    """Convert a fitted boosting to arrays; a classifier's known classes are places among `classes`."""
    base = np.ravel(model._baseline_prediction)
    if classes is None:
        places, base = np.zeros(1, np.int64), base[:1]
    else:  # of two classes, boosting keeps the logit of the second alone
        places = np.asarray(model.classes_[-len(base) :], np.int64)
        logits = np.full(classes, IMPOSSIBLE)
        logits[np.asarray(model.classes_, np.int64)] = 0.0
        logits[places] = base
        base = logits
    trees = (
        _boosted_tree(predictor.nodes, int(place))
        for stage in model._predictors
        for predictor, place in zip(stage, places, strict=True)
    )
    return Forest.of_trees(trees, base, softmax=classes is not None)


def extremely_random(model: ExtraTreesRegressor | ExtraTreesClassifier, classes: int | None = None) -> Forest:
    """Convert fitted extra trees to arrays; each class of a classifier gets its own copy of every tree."""
    places = np.zeros(1, np.int64) if classes is None else np.asarray(model.classes_, np.int64)
    trees = []
    for one in model.estimators_:
        grown = one.tree_
        leaf = grown.children_left < 0
        value = grown.value[:, 0, :]
        if classes is not None:
            value = value / value.sum(axis=1, keepdims=True)
        trees += [
            GrownTree(
                grown.feature,
                grown.threshold,
                grown.children_left,
                grown.children_right,
                leaf,
                value[:, i] / len(model.estimators_),
                int(place),
            )
            for i, place in enumerate(places)
        ]
    return Forest.of_trees(trees, np.zeros(classes or 1), softmax=False)


def _boosted_tree(nodes: NDArray[Any], target: int) -> GrownTree:
    left, right = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
    feature, leaf = nodes["feature_idx"].astype(np.int64), nodes["is_leaf"].astype(bool)
    return GrownTree(feature, nodes["num_threshold"], left, right, leaf, nodes["value"], target)


def _rooted(tree: GrownTree) -> GrownTree:
    """Put an inner node over a tree that is a leaf alone: both its sides are that leaf's value."""
    if not tree.leaf[0]:
        return tree
    nothing, side = np.zeros(3, np.int64), np.array([1, 0, 0])
    return GrownTree(
        nothing, nothing.astype(np.float64), side, 2 * side, side == 0, np.repeat(tree.value[:1], 3), tree.target
    )


def _not_above(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest single-precision numbers that are not above the thresholds."""
    nearest = threshold.astype(np.float32)
    lower: NDArray[np.float32] = np.where(nearest > threshold, np.nextafter(nearest, np.float32(-np.inf)), nearest)
    return lower


def _tensor(values: NDArray[Any]) -> Any:
    return numpy_helper.from_array(values)
