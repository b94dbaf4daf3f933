"""Health judged by each machine's own baseline: the same distances, fitted to machines without their offsets.

Every recorded run is given its own warm-up, the first whole windows that the contract asks for; what follows is judged
without the run's offset, as it is in service, and so are the departed copies of it. A fold's machines are held out of
the distances that say what is false among them; the few numbers of `FleetLevels` are fitted to all.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.false_alarms import alarm_share
from foretwin.contract.twin import HEALTH, Twin
from foretwin.dataset.splits import Development
from foretwin.dataset.windows import Histories, window_parts
from foretwin.metrics import RECOVERED, spread_of
from foretwin.predictor.fault_calibration import SHARPENED, FaultCalibration, JudgedClasses
from foretwin.predictor.health.own_baseline import FleetLevels, OwnBaseline, first_windows
from foretwin.predictor.health.sensor_check import SensorCheck, weights_by_settings
from foretwin.predictor.healthy_baseline import RegimeCentres
from foretwin.project.params import TrainParams
from foretwin.training.candidates.classical import fit_classical
from foretwin.training.candidates.graph import Fitted, blend_graph
from foretwin.training.candidates.health_choice import choose_health, link_distances
from foretwin.training.candidates.out_of_fold import OutOfFold
from foretwin.training.candidates.weights import logit_of

FEWEST_RUNS = 10  # with a baseline and windows after it: of fewer, nobody knows how machines differ
DIFFER = 0.5  # of the variance of what the first windows of machines tell of a channel, that must be the machines'
SMALLEST_APART = 0.1  # of the logits of opening and closing
MOST_CUTS = 20_000  # of recorded runs: every row, where they are fewer, since alarms between two cuts are not seen

Values = NDArray[np.float64]


@dataclass(frozen=True)
class OwnHealth:
    """The judgement by own baselines, and what the bundle's record says of it."""

    baseline: OwnBaseline
    record: dict[str, Any]


def fit_own_health(
    development: Development, contract: Twin, sensors: SensorCheck, regimes: RegimeCentres, params: TrainParams
) -> OwnHealth | None:
    """Fit the judgement by own baselines; None where too few runs are long enough, or machines hardly differ."""
    if contract.health is None:
        return None
    levels = fit_levels(development.recorded, contract, sensors, regimes)
    differs = levels.machines >= DIFFER * (levels.machines + levels.within / contract.health.baseline)
    relative = without_offsets(development, levels, contract) if (differs & (levels.machines > 0)).any() else None
    if relative is None:
        return None
    classical = link_distances(list(fit_classical(relative, contract, [], params)), relative, contract)
    cuts = OutOfFold.of(relative, contract, {}, classical)
    chosen = choose_health(cuts, contract, None, ())
    alone = contract.model_copy(update={"rul": None, "faults": {HEALTH: contract.health.axis}})
    graph = blend_graph(Fitted({}, classical), alone, {HEALTH: chosen.weights})
    judged = JudgedClasses(chosen.said, cuts.truth[HEALTH].astype(np.int64), cuts.assets)
    found = FaultCalibration.fit_by_asset(judged, params.confidence, params.least_answered)
    normal = cuts.truth[HEALTH] == 0
    share, opens = alarm_share(contract) * cuts.overlap, contract.cases.open_probability
    found = replace(found, temperature=SHARPENED * _softness(chosen.said[normal], contract))
    found = found.within_budget(chosen.said[normal], share, opens, cuts.runs_of(normal))
    record = {"windows": contract.health.baseline, "weights": chosen.weights, "out_of_fold": chosen.errors}
    return OwnHealth(OwnBaseline.of(contract.health.baseline, levels, found, graph), record)


def _softness(normal: Values, contract: Twin) -> float:
    """Return the temperature at which a case that opens at its limit closes RECOVERED below, of normal cuts (N, 2)."""
    opens, closes = contract.cases.open_probability, contract.cases.close_probability
    apart = np.log(opens / (1 - opens)) - np.log(closes / (1 - closes))
    return float(RECOVERED * spread_of(logit_of(normal)) / max(apart, SMALLEST_APART))


