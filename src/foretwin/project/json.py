"""Conversion of values to strict JSON."""

import json
import math
from typing import Any

import numpy as np


def strict_json(content: Any, indent: int | None = None) -> str:
    """Format a stage's record as JSON that any reader accepts: what is not a finite number becomes null."""
    return json.dumps(finite(content), indent=indent, allow_nan=False)


def finite(value: Any) -> Any:
    """Convert a value to strict JSON: keys to text, tuples to lists, numpy numbers to plain ones, NaN to null."""
    if isinstance(value, dict):
        return {str(name): finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    plain = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain
