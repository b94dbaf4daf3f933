"""Whether the scores of machines in healthy life are spread as they were on held-out assets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.twin import UNKNOWN, Twin
from foretwin.drift.psi import BINS, Bins, CleanPsi
from foretwin.predictor.bundle import Bundle

FEWEST_SCORES = 50
FALSE_ALARMS = 1e-3  # chance that a look at a clean fleet finds any score drifted


@dataclass(frozen=True)
class ScoreDrift:
    """One column of the scores: `rul`, or a fault axis, whose answers are counted."""

    name: str
    psi: float
    limit: float
    drifted: bool


@dataclass(frozen=True)
class ScoreReference:
    """The frozen spread of each score; a fault axis with its classes, of which the last is "unknown"."""

    bins: Mapping[str, Bins]
    clean: Mapping[str, CleanPsi]
    classes: Mapping[str, tuple[str, ...]]

    @classmethod
    def fit(cls, bundle: Bundle, held_out: pd.DataFrame, generator: np.random.Generator) -> Self:
        """From held-out windows that the bundle calls healthy; of nothing where they are too few."""
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
        for name in (*(("rul",) if contract.rul else ()), *contract.axes):
            values = _numbers(table[name].to_numpy(), classes.get(name))
            if name in classes:
                bins[name] = Bins.between(np.arange(0.5, len(classes[name]) - 1)[None, None], [values])
            else:
                quantiles: NDArray[np.float64] = np.quantile(values, np.arange(1, BINS) / BINS)
                edges = np.unique(quantiles)  # many stand at the cap
                bins[name] = Bins.between(edges[None, None], [values])
            clean[name] = CleanPsi.fit(bins[name], bins[name].place(values, group), group, assets, generator)
        return cls(bins, clean, classes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            name: {"bins": found.to_dict(), "clean": self.clean[name].to_dict(), "classes": self.classes.get(name)}
            for name, found in self.bins.items()
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        bins = {name: Bins.from_dict(found["bins"]) for name, found in values.items()}
        clean = {name: CleanPsi.from_dict(found["clean"]) for name, found in values.items()}
        return cls(bins, clean, {name: tuple(found["classes"]) for name, found in values.items() if found["classes"]})


class Table(Protocol):
    """Columns of scores by their names, as a data frame or a mapping of arrays has them."""

    def __getitem__(self, name: str, /) -> Any: ...


def says_healthy(scores: Table, contract: Twin) -> NDArray[np.bool_]:
    """(N,) scores that call their asset healthy: the RUL's interval reaches the cap, and no fault is answered."""
    parts = [np.asarray(scores["rul_high"], float) >= contract.rul.cap] if contract.rul else []
    parts += [np.isin(np.asarray(scores[axis], object), [contract.classes(axis)[0], UNKNOWN]) for axis in contract.axes]
    healthy: NDArray[np.bool_] = np.logical_and.reduce(parts)
    return healthy


def compare_scores(
    frozen: ScoreReference, scores: Mapping[str, NDArray[Any]], assets: NDArray[Any] | None = None
) -> tuple[ScoreDrift, ...]:
    """Scores (N,) by name (`rul`, axes) of machines that `says_healthy`, against held-out ones: a reference's `scores`.

    `assets` (N,) tells whose a score is; without it every score counts as one asset's. Names that the reference does
    not know are left out, as is everything with fewer than FEWEST_SCORES scores.
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
    """(N,) -> (N, 1): classes as their places, a class of which nothing is known as missing."""
    if classes is None:
        return np.asarray(values, float)[:, None]
    places = {name: float(place) for place, name in enumerate(classes)}
    return np.array([places.get(value, np.nan) for value in values])[:, None]
