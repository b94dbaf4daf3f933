"""Classic floors of health without labels: limits of T2 and Q, three standard deviations, and always an alarm."""

from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

KEPT = 0.9  # of the variance
SIGMAS = 3.0


class NormalSpace:
    """Tells what leaves the space of normal windows, or goes too far within it.

    T2 is the distance within the principal components, Q the squared distance from them; both have as limit what a
    given share of normal windows exceeds (Jackson and Mudholkar, Control Procedures for Residuals Associated with
    Principal Component Analysis, Technometrics 1979).
    """

    def __init__(self, share: float) -> None:
        """`share` of the normal windows may exceed a limit; none does where they are too few for it."""
        self.share = share

    def fit(self, x: NDArray[np.float32], y: NDArray[np.float64]) -> Self:
        """Fit to the windows (N, F) whose class y (N,) is 0; the others are not looked at."""
        normal = x[y == 0].astype(np.float64)
        self.scaler = StandardScaler().fit(normal)
        self.space = PCA(KEPT, svd_solver="full").fit(self.scaler.transform(normal))
        self.limits = np.quantile(self._statistics(normal), 1 - self.share / 2, axis=0, method="higher")
        return self

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return 1 (N,) for windows beyond either limit, else 0."""
        beyond: NDArray[np.float64] = (self._statistics(x.astype(np.float64)) > self.limits).any(axis=1).astype(float)
        return beyond

    def _statistics(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return T2 and Q (N, 2)."""
        scaled = self.scaler.transform(x)
        scores = self.space.transform(scaled)
        within = np.square(scores / np.sqrt(self.space.explained_variance_)).sum(axis=1)
        left = np.square(scaled - self.space.inverse_transform(scores)).sum(axis=1)
        return np.column_stack([within, left])


class ThreeSigma:
    """Tells a window in which the mean of a channel is far from that of normal windows (Shewhart's chart of means)."""

    def __init__(self, means: int) -> None:
        """The first `means` features are the channels' means."""
        self.means = means

    def fit(self, x: NDArray[np.float32], y: NDArray[np.float64]) -> Self:
        """Fit to the windows (N, F) whose class y (N,) is 0; the others are not looked at."""
        normal = x[y == 0, : self.means].astype(np.float64)
        self.centre, self.spread = normal.mean(axis=0), normal.std(axis=0)
        return self

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return 1 (N,) for windows with such a mean, else 0."""
        away = np.abs(x[:, : self.means].astype(np.float64) - self.centre)
        beyond: NDArray[np.float64] = (away > SIGMAS * self.spread).any(axis=1).astype(float)
        return beyond


class Always:
    """Tells every window: what all false alarms buy."""

    def fit(self, _: NDArray[np.float32], __: NDArray[np.float64]) -> Self:
        """Fit to nothing."""
        return self

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return 1 (N,)."""
        return np.ones(len(x))


Floor = NormalSpace | ThreeSigma | Always


def health_floors(means: int, share: float) -> dict[str, Callable[[object], Floor]]:
    """Return how each floor is made, by name; the first `means` features are the channels' means."""
    return {
        "always": lambda _: Always(),
        "three_sigma": lambda _: ThreeSigma(means),
        "normal_space": lambda _: NormalSpace(share),
    }
