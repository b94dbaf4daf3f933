"""Drift reference: distributions of healthy readings and scores in development, kept next to the bundle as drift.json.

Readings are compared within their operating regime, in standard deviations of the channel there, and given all other
channels: the residual that operation does not explain varies far less than the reading itself.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.dataset.windows import Histories
from foretwin.drift.mean_shift import RIDGE, ShiftLaw, development_changes, development_levels, noise_of
from foretwin.drift.psi import Bins, CleanPsi, rounded
from foretwin.drift.scores import ScoreReference
from foretwin.errors import BundleError
from foretwin.predictor.bundle import Bundle
from foretwin.predictor.healthy_baseline import RegimeCentres, healthy_rows
from foretwin.project.files import fresh_file

Array = NDArray[np.float64]

FORMAT = 1
FILE = "drift.json"
FEWEST_ASSETS, FEWEST_READINGS = 5, 100  # in reference and fleet; with fewer there is no verdict
SAME = 1e-5  # relative difference allowed for a reading of a constant channel


@dataclass(frozen=True)
class Scale:
    """Scaling from physical units to standard deviations, for C channels in each of R regimes in healthy life."""

    regimes: RegimeCentres
    mean: Array  # (R, C) physical units; NaN in regimes without a healthy reading
    deviation: Array  # (C,) within the regimes; 0 where the channel is constant there

    @classmethod
    def fit(cls, regimes: RegimeCentres, values: NDArray[np.float32]) -> Self:
        """Fit to the healthy readings (N, C)."""
        regime, exact = regimes.nearest(values), values.astype(np.float64)
        mean = np.full((len(regimes.centres), values.shape[1]), np.nan)
        constant = np.ones(values.shape[1], dtype=bool)
        for number in np.unique(regime):
            part = exact[regime == number]
            mean[number] = part.mean(axis=0)
            constant &= np.ptp(part, axis=0) <= SAME * np.abs(mean[number])
        deviation = np.sqrt(np.square(exact - mean[regime]).mean(axis=0))
        return cls(regimes, mean, np.where(constant, 0, deviation))

    @property
    def varies(self) -> NDArray[np.bool_]:
        """Return a mask (C,), False where a channel is constant within its regime."""
        return self.deviation > 0

    def comparable(self, values: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return a mask (N,) of readings whose settings are known and belong to a regime of the reference."""
        known = np.asarray(~np.isnan(values[:, list(self.regimes.settings)]).any(axis=1))
        known[known] = ~np.isnan(self.mean[self.regimes.nearest(values[known])]).any(axis=1)
        return known

    def away(self, values: NDArray[np.float32], regime: NDArray[np.int64]) -> Array:
        """Convert readings (N, C) of regimes (N,) to distances from the mean, in deviations where a channel varies."""
        distance: Array = (values - self.mean[regime]) / np.where(self.varies, self.deviation, 1)
        return distance


@dataclass(frozen=True)
class Freshness:
    """Reference statistics of the C' channels that vary, all in standard deviations of `Scale`."""

    adjust: Array  # (C', C') maps readings to residuals given the other channels
    raw: Bins
    adjusted: Bins
    clean: CleanPsi  # of the adjusted
    level: ShiftLaw
    change: ShiftLaw | None  # None where no development asset was healthy for long enough


