"""Slices of the held-out windows in which a candidate must not be worse than the champion.

Slices are subsets of the data, true fault classes, operating regimes, and bands of true RUL: quarters of the cap, and
the cap or more. The RUL's error is its RMSE in the contract's time unit, with truths capped as in training; the error
of faults is the share of wrong classes, averaged over the axes.

Windows from the twins' store are one slice and windows of the source's own data another; the finer slices use the
latter alone. A champion that calls unfamiliar machines healthy is perfect on those that are healthy: in a slice chosen
by the truth, its bias would win over a better model.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.dataset.table import HISTORY
from foretwin.evaluation.held_out import HeldOut, Predictions
from foretwin.evaluation.resampling import Resamples, remaining_life_bands
from foretwin.gate.figures import Check, is_surely_above, share_text, shared_confidence
from foretwin.project.params import PromoteParams

RUL, FAULT = "rul_rmse", "fault_error"
BANDS = 4
OWN = "own source"  # windows that do not come from the twins' store
INTERVAL = (0.025, 0.975)  # of the candidate's error over the resamples


@dataclass(frozen=True)
class Slice:
    """A subset of the N windows, with the outputs that are evaluated on it."""

    kind: str  # all, subset, fault, regime, life
    name: str
    chosen: NDArray[np.bool_]  # (N,)
    axes: tuple[str, ...]
    asks_rul: bool


@dataclass(frozen=True)
class SliceFigure:
    """Errors of candidate and champion in a slice; NaN where no truth is known."""

    kind: str
    name: str
    assets: int
    windows: int
    question: str  # rul_rmse or fault_error
    candidate: float
    low: float  # ends of the candidate's 95 % interval over resampled assets
    high: float
    champion: float | None  # None where there is none to compare with


def slice_figures(
    contract: Twin,
    held_out: HeldOut,
    resamples: Resamples,
    candidate: Predictions,
    champion: Predictions | None,
    params: PromoteParams,
) -> tuple[list[SliceFigure], list[Check]]:
    """Return the figures of every slice and the gate's checks of them; no checks without a champion to compare."""
    figures, judged = [], []
    base = _base(contract, held_out, champion, resamples)
    for part in _slices(contract, held_out):
        for question, ours, theirs in _losses(contract, held_out, part, candidate, champion):
            error, drawn = _error(question, ours, resamples)
            low, high = _interval(drawn)
            other, other_drawn = _error(question, theirs, resamples) if theirs is not None else (None, drawn)
            assets, windows = len(np.unique(held_out.assets[part.chosen])), int(part.chosen.sum())
            found = SliceFigure(part.kind, part.name, assets, windows, question, error, low, high, other)
            figures.append(found)
            if other is not None and part.kind != "all" and assets >= params.fewest_assets:
                more = drawn - other_drawn  # NaN: a resample may draw none of the slice's assets
                allowed = _limit(found, params) * max(other, base.get(question, 0.0) if part.kind != "subset" else 0.0)
                judged.append(Judged(found, more[~np.isnan(more)], allowed))
    return figures, _checks(judged, contract.clock.unit, params)


@dataclass(frozen=True)
class Judged:
    """A slice's figure compared with the champion's."""

    figure: SliceFigure
    more: NDArray[np.float64]  # (B,) by how much the candidate's error exceeds the champion's in each resample
    allowed: float  # by how much its error may exceed the champion's


def _base(contract: Twin, held_out: HeldOut, champion: Predictions | None, resamples: Resamples) -> dict[str, float]:
    """Return the champion's error on all windows that the finer slices are taken from, by figure.

    In a slice where the champion hardly errs, a share of its error would reject negligible differences: limits are
    shares of the larger of both errors.
    """
    if champion is None:
        return {}
    whole = Slice("all", OWN, _own(held_out), contract.axes, contract.rul is not None)
    losses = _losses(contract, held_out, whole, champion, None)
    errors = {question: _error(question, ours, resamples)[0] for question, ours, _ in losses}
    return {question: error for question, error in errors.items() if not np.isnan(error)}


def _checks(judged: list[Judged], unit: str, params: PromoteParams) -> list[Check]:
    """Check the slices against the champion's, with a Bonferroni correction.

    Among many slices one is soon worse by chance: together they must not reject an equal candidate more often than one
    comparison would, so each gets an equal part of the error probability that the confidence allows.
    """
    if not judged:
        return []
    confidence = shared_confidence(params.confidence, len(judged))
    worse = [
        Check("slices", False, _sentence(one, unit))
        for one in judged
        if one.figure.candidate - (one.figure.champion or 0.0) > one.allowed
        and is_surely_above(one.more, one.figure.assets, confidence)
    ]
    return worse or [Check("slices", True, f"none of {len(judged)} slices is surely worse by more than its limit")]


def _slices(contract: Twin, held_out: HeldOut) -> Iterator[Slice]:
    truth, axes, asks_rul = held_out.truth, contract.axes, contract.rul is not None
    yield Slice("all", "all", np.ones(len(truth.rul), dtype=bool), axes, asks_rul)
    own = _own(held_out)
    for name, chosen in _subsets(truth.subset, own):
        yield Slice("subset", name, chosen, axes, asks_rul)
    for axis in axes:
        for number, name in enumerate(contract.classes(axis)):
            chosen = own & (truth.faults[axis] == number)
            if chosen.any():
                yield Slice("fault", f"{axis}: {name}", chosen, (axis,), False)
    regimes = np.unique(held_out.regimes[own])
    for regime in regimes if len(regimes) > 1 else ():
        yield Slice("regime", f"regime {regime}", own & (held_out.regimes == regime), axes, asks_rul)
    if contract.rul:
        bands = remaining_life_bands(truth.rul, contract.rul.cap, BANDS)
        names = [f"{name} {contract.clock.unit}" for name in list(bands)[:-1]] + ["the cap or more"]
        for name, chosen in zip(names, bands.values(), strict=True):
            if (own & chosen).any():
                yield Slice("life", name, own & chosen, (), True)


def _subsets(names: NDArray[np.str_], own: NDArray[np.bool_]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield the windows (N,) of the own source, if the store has others, and those of each named subset."""
    if not own.all():
        yield OWN, own
    for name in np.unique(names):
        if name:
            yield str(name), names == name


def _own(held_out: HeldOut) -> NDArray[np.bool_]:
    """Return the mask (N,) of windows for the finer slices; all, where a twin learns from its store alone."""
    own: NDArray[np.bool_] = held_out.truth.subset != HISTORY
    return own if own.any() else ~own


def _losses(
    contract: Twin, held_out: HeldOut, part: Slice, candidate: Predictions, champion: Predictions | None
) -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.float64] | None]]:
    """Yield each figure of a slice with the losses (N, M) of candidate and champion; NaN: unknown or not evaluated."""
    outside = ~part.chosen[:, None]
    truth_rul = np.minimum(held_out.truth.rul, contract.rul.cap if contract.rul else np.inf)

    def rul_loss(said: Predictions) -> NDArray[np.float64]:
        error = np.full(len(truth_rul), np.nan) if said.rul is None else said.rul - truth_rul
        return np.where(outside, np.nan, error[:, None] ** 2)

    def fault_loss(said: Predictions) -> NDArray[np.float64]:
        truth = np.stack([held_out.truth.faults[axis] for axis in part.axes], axis=1)
        wrong = np.stack([said.faults[axis] for axis in part.axes], axis=1) != truth
        return np.where(outside | (truth < 0), np.nan, wrong.astype(np.float64))

    if part.asks_rul:
        yield RUL, rul_loss(candidate), rul_loss(champion) if champion else None
    if part.axes:
        yield FAULT, fault_loss(candidate), fault_loss(champion) if champion else None


def _error(question: str, losses: NDArray[np.float64], resamples: Resamples) -> tuple[float, NDArray[np.float64]]:
    """Return the error of losses (N, M), and the error in each resample (B,)."""
    known = ~np.isnan(losses)
    counts = known.sum(axis=0)
    sums = np.where(known, losses, 0).sum(axis=0)
    means = np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)
    error, drawn = float(means.mean()), resamples.means(losses).mean(axis=1)
    return (float(np.sqrt(error)), np.sqrt(drawn)) if question == RUL else (error, drawn)


def _interval(drawn: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % interval of errors (B,); NaN errors, of resamples without any such window, are left out."""
    known = drawn[~np.isnan(drawn)]
    low, high = np.quantile(known, INTERVAL) if len(known) else (np.nan, np.nan)
    return float(low), float(high)


def _limit(one: SliceFigure, params: PromoteParams) -> float:
    limit: float = getattr(params.slice_loss, one.kind)
    return limit


def _sentence(judged: Judged, unit: str) -> str:
    one = judged.figure
    what, suffix = ("RUL RMSE", f" {unit}") if one.question == RUL else ("share of wrong classes", "")
    place = {"subset": "subset {}", "fault": "windows of {}", "regime": "operating {}", "life": "{} of life left"}
    where = place[one.kind].format(one.name)
    pair = f"{what} {one.candidate:.4g}{suffix} against the champion's {one.champion:.4g}{suffix}"
    limit = f"worse by more than the {judged.allowed:.3g}{suffix} allowed"
    share = share_text(float(np.mean(judged.more > 0)))
    return f"in {where} ({one.assets} assets): {pair}, {limit}, and in {share} of the resamples"
