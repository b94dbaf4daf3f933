"""Classic floor of health without labels: principal components of what is normal, with the limits of T2 and Q."""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

KEPT = 0.9  # of the variance


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