@dataclass(frozen=True)
class DriftReference:
    """Reference that readings and scores are compared with, made from the bundle of this digest; kept as one file."""

    bundle: str
    contract: str  # digest
    channels: tuple[str, ...]  # C names
    assets: int  # with healthy readings
    readings: int
    scale: Scale
    varying: Freshness | None  # None with too few healthy assets or readings: no verdict then
    scores: ScoreReference
    oldest: float | None = None  # age that a development asset reached, in the contract's unit
    longest_life: float | None = None  # of the lives whose end is known

    @classmethod
    def fit(cls, bundle: Bundle, development_rows: pd.DataFrame, held_out: pd.DataFrame, seed: int = 0) -> Self:
        """Fit to canonical rows of the development assets, and to held-out ones cut as `windows.truncate` does."""
        contract = bundle.contract
        histories = Histories.from_rows(development_rows, contract)
        healthy = healthy_rows(histories, contract)
        values = histories.values[healthy]  # noqa: PD011 — no data frame
        assets = pd.factorize(development_rows["asset"][healthy])[0].astype(np.int64)
        generator = np.random.default_rng(seed)
        values = _completed(values, assets, bundle.reference.regimes, generator)
        scale = Scale.fit(bundle.reference.regimes, values)
        count = int(assets.max()) + 1 if len(assets) else 0
        enough = count >= FEWEST_ASSETS and len(values) >= FEWEST_READINGS and bool(scale.varies.any())
        exact = cls(
            bundle=bundle.digest,
            contract=bundle.contract_digest,
            channels=contract.channel_names,
            assets=count,
            readings=len(values),
            scale=scale,
            varying=_freeze(scale, values, assets, generator) if enough else None,
            scores=ScoreReference.fit(bundle, held_out, generator),
            oldest=float(histories.time.max()) if len(histories.time) else None,
            longest_life=_longest_life(histories),
        )
        return cls._from_dict(exact._to_dict())  # with the digits that JSON keeps

    def write(self, path: Path) -> None:
        """Write as JSON, the same bytes for the same reference."""
        with fresh_file(path) as out:
            out.write_text(json.dumps(self._to_dict(), separators=(",", ":"), allow_nan=False) + "\n")

    def _to_dict(self) -> dict[str, Any]:
        regimes = self.scale.regimes
        return {
            "format": FORMAT,
            "bundle": self.bundle,
            "contract": self.contract,
            "channels": list(self.channels),
            "assets": self.assets,
            "readings": self.readings,
            "settings": list(regimes.settings),
            "centres": regimes.centres.tolist(),
            "spread": regimes.spread.tolist(),
            "mean": [None if np.isnan(row).any() else rounded(row) for row in self.scale.mean],
            "deviation": rounded(self.scale.deviation),
            "varying": _to_dict(self.varying) if self.varying else None,
            "scores": self.scores.to_dict(),
            "oldest": self.oldest,
            "longest_life": self.longest_life,
        }

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file of `write`; BundleError where it is missing, damaged or of another version."""
        try:
            content = json.loads(path.read_text())
            if content["format"] != FORMAT:
                raise BundleError(f"{path}: format is {content['format']}, not {FORMAT}; run `dvc repro drift`")
            return cls._from_dict(content)
        except FileNotFoundError:
            raise BundleError(f"{path}: no such file; run `dvc repro drift`") from None
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise BundleError(f"{path}: not a drift reference ({error}); run `dvc repro drift`") from None

    @classmethod
    def _from_dict(cls, content: dict[str, Any]) -> Self:
        centres, spread = (np.array(content[name], np.float32) for name in ("centres", "spread"))
        channels = tuple(content["channels"])
        unknown = [np.nan] * len(channels)
        mean = np.array([unknown if row is None else row for row in content["mean"]], float)
        regimes = RegimeCentres(tuple(content["settings"]), centres.reshape(len(mean), -1), spread)
        return cls(
            bundle=content["bundle"],
            contract=content["contract"],
            channels=channels,
            assets=content["assets"],
            readings=content["readings"],
            scale=Scale(regimes, mean, np.array(content["deviation"], float)),
            varying=_from_dict(content["varying"]) if content["varying"] else None,
            scores=ScoreReference.from_dict(content["scores"]),
            oldest=content.get("oldest"),  # an earlier version did not write these
            longest_life=content.get("longest_life"),
        )


def _longest_life(histories: Histories) -> float | None:
    """Return the longest time from the beginning to the known end of a run; None where no end is known."""
    known = np.isfinite(histories.rul)
    lives = histories.time[known] + histories.rul[known]
    return float(lives.max()) if len(lives) else None


def _completed(
    values: NDArray[np.float32], assets: NDArray[np.int64], regimes: RegimeCentres, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Return readings (N, C) with each missing value drawn from those of its regime: its asset's, or else all.

    So a channel keeps its distribution, which readings that have it are compared with. It is 0 where none has one.
    """
    lost = np.isnan(values)
    if not lost.any():
        return values
    whole, regime = values.copy(), regimes.nearest(values)
    group = assets * len(regimes.centres) + regime
    for channel in np.flatnonzero(lost.any(axis=0)):
        known = ~lost[:, channel]
        anywhere = values[known, channel] if known.any() else np.zeros(1, np.float32)
        for number in np.unique(group[lost[:, channel]]):
            mine, alike = group == number, regime == number % len(regimes.centres)
            drawn = next((found for of in (mine, alike) if len(found := values[of & known, channel])), anywhere)
            gaps = np.flatnonzero(mine & lost[:, channel])
            whole[gaps, channel] = generator.choice(drawn, len(gaps))
    return whole


def _freeze(
    scale: Scale, values: NDArray[np.float32], assets: NDArray[np.int64], generator: np.random.Generator
) -> Freshness:
    """Fit the statistics of varying channels to healthy readings (N, C), each asset's (N,) together, in time order."""
    regime = scale.regimes.nearest(values)
    away = scale.away(values, regime)[:, scale.varies]
    count = len(scale.mean)
    adjust = _adjustment(away)
    adjusted = Bins.fit(away @ adjust.T, regime, count)
    noise = noise_of(away, assets)
    levels, level_owners = development_levels(away, assets)
    changes, owners = development_changes(away, assets)
    return Freshness(
        adjust=adjust,
        raw=Bins.fit(away, regime, count),
        adjusted=adjusted,
        clean=CleanPsi.fit(adjusted, adjusted.place(away @ adjust.T, regime), regime, assets, generator),
        # Stretches of one asset are correlated; its changes, each starting where the one before ended, are not.
        level=ShiftLaw.fit(levels, noise, level_owners, count=len(np.unique(assets))),
        change=ShiftLaw.fit(changes, noise, owners, len(owners)) if len(np.unique(owners)) >= FEWEST_ASSETS else None,
    )


def _adjustment(away: Array) -> Array:
    """Compute the matrix (C, C) that maps a reading to each channel's ridge-regression residual on the others."""
    precision = np.linalg.inv(away.T @ away / len(away) + RIDGE * np.eye(away.shape[1]))
    adjustment: Array = precision / np.diag(precision)[:, None]
    return adjustment


def _to_dict(varying: Freshness) -> dict[str, Any]:
    return {
        "adjust": rounded(varying.adjust),
        "raw": varying.raw.to_dict(),
        "adjusted": varying.adjusted.to_dict(),
        "clean": varying.clean.to_dict(),
        "level": varying.level.to_dict(),
        "change": varying.change.to_dict() if varying.change else None,
    }


def _from_dict(values: dict[str, Any]) -> Freshness:
    return Freshness(
        adjust=np.array(values["adjust"], float),
        raw=Bins.from_dict(values["raw"]),
        adjusted=Bins.from_dict(values["adjusted"]),
        clean=CleanPsi.from_dict(values["clean"]),
        level=ShiftLaw.from_dict(values["level"]),
        change=ShiftLaw.from_dict(values["change"]) if values["change"] else None,
    )
