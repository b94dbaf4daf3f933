"""Drift of the scores of machines in healthy life, against the scores of held-out assets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.questions import questions_of
from foretwin.contract.twin import UNKNOWN, Twin
from foretwin.drift.psi import BINS, Bins, CleanPsi
from foretwin.predictor.bundle import Bundle

FEWEST_SCORES = 50
FALSE_ALARMS = 1e-3  # probability that a comparison of a clean fleet finds any score drifted


@dataclass(frozen=True)
class ScoreDrift:
    """Drift of one column of the scores: `rul`, or the answers on a fault axis."""

    name: str
    psi: float
    limit: float
    drifted: bool


@dataclass(frozen=True)
class ScoreReference:
    """Frozen distribution of each score; a fault axis has its classes, of which the last is "unknown"."""

    bins: Mapping[str, Bins]
    clean: Mapping[str, CleanPsi]
    classes: Mapping[str, tuple[str, ...]]

    @classmethod
    def fit(cls, bundle: Bundle, held_out: pd.DataFrame, generator: np.random.Generator) -> Self:
        """Fit to held-out windows that the bundle calls healthy; empty where they are too few."""
        table = bundle.score(held_out) if len(held_out) else pd.DataFrame()
        if len(table):
            table = table[says_healthy(table, bundle.contract)]
        if len(table) < FEWEST_SCORES:
            return cls({}, {}, {})
        contract = bundle.contract
        classes = {axis: (*contract.classes(axis), UNKNOWN) for axis in contract.axes}
        assets = pd.factorize(table["asset"].str.rpartition("@")[0])[0].astype(np.int64)
        group = np.zeros(len(table), np.int64)
        bins, clean = {}, {}
        for name in questions_of(contract):
            values = _numbers(table[name].to_numpy(), classes.get(name))
            if name in classes:
                bins[name] = Bins.between(np.arange(0.5, len(classes[name]) - 1)[None, None], [values])
            else:
                quantiles: NDArray[np.float64] = np.quantile(values, np.arange(1, BINS) / BINS)
                edges = np.unique(quantiles)  # many values equal the cap
                bins[name] = Bins.between(edges[None, None], [values])
            clean[name] = CleanPsi.fit(bins[name], bins[name].place(values, group), group, assets, generator)
        return cls(bins, clean, classes)

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        return {
            name: {"bins": found.to_dict(), "clean": self.clean[name].to_dict(), "classes": self.classes.get(name)}
            for name, found in self.bins.items()
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Restore from the values of `to_dict`."""
        bins = {name: Bins.from_dict(found["bins"]) for name, found in values.items()}
        clean = {name: CleanPsi.from_dict(found["clean"]) for name, found in values.items()}
        return cls(bins, clean, {name: tuple(found["classes"]) for name, found in values.items() if found["classes"]})


class ScoreColumns(Protocol):
    """Columns of scores by name, such as a data frame or a mapping of arrays."""

    def __getitem__(self, name: str, /) -> Any: ...


def says_healthy(scores: ScoreColumns, contract: Twin) -> NDArray[np.bool_]:
    """Return a mask (N,) of scores that call the asset healthy: the RUL's interval reaches the cap, and no fault."""
    parts = [np.asarray(scores["rul_high"], float) >= contract.rul.cap] if contract.rul else []
    parts += [np.isin(np.asarray(scores[axis], object), [contract.classes(axis)[0], UNKNOWN]) for axis in contract.axes]
    healthy: NDArray[np.bool_] = np.logical_and.reduce(parts)
    return healthy


def compare_scores(
    frozen: ScoreReference, scores: Mapping[str, NDArray[Any]], assets: NDArray[Any] | None = None
) -> tuple[ScoreDrift, ...]:
    """Compare scores (N,) by name (`rul`, axes) of assets that `says_healthy` with the held-out ones in `frozen`.

    `assets` (N,) is the asset of each score; without it every score counts as one asset's. Names that the reference
    does not have are left out, as is everything with fewer than FEWEST_SCORES scores.
    """
    found = []
    for name in frozen.bins:
        if name not in scores or len(scores[name]) < FEWEST_SCORES:
            continue
        values = _numbers(scores[name], frozen.classes.get(name))
        group = np.zeros(len(values), np.int64)
        count = len(values) if assets is None else len(np.unique(assets.astype(str)))
        psi = float(frozen.bins[name].psi(frozen.bins[name].place(values, group), group)[0])
        chance = FALSE_ALARMS / len(frozen.bins)
        limit = float(frozen.clean[name].limit(count, len(values) / count, chance)[0])
        found.append(ScoreDrift(name, psi, limit, psi > limit))
    return tuple(found)


def _numbers(values: NDArray[Any], classes: tuple[str, ...] | None) -> NDArray[np.float64]:
    """Convert values (N,) to numbers (N, 1): classes to their positions, an unlisted class to NaN."""
    if classes is None:
        return np.asarray(values, float)[:, None]
    places = {name: float(place) for place, name in enumerate(classes)}
    return np.array([places.get(value, np.nan) for value in values])[:, None]
