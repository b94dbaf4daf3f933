"""Conversion of values to strict JSON, and the records of the stages that hold it."""

import json
import math
from pathlib import Path
from typing import Any


def strict_json(content: Any, indent: int | None = None) -> str:
    """Format a stage's record as JSON that any reader accepts: what is not a finite number becomes null."""
    return json.dumps(finite(content), indent=indent, allow_nan=False)


def finite(value: Any) -> Any:
    """Convert a value to strict JSON: keys to text, tuples to lists, numpy numbers to plain ones, NaN to null."""
    if isinstance(value, dict):
        return {str(name): finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    # A numpy scalar is told by its method: importing numpy would triple the time of a stage that has nothing to do.
    plain = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


def evaluation_file(models: Path) -> Path:
    """Return the record of all that `evaluate` measured, in models/<twin>/.

    It is metrics.json where a version before wrote it; now that has the headlines alone.
    """
    path = models / "evaluation.json"
    return path if path.exists() else models / "metrics.json"


def read_json_object(path: Path) -> dict[str, Any] | None:
    """Read a file that a stage wrote; None where it is not there, or holds something else than an object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
