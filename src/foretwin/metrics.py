"""Metrics of predictions: pure functions of numpy arrays, every RUL in the contract's time unit.

Arrays hold one entry per prediction; `truth` may be NaN (RUL) or -1 (class) where it is unknown, and such entries
do not count. An RUL that is only known to be the cap or more is infinite, and counts where truths are capped.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
PHM08_CAP = 125.0  # cycles: the cap of the RUL that users of the challenge's turbofans agree on
LATE_LIFE = 30.0  # of PHM08_CAP; "late" in rmse_late
LARGEST_SCORE = 1e12  # a PHM08 score above says only that one error was many caps
SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)  # bound for logarithms: a network may round to 0
CONFIDENCE_BINS = 10
MOST_FAILING = 0.05  # of the machines, when the history ends that is presumed to be normal
TAIL = 0.1  # of the runs, by whose peaks higher ones are judged
RECOVERED = 0.5  # spreads of normal windows below its limit, at which an alarm is over
SMALLEST_SPREAD = 1e-3  # of logarithms among normal windows


def rmse(predicted: Floats, truth: Floats) -> float:
    """Compute the root of the pooled mean squared error, both (N,); NaN where no truth is known."""
    error = (np.asarray(predicted, np.float64) - truth)[~np.isnan(truth)]
    return float(np.sqrt(np.mean(error**2))) if len(error) else float("nan")


def phm08(predicted: Floats, truth: Floats, cap: float) -> float:
    """Compute the score of the PHM 2008 challenge: late predictions cost more than early ones; a sum, lower is better.

    NaN where no truth is known, and above LARGEST_SCORE.
    """
    known = ~np.isnan(truth)
    score = float(np.sum(late_costs(predicted[known], truth[known], cap))) if known.any() else float("nan")
    return score if score <= LARGEST_SCORE else float("nan")


def late_costs(predicted: Floats, truth: Floats, cap: float) -> NDArray[np.float64]:
    """Compute each prediction's contribution (N,) to the PHM 2008 score; NaN where its truth is NaN.

    exp(-d / 13) - 1 for d < 0 and exp(d / 10) - 1 for d >= 0 (Saxena et al., 2008), with d = predicted - truth. The
    challenge's 13 and 10 are cycles of turbofans whose RUL is capped at 125; so d is counted in 125ths of `cap`, and
    the score of a machine is the same whether its clock counts hours or seconds.
    """
    d = (np.asarray(predicted, np.float64) - truth) * (PHM08_CAP / cap)
    with np.errstate(over="ignore"):
        costs: NDArray[np.float64] = np.exp(np.where(d < 0, -d / 13, d / 10)) - 1
    return costs


def coverage(low: Floats, high: Floats, truth: Floats) -> float:
    """Compute the share of the known truths that lie within [low, high]."""
    known = ~np.isnan(truth)
    inside = (low <= truth) & (truth <= high)
    return float(np.mean(inside[known])) if known.any() else float("nan")


def macro_f1(predicted: NDArray[np.integer], truth: NDArray[np.integer], classes: int) -> float:
    """Compute the mean F1 of the classes that occur among the known truths or their predictions."""
    known = truth >= 0
    predicted, truth = predicted[known], truth[known]
    scores = []
    for k in range(classes):
        hits = np.sum((predicted == k) & (truth == k))
        total = np.sum(predicted == k) + np.sum(truth == k)
        if total:
            scores.append(2 * hits / total)
    return float(np.mean(scores)) if scores else float("nan")


def accuracy(predicted: NDArray[np.integer], truth: NDArray[np.integer]) -> float:
    """Compute the share of correct predictions among those with a known truth."""
    known = truth >= 0
    return float(np.mean(predicted[known] == truth[known])) if known.any() else float("nan")


def negative_log_likelihood(probabilities: Floats, truth: NDArray[np.integer]) -> float:
    """Compute the mean -log probability, of (N, K), of the known classes; in nats, lower is better."""
    known = truth >= 0
    given = np.asarray(probabilities, np.float64)[known, truth[known]]
    return float(-np.mean(np.log(np.maximum(given, SMALLEST_PROBABILITY)))) if known.any() else float("nan")


def calibration_error(probabilities: Floats, truth: NDArray[np.integer]) -> float:
    """Compute the expected calibration error, the distance between confidence and accuracy; 0 is best.

    The mean, over ten equally wide bins of the confidence and weighted by their counts, of the distance between a
    bin's mean confidence and its accuracy (Guo et al., 2017). The confidence is the highest of a row's probabilities,
    of (N, K).
    """
    known = truth >= 0
    if not known.any():
        return float("nan")
    probabilities, truth = np.asarray(probabilities, np.float64)[known], truth[known]
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    bins = np.minimum((confidence * CONFIDENCE_BINS).astype(np.int64), CONFIDENCE_BINS - 1)
    distances = np.bincount(bins, weights=confidence - right)  # of each bin, times its number of answers
    return float(np.abs(distances).sum() / len(truth))


def rul_metrics(predicted: Floats, truth: Floats, cap: float) -> dict[str, dict[str, float]]:
    """Compute RMSE, MAE, bias, PHM08 and RMSE in late life, with truths capped as in training (`clipped`) and uncapped.

    The two kinds are not comparable: a perfect capped model has errors on the uncapped truths. A bias above 0 is late.
    Late life is the last 30 of 125 parts of the cap.
    """
    late = truth <= LATE_LIFE * (cap / PHM08_CAP)
    result = {}
    exact = np.where(np.isinf(truth), np.nan, truth)
    for name, target in {"clipped": np.minimum(truth, cap), "unclipped": exact}.items():
        error = (predicted - target)[~np.isnan(target)]
        result[name] = {
            "rmse": rmse(predicted, target),
            "mae": float(np.mean(np.abs(error))) if len(error) else float("nan"),
            "bias": float(np.mean(error)) if len(error) else float("nan"),
            "phm08": phm08(predicted, target, cap),
            "rmse_late": rmse(predicted[late], target[late]),
        }
    return result


def threshold(normal: NDArray[np.float64], share: float) -> float:
    """Return what at most `share` of normal values (N,) exceeds, one more of which counts as an alarm."""
    ordered = np.sort(normal)[::-1]
    allowed = max(int(share * (len(ordered) + 1)) - 1, 0)
    return float(ordered[min(allowed, len(ordered) - 1)])


def spread_of(normal: Floats) -> float:
    """Return the spread of values (N,) above their median, as a standard deviation if they were normal."""
    median, high = np.quantile(normal, [0.5, 0.9])
    return max(float(high - median) / 1.2816, SMALLEST_SPREAD)


def recovering(values: NDArray[np.float64], runs: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return values (N,) of cuts, each run's in order of time, and the last value of each run.

    -inf stands where the run does not fall a spread below later. What has risen and stands until a run ends may be a
    machine that fails: nobody knows that an alarm was false.
    """
    found, ends = np.full(len(values), -np.inf), []
    for cuts in np.split(np.arange(len(values)), np.flatnonzero(np.diff(runs)) + 1):
        lowest = np.minimum.accumulate(values[cuts][::-1])[::-1]
        fell = lowest < values[cuts] - spread_of(values)
        found[cuts[fell]] = values[cuts[fell]]
        ends.append(values[cuts[-1]])
    return found, np.array(ends)


