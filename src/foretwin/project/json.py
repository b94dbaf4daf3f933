"""Values as every reader of JSON knows them."""

import math
from typing import Any

import numpy as np


def finite(value: Any) -> Any:
    """The value with text for keys, lists for tuples, plain numbers for numpy's, and null for what is no number."""
    if isinstance(value, dict):
        return {str(name): finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    plain = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain
