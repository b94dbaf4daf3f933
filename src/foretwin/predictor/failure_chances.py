"""Chances of a failure within the horizons that a contract names, from a predicted RUL.

Each horizon has a curve, which falls with the predicted RUL: the share of development cuts that failed within it, as
`training.horizon_calibration` fits it to predictions of members that had not seen the machines. The curve of a longer
horizon lies nowhere below that of a shorter one, so that the chances never fall with the horizon.
"""

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.twin import FAILURE


@dataclass(frozen=True)
class FailureChances:
    """Curves of H horizons at G predicted RULs, in the contract's time unit."""

    horizons: tuple[float, ...]  # (H,) increasing
    rul: tuple[float, ...]  # (G,) predicted RUL, increasing
    chances: tuple[tuple[float, ...], ...]  # (H, G)

    def columns(self, rul: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Return each horizon's column of the table of scores, with the chances (N,) at predicted RULs (N,)."""
        curves = zip(self.horizons, self.chances, strict=True)
        return {failure_column(horizon): np.interp(rul, self.rul, curve) for horizon, curve in curves}

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Restore from the values of `to_dict`."""
        return cls(tuple(values["horizons"]), tuple(values["rul"]), tuple(map(tuple, values["chances"])))


def horizon_name(horizon: float) -> str:
    """Return how a horizon is written, in the contract's time unit."""
    return f"{horizon:.15g}"


def failure_column(horizon: float) -> str:
    """Return the column of the chance of a failure within a horizon in the table of scores."""
    return f"{FAILURE}_{horizon_name(horizon)}"
