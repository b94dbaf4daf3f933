"""95 % intervals of figures: of shares of counts, and of means over independent fleets."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import beta, t

LOW, HIGH = 0.025, 0.975


def share_interval(count: int, of: int) -> list[float]:
    """Return the interval of the share `count` / `of` (Clopper and Pearson, Biometrika 26, 1934), to four digits."""
    low = beta.ppf(LOW, max(count, 1e-9), of - count + 1)
    high = beta.ppf(HIGH, count + 1, max(of - count, 1e-9))
    return [round(float(end), 4) for end in (low, high)]


def mean_interval(values: Sequence[float]) -> tuple[float, list[float]]:
    """Return the mean of figures, one of each fleet, and its interval by Student's t; of one it has no width."""
    found = np.asarray(values, np.float64)
    mean = float(found.mean())
    spread = float(found.std(ddof=1)) / len(found) ** 0.5 if len(found) > 1 else 0.0
    reach = float(t.ppf(HIGH, max(len(found) - 1, 1))) * spread
    return mean, [mean - reach, mean + reach]