def openings(values: NDArray[np.float64], runs: NDArray[np.int64], limit: float) -> int:
    """Return how often cuts (N,) of runs rise beyond the limit, for the first time or after RECOVERED below it."""
    low = limit - RECOVERED * spread_of(values)
    signs = np.where(values >= limit, 1, np.where(values < low, -1, 0))
    told = np.flatnonzero(signs)
    new = np.append(True, (signs[told[1:]] != signs[told[:-1]]) | (runs[told[1:]] != runs[told[:-1]]))
    return int(((signs[told] == 1) & new[: len(told)]).sum())


def alarm_limit(normal: NDArray[np.float64], share: float, runs: NDArray[np.int64] | None) -> float:
    """Return what at most `share` of normal cuts (N,) exceeds and recovers from, as `threshold`; of cuts by `runs`.

    The last cut of a run, after which nothing is known, counts neither for nor against. The highest cuts are few and
    chance, and a machine that hovers at the limit is told more than once, so that the limit is at least what an
    exponential tail of the runs' peaks says (peaks over a threshold: Pickands, Annals of Statistics 1975). More than
    MOST_FAILING of the runs never end beyond it: what many machines show is normal, as a season. Where nothing
    recovers, or the runs are not known, all cuts count.
    """
    if runs is None or not len(normal):
        return threshold(normal, share)
    levels, ends = recovering(normal, runs)
    known, ends = np.sort(levels[np.isfinite(levels)])[::-1], np.sort(ends)[::-1]
    if not len(known):
        return threshold(normal, share)
    expected = share * (len(normal) - len(ends))  # alarms that the budget allows
    peaks = np.sort([levels[runs == run].max() for run in np.unique(runs)])[::-1]
    peaks = peaks[np.isfinite(peaks)]
    high = min(max(int(TAIL * len(ends)), 1), len(peaks) - 1)
    tail = peaks[high]
    expected /= max(openings(normal, runs, tail) / (peaks >= tail).sum(), 1)  # one machine's alarms come together
    if 0 < expected < high:
        tail += (peaks[:high] - tail).mean() * np.log(high / expected)
    allowed = max(int(expected + share) - 1, 0)
    return float(max(known[min(allowed, len(known) - 1)], ends[int(MOST_FAILING * len(ends))], tail))
