"""Gaussian state estimates of many pumps at once, and their transformation by a nonlinear function.

The divided-difference filter of second order: M. Norgaard, N. K. Poulsen and O. Ravn, "New developments in state
estimation for nonlinear systems", Automatica 36, 1627-1638, 2000. It probes the function at sigma points as the
unscented filter does, but every covariance is a sum of squares, so that none can become negative.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from foretwin.physics.pump.quantities import Array

REACH = 3**0.5  # standard deviations from the mean to a sigma point: best for a Gaussian


@dataclass(frozen=True)
class Belief:
    """State estimate of N pumps: a Gaussian over D quantities each."""

    mean: Array  # (N, D)
    covariance: Array  # (N, D, D)

    def __len__(self) -> int:
        return len(self.mean)

    def first(self, count: int) -> "Belief":
        """Return the belief about the first `count` pumps."""
        return Belief(self.mean[:count], self.covariance[:count])

    def about(self, quantities: slice) -> "Belief":
        """Return the marginal belief about some of the quantities."""
        return Belief(self.mean[:, quantities], self.covariance[:, quantities, quantities])

    def draw(self, count: int, generator: np.random.Generator) -> Array:
        """Draw samples (N, count, D)."""
        normal = generator.standard_normal((len(self), count, self.mean.shape[1]))
        samples: Array = self.mean[:, None] + normal @ np.linalg.cholesky(self.covariance).swapaxes(1, 2)
        return samples


@dataclass(frozen=True)
class Image:
    """Image of a belief over D quantities under a function with E values."""

    mean: Array  # (N, E)
    root: Array  # (N, D, D) lower Cholesky factor of the belief's covariance
    slope: Array  # (N, D, E) the function's change per standard deviation along each column of `root`
    bend: Array  # (N, D, E) contribution of its curvature to the spread

    @property
    def covariance(self) -> Array:
        """Return the covariance (N, E, E) of the image."""
        return _squared(self.slope) + _squared(self.bend)

    @property
    def cross(self) -> Array:
        """Return the covariance (N, D, E) of the belief with its image."""
        return self.root @ self.slope

    def corrected(self, belief: Belief, observed: Array, noise: Array) -> Belief:
        """Update the belief with the image `observed` (N, E) with independent errors of variance `noise` (N, E)."""
        gain = np.linalg.solve(_with_diagonal(self.covariance, noise), self.cross.swapaxes(1, 2))  # (N, E, D)
        mean = belief.mean + ((observed - self.mean)[:, None] @ gain)[:, 0]
        left = self.root.swapaxes(1, 2) - self.slope @ gain
        return Belief(mean, _squared(left) + _squared(self.bend @ gain) + _squared(np.sqrt(noise)[:, :, None] * gain))

    def log_density(self, observed: Array, noise: Array) -> Array:
        """Return the log density (N,), less a constant, of `observed` (N, E), errors as in `corrected`."""
        spread, error = _with_diagonal(self.covariance, noise), (observed - self.mean)[:, :, None]
        squared = (error * np.linalg.solve(spread, error)).sum(axis=(1, 2))
        density: Array = -(np.linalg.slogdet(spread).logabsdet + squared) / 2
        return density


def image(belief: Belief, function: Callable[[Array], Array]) -> Image:
    """Transform the belief by `function`, which maps points (N, P, D) to values (N, P, E)."""
    size = belief.mean.shape[1]
    root = np.asarray(np.linalg.cholesky(belief.covariance), np.float64)
    reach = REACH * root.swapaxes(1, 2)
    values = function(belief.mean[:, None] + np.concatenate([np.zeros_like(reach[:, :1]), reach, -reach], axis=1))
    centre, plus, minus = values[:, :1], values[:, 1 : size + 1], values[:, size + 1 :]
    curvature = (plus + minus - 2 * centre) / (2 * REACH**2)
    return Image(
        mean=centre[:, 0] + curvature.sum(axis=1),
        root=root,
        slope=(plus - minus) / (2 * REACH),
        bend=(REACH**2 - 1) ** 0.5 * curvature,
    )


def _squared(rows: Array) -> Array:
    """Sum the outer products of rows (N, D, E) -> (N, E, E)."""
    return rows.swapaxes(1, 2) @ rows


def _with_diagonal(matrices: Array, added: Array) -> Array:
    """Add values (N, E) to the diagonals of matrices (N, E, E)."""
    return matrices + added[:, :, None] * np.eye(added.shape[1])