def fit_levels(histories: Histories, contract: Twin, sensors: SensorCheck, regimes: RegimeCentres) -> FleetLevels:
    """Fit what regime and settings tell of recorded rows, within runs, and how much runs and their windows differ."""
    channels = list(contract.channels.values())
    setting = np.array([one.role == "setting" for one in channels])
    scale = np.where(np.isfinite(sensors.scale), sensors.scale, 0.0)
    count, length = len(channels), contract.window.length
    nothing = np.zeros(count)
    plain = FleetLevels(regimes, sensors.mean, scale, np.zeros((count, count)), nothing, nothing, length)
    regime = regimes.nearest(histories.values)
    z = np.nan_to_num(plain.residuals(histories.values)) / np.where(scale > 0, scale, 1.0)[regime]
    _, run, rows = np.unique(histories.first, return_inverse=True, return_counts=True)
    middle = np.stack([np.bincount(run, column) for column in z.T], axis=1) / rows[:, None]
    z -= middle[run]
    weights = weights_by_settings(z, setting)
    weights[:, setting] = np.eye(count)[:, setting]  # so that nothing of a setting is left
    levels = replace(plain, weights=weights)
    machines, within = _variances(levels, histories)
    return replace(levels, machines=machines, within=within)


def _variances(levels: FleetLevels, histories: Histories) -> tuple[Values, Values]:
    """Return the variance among machines and within one, (C,) each, of the means of windows that share no row."""
    length = levels.length
    number = histories.rows_so_far()
    ends = np.flatnonzero(number % length == 0)
    if not len(ends):
        return levels.machines, levels.within
    mean = np.concatenate([levels.window_means(histories.cut(part, length))[0] for part in window_parts(ends)])
    _, run, windows = np.unique(histories.first[ends], return_inverse=True, return_counts=True)
    middle = np.stack([np.bincount(run, column) for column in mean.T], axis=1) / windows[:, None]
    free = max(1, len(ends) - len(windows))
    within = np.square(mean - middle[run]).sum(axis=0) / free
    among = middle.var(axis=0, ddof=1) if len(middle) > 1 else np.zeros(mean.shape[1])
    return np.maximum(among - within * np.mean(1 / windows), 0), within


def without_offsets(development: Development, levels: FleetLevels, contract: Twin) -> Development | None:
    """Return the development rows without their runs' offsets, cut after the warm-up; None where too few are left."""
    histories = development.histories
    recorded = np.flatnonzero(~development.made)
    starts, wanted = np.unique(histories.first), contract.health.baseline if contract.health else 0
    lasts = np.append(starts[1:], len(histories.first)) - 1
    is_run = ~development.made[starts]
    runs, axis = starts[is_run], contract.axes.index(HEALTH)
    own = first_windows(levels, wanted, histories, lasts[is_run], lambda windows: windows.faults[:, axis] == 0)
    ready = own.windows >= wanted
    place = np.searchsorted(runs, histories.first if development.source is None else development.source)
    offset = np.where(ready[:, None], levels.shrunk(own), 0.0)[place]
    after = ready[place] & (histories.time > own.until[place])
    step = max(1, -(-int(after[recorded].sum()) // MOST_CUTS))
    normal = after & ~development.made & (histories.faults[:, axis] == 0)
    whole = np.isin(np.arange(len(after)), development.ends)
    dense = np.flatnonzero(normal & whole & (histories.rows_so_far() % step == 0))
    copies = development.cuts[(development.made & after)[development.cuts]]
    cuts = np.sort(np.concatenate([dense, copies]))
    held = {int(fold) for fold in development.fold[dense]}
    if len(np.unique(histories.first[dense])) < FEWEST_RUNS or held != set(development.folds):
        return None
    moved = replace(histories, values=(histories.values - offset).astype(np.float32))
    ends, overlap = development.ends[after[development.ends]], min(1.0, step / contract.window.length)
    return replace(development, histories=moved, ends=ends, cuts=cuts, overlap=overlap)
