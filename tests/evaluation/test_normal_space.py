"""T2 and Q: of what is normal they tell as much as their share, and both ways of leaving it."""

import numpy as np

from foretwin.evaluation.normal_space import NormalSpace


def windows(count: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    common = generator.normal(size=(count, 2))
    return (common @ np.array([[1, 1, 1, 0, 0], [0, 0, 1, 1, 1]]) + generator.normal(0, 0.1, (count, 5))).astype("f4")


def test_normal_windows_exceed_the_limits_by_their_share_and_departures_by_either():
    x = windows(4000, 1)
    model = NormalSpace(0.02).fit(np.concatenate([x, x + 50]), np.repeat([0.0, 1.0], len(x)))
    assert 0.005 < model.predict(windows(4000, 2)).mean() < 0.04
    further, apart = windows(50, 3) * 9, windows(50, 4) + np.array([1, -1, 0, 0, 0], "f4")
    assert model.predict(further).mean() > 0.7, "far within the space: T2"
    assert model.predict(apart).mean() > 0.9, "out of the space: Q"
    assert NormalSpace(0.0).fit(x, np.zeros(len(x))).predict(x).sum() == 0
