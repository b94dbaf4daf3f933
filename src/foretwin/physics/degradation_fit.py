"""Fit of the degradation model to readings of the development pumps; only its recalibration uses ends of life."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.dataset.splits import Development
from foretwin.physics.degradation import BANDS, DRAWS, HORIZON_CAPS, RATED_RPM, TENTHS, DegradationModel, Pipe, bands_of
from foretwin.physics.pump.filtering import SETTINGS, Recordings
from foretwin.physics.pump.forecasting import estimate, hours_left
from foretwin.physics.pump.learning import Fleet, learn_fleet
from foretwin.physics.pump_prognosis import BATCH, cap_of, data_sheets, future_duties, lives_of, windows_of

Array = NDArray[np.float64]

EVERY = 5  # every fifth development cut is forecast for the recalibration
SEED = 1


def fit_degradation(
    development: Development, contract: Twin, level: float, learnt_from: Mapping[str, str]
) -> DegradationModel:
    """Fit the degradation model to the development runs, each of which starts with a new pump.

    `level` is that of its intervals; `learnt_from` are the digests of its inputs. SourceError where the contract does
    not describe the simulated pump and its RUL.
    """
    cap = cap_of(contract)
    lives, sensors = lives_of(development.histories, contract), data_sheets()
    fleet = learn_fleet(lives, sensors)
    asked = [name for name in SETTINGS if contract.channels[name].role == "setting"]
    ran = {name: _recorded(lives, name) for name in asked}
    return DegradationModel(
        twin=contract.name,
        fleet=fleet,
        sensors=sensors,
        pipe=_pipe(lives),
        ran={name: (float(values.min()), float(values.max())) for name, values in ran.items()},
        cap=cap,
        level=level,
        trust=_trust(fleet, development, contract, cap),
        learnt_from=learnt_from,
    )


def _recorded(lives: Recordings, name: str) -> Array:
    """Return the recorded values of one setting, of all hours and lives."""
    recorded = np.arange(len(lives.settings[name]))[:, None] < lives.counts
    values: Array = lives.settings[name][recorded]
    return values


def _pipe(lives: Recordings) -> Pipe:
    """Fit the pipe's curve to the fleet's pressures by least squares; a fleet of one speed gives a constant lift."""
    squared = (_recorded(lives, "commanded_speed") / RATED_RPM) ** 2
    lift = _recorded(lives, "discharge_pressure") - _recorded(lives, "suction_pressure")
    spread = float(squared.var())
    moving = float(np.mean((squared - squared.mean()) * lift)) / spread if spread > 0 else 0.0
    return Pipe(still=float(lift.mean() - moving * squared.mean()), moving=moving)


def _trust(fleet: Fleet, development: Development, contract: Twin, cap: float) -> Array:
    """Estimate the share (bands, TENTHS) of lives that end in each tenth of their draws.

    A censored life counts evenly in the tenths that were still to come. Each tenth starts with a pseudo-count of half a
    life, so that a band with few forecasts stays near uniform.
    """
    histories, cuts = development.histories, development.cuts[::EVERY]
    left = _forecasts(fleet, development, cuts, contract, int(np.ceil(HORIZON_CAPS * cap)))
    _, runs, counts = np.unique(histories.first, return_inverse=True, return_counts=True)
    seen = (counts[runs] - histories.rows_so_far())[cuts]  # h after each cut that are recorded
    ended = np.isfinite(histories.rul[cuts])
    passed = (left < seen[:, None]).mean(axis=1) + (left == seen[:, None]).mean(axis=1) / 2
    tenth = np.minimum((passed * TENTHS).astype(np.int64), TENTHS - 1)
    counted = np.full((len(BANDS) + 1, TENTHS), 0.5)
    for band, first, is_over in zip(bands_of(left, cap), tenth, ended, strict=True):
        last = first + 1 if is_over else TENTHS
        counted[band, first:last] += 1 / (last - first)
    return np.asarray(counted / counted.sum(axis=1, keepdims=True))


def _forecasts(fleet: Fleet, development: Development, cuts: NDArray[np.int64], contract: Twin, horizon: int) -> Array:
    """Forecast the hours left at each cut, (N, DRAWS), infinite where they exceed the horizon."""
    lives, sensors = lives_of(development.histories, contract), data_sheets()
    windows, generator = development.histories.cut(cuts, contract.window.length), np.random.default_rng(SEED)
    left = np.empty((len(cuts), DRAWS))
    longest_first = np.argsort(-windows.mask.sum(axis=1), kind="stable")
    for some in np.array_split(longest_first, -(-len(cuts) // BATCH)):
        age = windows.age[some].astype(np.float64)
        hidden = estimate(fleet, windows_of(windows, some, contract), age, sensors).draw(DRAWS, generator)
        duties = future_duties(lives, hidden.shape[:2], horizon, generator)
        left[some] = hours_left(hidden, fleet.law, duties, generator)
    return left
