"""Which faults befall a plant, by chance."""

from collections.abc import Mapping

import numpy as np


def draw(shares: Mapping[str, float], count: int, random: np.random.Generator) -> list[str]:
    """Draw `count` kinds of faults: each once first, where there is room, the others by their shares."""
    weights = np.array(list(shares.values()), float)
    more = random.choice(list(shares), max(0, count - len(shares)), p=weights / weights.sum()).tolist()
    return [*random.permutation([*shares, *more])][:count]
